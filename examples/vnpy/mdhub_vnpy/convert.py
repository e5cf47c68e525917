"""A hub's tick as the arguments of vnpy's `TickData`; vnpy itself is not needed for that."""

from __future__ import annotations

from typing import Any

from mdhub_vnpy.sections import SHANGHAI
from mdhub_vnpy.sequence import Tick

_LEVELS = [f"{side}_{what}_{level}" for side in ("bid", "ask") for what in ("price", "volume") for level in range(1, 6)]

# vnpy has no absent numbers: they are 0 there.
NUMBERS = (
    "volume",
    "turnover",
    "open_interest",
    "last_price",
    "last_volume",
    "limit_up",
    "limit_down",
    "open_price",
    "high_price",
    "low_price",
    "pre_close",
    *_LEVELS,
)

# What vnpy has no field for, in `TickData.extra`: a number that is absent stays None there.
EXTRA = (
    "trading_day",
    "settlement",
    "pre_settlement",
    "close_price",
    "pre_open_interest",
    "average_price",
    "seq",
    "epoch",
    "tid",
    "source",
    "flags",
    "ingress_ns",
    "egress_ns",
)


def fields_of(tick: Tick, gateway_name: str) -> dict[str, Any]:
    """Arguments by name; `exchange` is text, as `vnpy.trader.constant.Exchange` takes it."""
    return {
        "gateway_name": gateway_name,
        "symbol": tick["symbol"],
        "exchange": tick["exchange"],
        "datetime": tick["datetime"].astimezone(SHANGHAI),
        "name": tick["name"],
        **{name: float(tick.get(name) or 0) for name in NUMBERS},
        "localtime": tick["localtime"].astimezone(SHANGHAI),
    }


def extra_of(tick: Tick) -> dict[str, Any]:
    """What the hub knows beyond vnpy's fields."""
    return {name: tick.get(name) for name in EXTRA}
