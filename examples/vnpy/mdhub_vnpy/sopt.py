"""SOPT's gateway with its market data half replaced by hubs; needs vnpy_sopt.

Trading, contracts and the gateway's name stay as they are: an order goes where it went before.
"""

from __future__ import annotations

from typing import Any

from vnpy.event import EventEngine
from vnpy.trader.object import ContractData, TickData

from mdhub_vnpy.desk import MD_ADDRESS, HubMdApi, trading_setting
from mdhub_vnpy.sequence import Tick

try:
    from vnpy_sopt import SoptGateway
    from vnpy_sopt.gateway.sopt_gateway import symbol_contract_map
except ImportError as error:
    why = f"vnpy_sopt is needed here, and cannot be imported ({error}): pip install vnpy_sopt==3.7.1.0"
    raise ImportError(why) from error


class _SoptHalf(HubMdApi):
    """SOPT's own tells in `extra` whether a contract trades and whether its day is over."""

    def _complete(self, data: TickData, contract: ContractData, tick: Tick) -> None:
        active = (contract.extra or {}).get("trading_active", True)
        data.extra = {**(data.extra or {}), "trading_active": active, "market_closed": bool(tick["close_price"])}


class HubSoptGateway(SoptGateway):  # type: ignore[misc]
    """Trades at a front, and has its ticks from hubs."""

    default_setting: dict[str, Any] = trading_setting(SoptGateway.default_setting)

    def __init__(self, event_engine: EventEngine, gateway_name: str) -> None:
        """As vnpy makes gateways."""
        super().__init__(event_engine, gateway_name)
        self.md_api = _SoptHalf(self, symbol_contract_map.get)

    def connect(self, setting: dict[str, Any]) -> None:
        """Connects the trading half to its front and the other one to the hubs; keys of a hub that are left out have
        their defaults."""
        self.md_api.setting = setting
        super().connect({MD_ADDRESS: "", **setting})
