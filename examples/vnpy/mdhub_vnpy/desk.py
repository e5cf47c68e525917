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


# What vnpy's gateways call the address of a market data front.
MD_ADDRESS = "行情服务器"


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
            self._complete(data, contract, tick)
        self._gateway.on_tick(data)

    def _complete(self, data: TickData, contract: ContractData, tick: Tick) -> None:
        """Adds what the half that is replaced tells besides."""


class HubMdApi(HubMarketData):
    """In the place of CTP's market data half, with the calls that the gateway makes of it."""

    def __init__(self, gateway: BaseGateway, contract_of: Callable[[str], ContractData | None]) -> None:
        """`contract_of` knows the trading half's contracts by symbol."""
        super().__init__(gateway, contract_of)
        self.setting: dict[str, Any] = {}

    def connect(self, address: str, userid: str, password: str, brokerid: str) -> None:
        """Connects to the hubs of `setting`: a front's address and a login are of no use to them."""
        self.start(self.setting)

    def update_date(self) -> None:
        """A hub's ticks have their dates."""


def trading_setting(default_setting: dict[str, Any]) -> dict[str, Any]:
    """What a gateway asks for that trades at a front and has its ticks from hubs: no market data front."""
    return {**{key: value for key, value in default_setting.items() if key != MD_ADDRESS}, **settings.DEFAULTS}
