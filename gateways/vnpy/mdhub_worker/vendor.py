"""vnpy_ctp and vnpy_sopt: the gateway itself, with its market-data half watched. Ticks are taken as the binding hands them
over, before the gateway converts them; no trading connection is made."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import os
import time
from dataclasses import dataclass
from typing import Any

from vnpy.event import Event
from vnpy.trader.event import EVENT_LOG
from vnpy.trader.utility import get_folder_path

from . import codes, log
from .codes import Leave
from .frames import Start
from .record import vendor_frame
from .sources import Way, say

# Longest flow path.
_FLOW_PATH_BYTES_MAX = 200


@dataclass(frozen=True)
class Flavour:
    """What tells the two packages apart."""

    package: str
    # That mdhub was tested with.
    tested: str
    module: str
    api: str
    library: str
    version_symbol: str


_FLAVOURS = {
    "vnpy_ctp.CtpGateway": Flavour(
        "vnpy_ctp",
        "6.7.7.2",
        "vnpy_ctp.gateway.ctp_gateway",
        "CtpMdApi",
        "libthostmduserapi_se.so",
        "_ZN15CThostFtdcMdApi13GetApiVersionEv",
    ),
    "vnpy_sopt.SoptGateway": Flavour(
        "vnpy_sopt",
        "3.7.1.0",
        "vnpy_sopt.gateway.sopt_gateway",
        "SoptMdApi",
        "libsoptthostmduserapi_se.so",
        "_ZN8ctp_sopt15CThostFtdcMdApi13GetApiVersionEv",
    ),
}


def flavour_of(gateway_class: str) -> Flavour | None:
    """Of a class whose records can be taken before vnpy converts them."""
    return _FLAVOURS.get(gateway_class)


class VendorSource:
    """One of the two, without a trading connection."""

    def __init__(self, flavour: Flavour, gateway_class: Any, start: Start, way: Way) -> None:
        self._start = start
        gateway = gateway_class(_Engine(), gateway_class.default_name)
        base = getattr(importlib.import_module(flavour.module), flavour.api)
        self._api = gateway.md_api = _watched(base, way)(gateway)
        package = importlib.metadata.version(flavour.package)
        self.version = f"{flavour.package} {package}, {_library_version(flavour)}"
        self.is_known = package == flavour.tested

    def connect(self, front: str) -> None:
        """Begins to connect; the library goes on by itself."""
        start = self._start
        # As the gateway itself makes it; the vendor appends file names into fixed buffers.
        flow = len(os.fsencode(get_folder_path(self._api.gateway_name.lower())))
        if flow > _FLOW_PATH_BYTES_MAX:
            text = f"flow_dir {start.flow_dir}: the path below it has {flow} bytes: allowed are up to {_FLOW_PATH_BYTES_MAX}"
            raise Leave(codes.START, text)
        self._api.connect(front, start.user_id, start.password, start.broker_id)

    def login(self) -> int:
        """Sends the login. The gateway would do so at once on every connection; fronts refuse more than one a second."""
        start = self._start
        request = {"UserID": start.user_id, "Password": start.password, "BrokerID": start.broker_id}
        self._api.reqid += 1
        return int(self._api.reqUserLogin(request, self._api.reqid))

    def subscribe(self, symbol: str, exchange: str) -> int:  # noqa: ARG002 - the vendor asks for no exchange
        """Asks for a contract."""
        return int(self._api.subscribeMarketData(symbol))

    def unsubscribe(self, symbol: str) -> int:
        """Drops a contract."""
        return int(self._api.unSubscribeMarketData(symbol))


class _Engine:
    """In place of vnpy's event engine, whose queue has no limit: logs are told at once, there is nothing else to wait for."""

    def __init__(self) -> None:
        self._gate = log.Gate("vnpy says")

    def put(self, event: Event) -> None:
        """Takes an event."""
        if event.type == EVENT_LOG and (message := say(event)):
            self._gate.tell(message)

    def register(self, kind: str, handler: Any) -> None:
        """Nobody is called: there is no trading half to look after."""


def _library_version(flavour: Flavour) -> str:
    """As the vendor's library, which is loaded by now, names itself."""
    try:
        ask = ctypes.CDLL(flavour.library)[flavour.version_symbol]
        ask.restype = ctypes.c_char_p
        return (ask() or b"").decode("gb18030", "replace").strip()
    except (OSError, AttributeError):
        return "of a version that it does not tell"


def _watched(base: Any, way: Way) -> Any:
    """The gateway's market-data class, which tells what happens. Its methods run on the binding's thread: nothing waits."""
    tell, push = way.inbox.tell, way.ticks.push
    monotonic_ns, time_ns = time.monotonic_ns, time.time_ns

    class Watched(base):  # type: ignore[misc]
        def onFrontConnected(self) -> None:
            # The base would log in at once.
            tell("front_connected")

        def onFrontDisconnected(self, reason: int) -> None:
            self.login_status = False
            tell("front_disconnected", reason)

        def onHeartBeatWarning(self, lapse_s: int) -> None:
            tell("heartbeat_warning", lapse_s)

        def onRspUserLogin(self, data: dict[str, Any], error: dict[str, Any], reqid: int, last: bool) -> None:  # noqa: ARG002, FBT001
            # Vendors leave the error out on success.
            self.login_status = not error.get("ErrorID")
            tell("login", error.get("ErrorID", 0), error.get("ErrorMsg", ""), data.get("TradingDay", ""))

        def onRspError(self, error: dict[str, Any], reqid: int, last: bool) -> None:  # noqa: ARG002, FBT001
            tell("front_error", error.get("ErrorID", 0), error.get("ErrorMsg", ""))

        def onRspSubMarketData(self, data: dict[str, Any], error: dict[str, Any], reqid: int, last: bool) -> None:  # noqa: ARG002, FBT001
            tell("subscribed", data.get("InstrumentID", ""), error.get("ErrorID", 0), error.get("ErrorMsg", ""))

        def onRtnDepthMarketData(self, data: dict[str, Any]) -> None:
            mono_ns, real_ns = monotonic_ns(), time_ns()
            try:
                push(vendor_frame(data, mono_ns, real_ns))
            except Exception as why:  # the binding would print it, and go on without this tick
                tell("stumbled", repr(why))

    return Watched
