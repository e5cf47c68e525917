"""CTP's gateway with its market data half replaced by hubs; needs vnpy_ctp.

Trading, contracts and the gateway's name stay as they are: an order goes where it went before.
"""

from __future__ import annotations

from typing import Any

from vnpy.event import EventEngine

from mdhub_vnpy.desk import MD_ADDRESS, HubMdApi, trading_setting

try:
    from vnpy_ctp import CtpGateway
    from vnpy_ctp.gateway.ctp_gateway import symbol_contract_map
except ImportError as error:
    why = f"vnpy_ctp is needed here, and cannot be imported ({error}): pip install vnpy_ctp==6.7.7.2"
    raise ImportError(why) from error


class HubCtpGateway(CtpGateway):  # type: ignore[misc]
    """Trades at a front, and has its ticks from hubs."""

    default_setting: dict[str, Any] = trading_setting(CtpGateway.default_setting)

    def __init__(self, event_engine: EventEngine, gateway_name: str) -> None:
        """As vnpy makes gateways."""
        super().__init__(event_engine, gateway_name)
        self.md_api = HubMdApi(self, symbol_contract_map.get)

    def connect(self, setting: dict[str, Any]) -> None:
        """Connects the trading half to its front and the other one to the hubs; keys of a hub that are left out have
        their defaults."""
        self.md_api.setting = setting
        super().connect({MD_ADDRESS: "", **setting})
