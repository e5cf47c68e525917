"""What every gateway class is to the main loop, and how one is made from its name."""

from __future__ import annotations

import importlib
import locale
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import codes
from .codes import Leave
from .frames import Start
from .inbox import Inbox
from .ticks import TickPipe

# vnpy's bindings decode the vendor's text by it, and end the process where it is missing.
_LOCALE = "zh_CN.GB18030"


class Source(Protocol):
    """One gateway. What it has to say it tells the inbox: front_connected, front_disconnected, heartbeat_warning, login,
    front_error, subscribed; its ticks go to the pipe."""

    version: str
    is_known: bool

    def connect(self, front: str) -> None:
        """Begins to connect."""

    def login(self) -> int:
        """Sends the login; 0 when it was sent."""

    def subscribe(self, symbol: str, exchange: str) -> int:
        """Asks for a contract; 0 when it was sent."""

    def unsubscribe(self, symbol: str) -> int:
        """Drops a contract; 0 when it was sent."""


@dataclass(frozen=True)
class Way:
    """Where news and ticks of a gateway go."""

    inbox: Inbox
    ticks: TickPipe


def make(start: Start, way: Way) -> Source:
    """The gateway that Start names. Leaves when it cannot be made, with what helps."""
    helps = f"run: gateways/vnpy/install {start.library}"
    module_name, _, class_name = start.gateway_class.rpartition(".")
    if not module_name:
        text = f"gateway_class {start.gateway_class!r} is not allowed: MODULE.CLASS, for example vnpy_ctp.CtpGateway"
        raise Leave(codes.START, text)
    _check_locale(start, helps)
    # vnpy writes beside the flow files where this directory exists, else into somebody's home.
    Path(".vntrader").mkdir(exist_ok=True)
    try:
        gateway_class = getattr(importlib.import_module(module_name), class_name, None)
        from .converted import ConvertedSource  # noqa: PLC0415 - vnpy is imported only now that its directory exists
        from .vendor import VendorSource, flavour_of  # noqa: PLC0415
    except ImportError as why:
        raise Leave(codes.LIBRARY, f"{start.gateway_class} cannot be imported: {why}; {helps}") from None
    except BaseException as why:  # whatever a module does as it is imported
        raise Leave(codes.LIBRARY, f"{start.gateway_class} cannot be imported: {why!r}") from None
    if gateway_class is None:
        raise Leave(codes.LIBRARY, f"{start.gateway_class}: module {module_name} has no {class_name}")
    flavour = flavour_of(start.gateway_class)
    try:
        if flavour is not None:
            return VendorSource(flavour, gateway_class, start, way)
        return ConvertedSource(gateway_class, start, way)
    except Leave:
        raise
    except BaseException as why:  # whatever a gateway's constructor raises
        raise Leave(codes.LIBRARY, f"{start.gateway_class} cannot be made: {why!r}") from None


def _check_locale(start: Start, helps: str) -> None:
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, _LOCALE)
    except locale.Error:
        text = f"the locale {_LOCALE} is missing in {start.library}/locale; without it the first decoded text ends the process"
        raise Leave(codes.LIBRARY, f"{text}; {helps}") from None
    locale.setlocale(locale.LC_CTYPE, before)


def say(event: Any) -> str | None:
    """What a log event of vnpy's says."""
    message = getattr(event.data, "msg", None)
    return message if isinstance(message, str) else None
