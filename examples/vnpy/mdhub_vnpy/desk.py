"""What every gateway here is made of: a feed whose ticks become vnpy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vnpy.trader.constant import Exchange
from vnpy.trader.gateway import BaseGateway
from vnpy.trader.object import ContractData, SubscribeRequest, TickData

from mdhub_vnpy import settings
from mdhub_vnpy.convert import extra_of, fields_of
from mdhub_vnpy.feed import HubFeed
from mdhub_vnpy.sequence import Tick

EXCHANGES = [
    Exchange.SHFE,
    Exchange.DCE,
    Exchange.CZCE,
    Exchange.CFFEX,
    Exchange.INE,
    Exchange.GFEX,
    Exchange.SSE,
    Exchange.SZSE,
]


def tick_data(tick: Tick, gateway_name: str) -> TickData:
    """A hub's tick as vnpy has it."""
    fields = fields_of(tick, gateway_name)
    data = TickData(**{**fields, "exchange": Exchange(fields["exchange"])})
    data.extra = extra_of(tick)
    return data


class HubMarketData:
    """The market data half of a gateway. Contracts may be subscribed before it is connected, as at vnpy's own."""

    def __init__(self, gateway: BaseGateway, contract_of: Callable[[str], ContractData | None] | None = None) -> None:
        """`contract_of` knows the trading half's contracts by symbol: a tick gets its contract's name."""
        self._gateway = gateway
        self._contract_of = contract_of
        self._feed: HubFeed | None = None
        self._subscribed: set[str] = set()

    def start(self, setting: dict[str, Any]) -> bool:
        """Connects to the hubs; once. False, and a log, when the setting cannot be read."""
        if self._feed is not None:
            return True
        try:
            read = settings.read(setting)
        except ValueError as error:
            self._gateway.write_log(str(error))
            return False
        self._feed = HubFeed(
            read.hubs,
            self._take,
            self._gateway.write_log,
            snapshots=read.snapshots,
            settlement=read.settlement,
        )
        for vt_symbol in sorted(self._subscribed):
            self._feed.subscribe(vt_symbol)
        self._feed.start()
        return True

    def subscribe(self, req: SubscribeRequest) -> None:
        """Follows a contract."""
        if req.vt_symbol in self._subscribed:
            return
        self._subscribed.add(req.vt_symbol)
        if self._feed is not None:
            self._feed.subscribe(req.vt_symbol)

    def close(self) -> None:
        """Disconnects."""
        if self._feed is not None:
            self._feed.close()

    def _take(self, tick: Tick) -> None:
        data = tick_data(tick, self._gateway.gateway_name)
        contract = self._contract_of(data.symbol) if self._contract_of else None
        if contract is not None:
            data.name = contract.name
            self._add(data, contract, tick)
        self._gateway.on_tick(data)

    def _add(self, data: TickData, contract: ContractData, tick: Tick) -> None:
        """What a gateway's own market data half tells besides."""
