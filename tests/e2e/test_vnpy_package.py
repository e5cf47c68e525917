"""mdhub-vnpy in a real headless vnpy: what a CTA strategy's `on_tick` gets, and what stands in vnpy's log."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from conftest import Hubs
from harness import desired, status
from harness.recorded_day import generated
from harness.waiting import eventually
from harness.world import FUTURES, MAIN_FRONT, live_world, settings
from vnpy_desk.opened import PACKAGE, VENV, Desk, prepare
from vnpy_desk.truth import LEAD_S, POLL_S, differences, last_of, places, replaying

TOKEN = "a-token-of-a-desk"
HUB_GATEWAY = "mdhub_vnpy.gateway:HubGateway"


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """vnpy is there."""
    prepare()


def test_two_hubs_one_killed_no_tick_is_lost_none_comes_twice_and_each_is_what_the_simulator_sent(
    hubs: Hubs, tmp_path: Path
) -> None:
    day = generated(tmp_path, snapshots=400)
    start_at_ms = int((time.time() + LEAD_S) * 1000)
    first, second = (replaying(hubs, day, start_at_ms, name) for name in ("first", "second"))
    addresses = [hub.listening().zmq for hub in (first, second)]
    setting = {
        "行情中枢": ", ".join(addresses),
        "合约": f"{day.vt_symbol}:300:0.2",
        "快照": "全部",
        "结算行情": "是",
    }
    with Desk(tmp_path / "desk", HUB_GATEWAY, setting, [day.vt_symbol]) as desk:
        desk.told("open")
        for address in addresses:
            desk.told(f"{address} connected")
        eventually(lambda: len(desk.ticks()) >= 60, 40, "ticks", poll_s=POLL_S)
        first.kill()
        at_kill = len(desk.ticks())
        desk.told(f"{addresses[0]} is silent")
        eventually(lambda: desk.ticks()[-1]["datetime"]["at"] == last_of(day), 60, "the day's last tick", poll_s=POLL_S)
        ticks = desk.ticks()
    came = places(day, ticks)
    assert came == list(range(came[0], len(day.rows))), "each once, in order"
    assert 60 <= at_kill < len(came) - 50, "on both sides of the kill"
    for index, tick in zip(came, ticks, strict=True):
        found = differences(day, index, tick, "HUB", day.vt_symbol.partition(".")[0])
        assert not found, found
    assert {tick["extra"]["flags"] & 1 for tick in ticks[1:]} == {0}
    assert {tick["extra"]["flags"] & 4 for tick in ticks[-2:]} == {4}, "settlement ticks, since they were asked for"
    winners = Counter(tick["extra"]["epoch"] for tick in ticks)
    print(f"each hub was first with so many ticks: {winners}")
    assert len(winners) == 2, winners


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        return port


def test_a_hub_that_is_killed_and_comes_back_is_told_of_and_what_it_published_meanwhile_is_filled_in(
    hubs: Hubs, tmp_path: Path
) -> None:
    ticks_at, http_at = f"tcp://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    token = {"name": "desk", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
    sections = {"publish": {"listen": ticks_at, "tokens": [token], "anonymous": False}, "http": {"listen": http_at}}
    file = settings(hubs.directory, live_world(), FUTURES, **sections)
    hub = hubs.run(file)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    status.wait_for_condition(hub, "ctp-main", "Ready", "True")
    setting = {
        "行情中枢": ticks_at,
        "补缺地址": f"http://{http_at}",
        "令牌名称": "desk",
        "令牌密码": TOKEN,
        "快照": ["全部"],
        "合约": ",".join(f"{vt_symbol}:10:1" for vt_symbol in FUTURES),
    }
    with Desk(tmp_path / "desk", HUB_GATEWAY, setting, FUTURES) as desk:
        every = lambda epoch: {t["vt_symbol"] for t in desk.ticks() if t["extra"]["epoch"] == epoch} == set(FUTURES)
        before = int(hub.listening().epoch)
        eventually(lambda: every(before), 40, "a tick of each contract", poll_s=POLL_S)
        hub.kill()
        desk.told("is silent for 5 s: its ticks are stale")
        again = hubs.run(file)
        desk.told("is back after")
        desk.told("was started anew")
        after = int(again.listening().epoch)
        eventually(lambda: every(after), 40, "a tick of each contract of the new hub", poll_s=POLL_S)
        told = desk.logs()
        ticks = desk.ticks()
    assert before != after and TOKEN not in "".join(told)
    for vt_symbol in FUTURES:
        numbers = [t["extra"]["seq"] for t in ticks if t["vt_symbol"] == vt_symbol and t["extra"]["epoch"] == after]
        assert numbers == list(range(1, len(numbers) + 1)), (vt_symbol, numbers)


@pytest.mark.parametrize(("kind", "version"), [("ctp", "6.7.7.2"), ("sopt", "3.7.1.0")])
def test_where_a_gateway_of_vnpys_is_missing_the_message_says_what_to_run(kind: str, version: str) -> None:
    with_vnpy_alone = [str(VENV / "bin" / "python"), "-c", f"import mdhub_vnpy.{kind}"]
    tried = subprocess.run(with_vnpy_alone, cwd=PACKAGE, capture_output=True, text=True, timeout=60, check=False)
    assert tried.returncode == 1 and f"pip install vnpy_{kind}=={version}" in tried.stderr.splitlines()[-1]
