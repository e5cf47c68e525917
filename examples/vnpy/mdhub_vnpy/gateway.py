"""Market data alone, for desks that trade elsewhere or not at all."""

from __future__ import annotations

from typing import Any

from vnpy.event import EventEngine
from vnpy.trader.constant import Exchange, Product
from vnpy.trader.gateway import BaseGateway
from vnpy.trader.object import CancelRequest, ContractData, OrderRequest, SubscribeRequest

from mdhub_vnpy import settings
from mdhub_vnpy.desk import EXCHANGES, HubMarketData


class HubGateway(BaseGateway):  # type: ignore[misc]
    """A hub's ticks, or several hubs' as one. Apps subscribe only what they know: 合约 lists contracts, so that they know
    them although no trading gateway tells."""

    default_name: str = "HUB"
    default_setting: dict[str, Any] = {**settings.DEFAULTS, settings.CONTRACTS: ""}
    exchanges: list[Exchange] = EXCHANGES

    def __init__(self, event_engine: EventEngine, gateway_name: str) -> None:
        """As vnpy makes gateways."""
        super().__init__(event_engine, gateway_name)
        self.md_api = HubMarketData(self)

    def connect(self, setting: dict[str, Any]) -> None:
        """Connects to the hubs, and tells the contracts that are listed."""
        try:
            listed = settings.contracts(setting)
        except ValueError as error:
            self.write_log(str(error))
            return
        for symbol, exchange, size, pricetick in listed:
            if exchange not in {known.value for known in EXCHANGES}:
                self.write_log(f"{settings.CONTRACTS}: exchange {exchange!r} of {symbol} is unknown")
                continue
            self.on_contract(
                ContractData(
                    symbol=symbol,
                    exchange=Exchange(exchange),
                    name=symbol,
                    product=_product(symbol, exchange),
                    size=size,
                    pricetick=pricetick,
                    gateway_name=self.gateway_name,
                )
            )
        self.md_api.start(setting)

    def subscribe(self, req: SubscribeRequest) -> None:
        """Follows a contract."""
        self.md_api.subscribe(req)

    def send_order(self, req: OrderRequest) -> str:
        """Refuses: no order leaves through here."""
        self.write_log(f"{req.vt_symbol}: no order was sent: {self.gateway_name} is for market data alone")
        return ""

    def cancel_order(self, req: CancelRequest) -> None:
        """There is none."""

    def query_account(self) -> None:
        """There is none."""

    def query_position(self) -> None:
        """There is none."""

    def close(self) -> None:
        """Disconnects."""
        self.md_api.close()


def _product(symbol: str, exchange: str) -> Product:
    """What can be told by the name: stock options have eight digits, funds six, spreads a space."""
    if exchange in ("SSE", "SZSE"):
        return Product.OPTION if len(symbol) == 8 else Product.ETF
    return Product.SPREAD if " " in symbol else Product.FUTURES
