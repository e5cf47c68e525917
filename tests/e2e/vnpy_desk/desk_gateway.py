"""A gateway of a desk's own, of which mdhub knows nothing: vnpy_ctp's market-data half with vnpy's own conversion of ticks."""

from __future__ import annotations

from typing import Any

from vnpy.trader.constant import Product
from vnpy.trader.object import ContractData, SubscribeRequest, TickData
from vnpy_ctp import CtpGateway
from vnpy_ctp.gateway.ctp_gateway import symbol_contract_map


class OurGateway(CtpGateway):
    """Asks for a setting of its own, and connects for market data alone."""

    default_name = "OURS"
    default_setting = {"用户名": "", "密码": "", "经纪商代码": "", "行情服务器": "", "每日": ""}

    def connect(self, setting: dict[str, Any]) -> None:
        """Connects; what the hub's settings say must have come."""
        if setting["每日"] != "无":
            raise ValueError(setting["每日"])
        self.md_api.connect(setting["行情服务器"], setting["用户名"], setting["密码"], setting["经纪商代码"])

    def subscribe(self, req: SubscribeRequest) -> None:
        """vnpy_ctp drops ticks of contracts that no trading connection has told of."""
        symbol_contract_map[req.symbol] = ContractData(
            symbol=req.symbol,
            exchange=req.exchange,
            name=req.symbol,
            product=Product.FUTURES,
            size=10,
            pricetick=1.0,
            gateway_name=self.gateway_name,
        )
        super().subscribe(req)


class Odd(OurGateway):
    """Forgets the time in every tick of one contract."""

    def on_tick(self, tick: TickData) -> None:
        """Hands a tick over."""
        if tick.symbol == "m2705":
            tick.datetime = None
        super().on_tick(tick)


class Leaving(CtpGateway):
    """Would end the process that it is made in."""

    def __init__(self, event_engine: Any, gateway_name: str) -> None:
        raise SystemExit(7)
