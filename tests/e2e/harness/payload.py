"""What a payload must look like: the README's table, restated field by field."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]

EXCHANGES = {"SHFE", "DCE", "CZCE", "CFFEX", "INE", "GFEX", "SSE", "SZSE"}


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_int(value) and value >= 0


def _is_u64(value: Any) -> bool:
    return _is_int(value) and 0 <= value < 2**64


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _is_number_or_nil(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_instant(value: Any) -> bool:
    return isinstance(value, dt.datetime) and value.utcoffset() == dt.timedelta(0)


def _is_trading_day(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"20\d{6}", value) is not None


_BOOK = [f"{side}_{what}_{level}" for side in ("bid", "ask") for what in ("price", "volume") for level in range(1, 6)]
_PRICES = """turnover open_interest last_price limit_up limit_down open_price high_price low_price pre_close settlement
pre_settlement close_price pre_open_interest average_price""".split()

FIELDS: dict[str, Check] = {
    **dict.fromkeys(["symbol", "name", "gateway_name", "vt_symbol", "source"], _is_text),
    "exchange": lambda value: value in EXCHANGES,
    **dict.fromkeys(["datetime", "localtime"], _is_instant),
    **dict.fromkeys(["volume", "last_volume"], _is_number),
    **dict.fromkeys(_PRICES + _BOOK, _is_number_or_nil),
    "trading_day": _is_trading_day,
    "seq": lambda value: _is_int(value) and value >= 1,
    **dict.fromkeys(["tid", "epoch", "ingress_ns", "egress_ns"], _is_u64),
    "flags": _is_count,
    "v": lambda value: value == 1,
}


def faults(payload: dict[str, Any]) -> list[str]:
    """What is wrong with a payload's fields: absent ones, and values of another type or range."""
    missing = [f"{name} is missing" for name in FIELDS if name not in payload]
    wrong = [
        f"{name} = {payload[name]!r}" for name, check in FIELDS.items() if name in payload and not check(payload[name])
    ]
    return missing + wrong
