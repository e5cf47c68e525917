"""A desk: a headless vnpy with a gateway and CTA strategies that write down what their `on_tick` gets.

    python desk.py DESK.json

The document: `gateway` ("MODULE:CLASS"), `setting` (what the gateway connects with), `contracts` (a strategy for each),
`instruments` (what a trading front would answer to the query for them), `ticks` and `logs` (files that get a line for
each). The gateway's name is its class's own. It ends with its stdin.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import json
import os
import sys
import threading
import types
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from vnpy.event import Event, EventEngine
from vnpy.trader.engine import MainEngine
from vnpy.trader.event import EVENT_LOG
from vnpy.trader.object import TickData
from vnpy.trader.setting import SETTINGS

WITHIN_S = 20.0

# A CTA engine wants a database of bars, of which these strategies read none.
_no_database = types.ModuleType("vnpy_none")
_no_database.Database = object  # type: ignore[attr-defined]
sys.modules["vnpy_none"] = _no_database
SETTINGS.update({"database.name": "none", "log.active": False})

from vnpy_ctastrategy import CtaStrategyApp, CtaTemplate  # noqa: E402

_ticks: TextIO


def plain(value: Any) -> Any:
    """A value with its type, where JSON would not tell."""
    if isinstance(value, Enum):
        return {"enum": type(value).__name__, "value": value.value}
    if isinstance(value, dt.datetime):
        return {"at": value.isoformat(), "zone": str(value.tzinfo)}
    return value


def line(tick: TickData) -> str:
    """Every field, whatever it is, and `vt_symbol`, which is none."""
    fields = {field.name: plain(getattr(tick, field.name)) for field in dataclasses.fields(tick)}
    return json.dumps({**fields, "vt_symbol": tick.vt_symbol}, ensure_ascii=False)


class Recorder(CtaTemplate):  # type: ignore[misc]
    """Writes ticks down."""

    author = "mdhub"
    tries_order = False

    def on_init(self) -> None:
        """Nothing is loaded."""

    def on_tick(self, tick: TickData) -> None:
        """A tick; on the first one an order is tried, if the desk has somebody to trade with."""
        if self.tries_order:
            self.tries_order = False
            self.buy(tick.last_price, 1)
        _ticks.write(line(tick) + "\n")
        _ticks.flush()


def open_up(desk: dict[str, Any], logs: TextIO) -> None:
    """Connects, and starts a strategy for each contract."""
    events = EventEngine()
    main = MainEngine(events)

    def told(event: Event) -> None:
        logs.write(json.dumps([event.data.gateway_name, event.data.msg], ensure_ascii=False) + "\n")
        logs.flush()

    events.register(EVENT_LOG, told)
    module, _, name = desk["gateway"].partition(":")
    gateway = main.add_gateway(getattr(importlib.import_module(module), name))
    cta = main.add_app(CtaStrategyApp)
    cta.init_engine()
    cta.classes["Recorder"] = Recorder
    main.connect(desk["setting"], gateway.gateway_name)
    for place, instrument in enumerate(desk["instruments"], 1):
        Recorder.tries_order = True
        gateway.td_api.onRspQryInstrument(instrument, {"ErrorID": 0}, 1, place == len(desk["instruments"]))
    known = threading.Event()
    pause = 0.0
    while any(main.get_contract(vt_symbol) is None for vt_symbol in desk["contracts"]):
        known.wait(0.05)
        pause += 0.05
        assert pause < WITHIN_S, f"contracts that nobody told: {desk['contracts']}"
    for vt_symbol in desk["contracts"]:
        cta.add_strategy("Recorder", f"recorder {vt_symbol}", vt_symbol, {})
        cta.init_strategy(f"recorder {vt_symbol}").result(WITHIN_S)
        cta.start_strategy(f"recorder {vt_symbol}")
    logs.write(json.dumps(["desk", "open"]) + "\n")
    logs.flush()


def main() -> None:
    """Runs until nobody holds stdin any more."""
    global _ticks
    desk = json.loads(Path(sys.argv[1]).read_text())
    with open(desk["ticks"], "w") as _ticks, open(desk["logs"], "w") as logs:
        try:
            open_up(desk, logs)
            sys.stdin.read()
        finally:
            # vnpy's engines have threads that keep a process for ever.
            sys.stdout.flush()
            sys.excepthook(*sys.exc_info()) if sys.exc_info()[0] else None  # type: ignore[arg-type]
            os._exit(int(sys.exc_info()[0] is not None))


if __name__ == "__main__":
    main()
