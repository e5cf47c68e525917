"""Any other gateway class of vnpy: its ticks come as vnpy's TickData, converted and rounded, without the vendor's trading day.
The hub flags them `low_precision`. A BaseGateway tells neither of its connection nor of its subscriptions: what is asked for
counts as given, and silence is what shows that it is not."""

from __future__ import annotations

import importlib.metadata
import time
from typing import Any

from vnpy.event import Event, EventEngine
from vnpy.trader.constant import Exchange
from vnpy.trader.event import EVENT_LOG, EVENT_TICK
from vnpy.trader.object import SubscribeRequest

from . import log
from .frames import Start
from .record import converted_frame
from .sources import Way, say


class ConvertedSource:
    """One gateway of a class that nobody here knows."""

    is_known = False

    def __init__(self, gateway_class: Any, start: Start, way: Way) -> None:
        self._start, self._way = start, way
        self._wanted: set[str] = set()
        self._engine = _Engine(way, self._wanted)
        self._gateway = gateway_class(self._engine, gateway_class.default_name)
        self.version = f"{start.gateway_class} {_version(start.gateway_class)}, vnpy {_version('vnpy')}"

    def connect(self, front: str) -> None:
        """Connects by the gateway's own settings: its defaults, what the hub's settings say, and the account's fields."""
        start = self._start
        account = {"用户名": start.user_id, "密码": start.password, "经纪商代码": start.broker_id, "行情服务器": front}
        setting = {**self._gateway.default_setting, **start.connect}
        setting |= {name: value for name, value in account.items() if value and name in setting}
        self._engine.start()
        self._gateway.connect(setting)
        self._way.inbox.tell("front_connected")

    def login(self) -> int:
        """It is in `connect`."""
        self._way.inbox.tell("login", 0, "", "")
        return 0

    def subscribe(self, symbol: str, exchange: str) -> int:
        """Asks for a contract."""
        self._wanted.add(symbol)
        self._gateway.subscribe(SubscribeRequest(symbol, Exchange(exchange)))
        self._way.inbox.tell("subscribed", symbol, 0, "")
        return 0

    def unsubscribe(self, symbol: str) -> int:
        """A BaseGateway drops nothing: its ticks are not handed on."""
        self._wanted.discard(symbol)
        return 0


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name.partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return "of no known version"


class _Engine(EventEngine):  # type: ignore[misc]
    """vnpy's event engine, for the gateway's timer. Ticks and logs are taken before its queue, which has no limit."""

    def __init__(self, way: Way, wanted: set[str]) -> None:
        super().__init__()
        self._way, self._wanted = way, wanted
        self._gate = log.Gate("vnpy says")
        self._unusable = log.Gate("a tick that cannot be used")

    def put(self, event: Event) -> None:
        """Takes an event, on the gateway's thread."""
        if event.type == EVENT_TICK:
            mono_ns, real_ns = time.monotonic_ns(), time.time_ns()
            try:
                if event.data.symbol in self._wanted:
                    self._way.ticks.push(converted_frame(event.data, mono_ns, real_ns))
            except Exception as why:  # whatever a gateway calls a tick: the others go on
                self._unusable.tell(f"{getattr(event.data, 'vt_symbol', event.data)!s}: {why!r}")
        elif event.type == EVENT_LOG:
            if message := say(event):
                self._gate.tell(message)
        elif not event.type.startswith(EVENT_TICK):
            super().put(event)
