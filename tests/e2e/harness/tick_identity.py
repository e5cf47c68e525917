"""`tid`, computed a second time: from the published payload, in Python, by the recipe that the feed documents."""

from __future__ import annotations

import datetime as dt
import struct
from typing import Any

import xxhash

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_ABSENT = struct.pack("<Q", 0x7FF8_0000_0000_0000)


def _number(value: float | None) -> bytes:
    # Adding plus zero turns minus zero into it.
    return _ABSENT if value is None else struct.pack("<d", value + 0.0)


def _lots(value: float | None) -> bytes:
    return struct.pack("<q", int(value or 0))


def tid_of(payload: dict[str, Any]) -> int:
    """XXH3-64 of vt_symbol, a zero byte, and the identity's fields, little endian."""
    exchange_time_ms = (payload["datetime"] - _EPOCH) // dt.timedelta(milliseconds=1)
    parts = [
        payload["vt_symbol"].encode(),
        b"\0",
        struct.pack("<q", exchange_time_ms),
        _lots(payload["volume"]),
        _number(payload["open_interest"]),
        _number(payload["last_price"]),
        _number(payload["bid_price_1"]),
        _lots(payload["bid_volume_1"]),
        _number(payload["ask_price_1"]),
        _lots(payload["ask_volume_1"]),
    ]
    return xxhash.xxh3_64_intdigest(b"".join(parts))
