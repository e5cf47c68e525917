"""mdhub-vnpy's gateways that trade at a front: the unmodified vnpy_ctp and vnpy_sopt, with ticks from a hub.

The trading half is connected to a port where nobody listens; its contracts come as its front's answer would bring them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from conftest import Hubs
from harness import desired
from harness.recorded_day import generated
from harness.waiting import eventually
from harness.world import OPTION_FRONT, OPTIONS, live_world, settings
from vnpy_desk.opened import Desk, prepare_trading
from vnpy_desk.truth import LEAD_S, POLL_S, differences, last_of, places, replaying

NO_FRONT = {
    "用户名": "u",
    "密码": "p",
    "经纪商代码": "b",
    "交易服务器": "tcp://127.0.0.1:1",
    "行情服务器": "tcp://127.0.0.1:1",
    "产品名称": "",
    "授权编码": "",
}


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """vnpy and its gateways are there."""
    prepare_trading()


def instrument(vt_symbol: str, product_class: str, name: str) -> dict[str, Any]:
    """A contract as a trading front tells of it."""
    symbol, _, exchange = vt_symbol.rpartition(".")
    limits = {"MinLimitOrderVolume": 1, "MaxLimitOrderVolume": 20}
    head = {"InstrumentID": symbol, "ExchangeID": exchange, "InstrumentName": name, "ProductClass": product_class}
    return {**head, **limits, "VolumeMultiple": 300, "PriceTick": 0.2}


def test_ctps_gateway_trades_as_before_and_its_ticks_are_what_the_simulator_sent(hubs: Hubs, tmp_path: Path) -> None:
    day = generated(tmp_path, snapshots=120)
    hub = replaying(hubs, day, int((time.time() + LEAD_S) * 1000), "hub")
    setting = {**NO_FRONT, "行情中枢": hub.listening().zmq, "快照": "全部"}
    told = [instrument(day.vt_symbol, "1", "沪深2612")]
    with Desk(tmp_path / "desk", "mdhub_vnpy.ctp:HubCtpGateway", setting, [day.vt_symbol], instruments=told) as desk:
        desk.told("合约信息查询成功")
        desk.told("open")
        # The last two are settlement ticks, for which this desk has not asked.
        settled = [index for index, row in enumerate(day.rows) if float(row["SettlementPrice"])]
        is_over = lambda: places(day, desk.ticks())[-1:] == [settled[0] - 1]
        eventually(is_over, 60, "the day's last tick but settlement's", poll_s=POLL_S)
        eventually(lambda: hub.vitals()["published"] == len(day.rows), 20, "settlement ticks at the hub")
        desk.told("委托请求发送失败")
        ticks, logs = desk.ticks(), desk.logs()
    came = places(day, ticks)
    assert settled == [len(day.rows) - 2, len(day.rows) - 1] and ticks[-1]["datetime"]["at"] < last_of(day)
    assert came == list(range(came[0], settled[0])) and came[0] < 60, "each once, in order"
    for index, tick in zip(came, ticks, strict=True):
        found = differences(day, index, tick, "CTP", "沪深2612")
        assert not found, found
    assert not [line for line in logs if "行情服务器" in line], "its own market data half was not connected"


def test_sopts_gateway_does_and_tells_whether_a_contract_trades(hubs: Hubs, tmp_path: Path) -> None:
    hub = hubs.run(settings(hubs.directory, live_world(), OPTIONS))
    desired.add(hub.data_dir, "sopt-main", OPTION_FRONT, gateway="sopt")
    setting = {**NO_FRONT, "行情中枢": hub.listening().zmq, "快照": "全部"}
    (fund,) = [vt_symbol for vt_symbol in OPTIONS if vt_symbol.startswith("510050")]
    told = [instrument(fund, "8", "50ETF")]
    with Desk(tmp_path / "desk", "mdhub_vnpy.sopt:HubSoptGateway", setting, [fund], instruments=told) as desk:
        eventually(lambda: len(desk.ticks()) >= 6, 60, "ticks", poll_s=POLL_S)
        desk.told("委托请求发送失败")
        ticks = desk.ticks()
    assert {(tick["gateway_name"], tick["name"], tick["vt_symbol"]) for tick in ticks} == {("SOPT", "50ETF", fund)}
    assert {(tick["extra"]["trading_active"], tick["extra"]["market_closed"]) for tick in ticks} == {(True, False)}
    numbers = [tick["extra"]["seq"] for tick in ticks]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
