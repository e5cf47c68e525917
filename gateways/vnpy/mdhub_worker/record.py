"""A depth record as the bytes that the hub reads: mdhub's `spec::raw_tick::RawTick`, little endian, without padding.

The vendor's values travel untouched: DBL_MAX, NaN, empty texts, milliseconds. What they mean is the feed's affair.
"""

from __future__ import annotations

import struct
import sys
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from .frames import KIND_TICK

if TYPE_CHECKING:
    from vnpy.trader.object import TickData

_SHANGHAI = ZoneInfo("Asia/Shanghai")
# What a vendor writes where there is no price.
ABSENT = sys.float_info.max

# Instrument, exchange, trading day, action day, time; millisecond, volume; fourteen numbers; five levels of four.
_RECORD = struct.Struct("<IBQQ81s9s9s9s9sii14d" + "didi" * 5)
TICK_FRAME_BYTES = _RECORD.size
_LENGTH = TICK_FRAME_BYTES - 4

_TEXTS = ("InstrumentID", "ExchangeID", "TradingDay", "ActionDay", "UpdateTime")
_NUMBERS = (
    "UpdateMillisec",
    "Volume",
    "Turnover",
    "OpenInterest",
    "LastPrice",
    "OpenPrice",
    "HighestPrice",
    "LowestPrice",
    "PreClosePrice",
    "PreSettlementPrice",
    "PreOpenInterest",
    "ClosePrice",
    "SettlementPrice",
    "UpperLimitPrice",
    "LowerLimitPrice",
    "AveragePrice",
)
_LEVELS = tuple(
    name
    for level in range(1, 6)
    for name in (f"BidPrice{level}", f"BidVolume{level}", f"AskPrice{level}", f"AskVolume{level}")
)
_texts_of = itemgetter(*_TEXTS)
_numbers_of = itemgetter(*_NUMBERS, *_LEVELS)

# Texts come back often: instruments, exchanges and days for ever, a time of day some hundred times.
_ENCODED_MAX = 65_536


class _Encoded(dict[str, bytes]):
    def __missing__(self, text: str) -> bytes:
        if len(self) >= _ENCODED_MAX:
            self.clear()
        encoded = self[text] = text.encode("gb18030", "replace")
        return encoded


_encoded = _Encoded()


def vendor_frame(data: dict[str, Any], mono_ns: int, real_ns: int) -> bytes:
    """The tick frame of what the binding of vnpy_ctp or vnpy_sopt hands over, before the gateway converts it."""
    instrument, exchange, trading_day, action_day, time = _texts_of(data)
    known = _encoded
    return _RECORD.pack(
        _LENGTH,
        KIND_TICK,
        mono_ns,
        real_ns,
        known[instrument],
        known[exchange],
        known[trading_day],
        known[action_day],
        known[time],
        *_numbers_of(data),
    )


def converted_frame(tick: TickData, mono_ns: int, real_ns: int) -> bytes:
    """The tick frame of a converted tick. Its trading day is left out, since vnpy has none: the hub finds it by the date. A
    price of zero means that there is none; of the book only with a size of zero."""
    at = tick.datetime
    # A time without a zone is Beijing's, as vnpy's are.
    at = at.astimezone(_SHANGHAI) if at.tzinfo else at.replace(tzinfo=_SHANGHAI)
    price = lambda value: float(value) if value else ABSENT  # noqa: E731
    levels: list[float | int] = []
    for level in range(1, 6):
        for side in ("bid", "ask"):
            size = _lots(getattr(tick, f"{side}_volume_{level}"))
            value = getattr(tick, f"{side}_price_{level}")
            levels += [float(value or 0.0) if size else price(value), size]
    numbers = (tick.last_price, tick.open_price, tick.high_price, tick.low_price, tick.pre_close)
    return _RECORD.pack(
        _LENGTH,
        KIND_TICK,
        mono_ns,
        real_ns,
        _encoded[tick.symbol],
        tick.exchange.value.encode(),
        b"",
        at.strftime("%Y%m%d").encode(),
        at.strftime("%H:%M:%S").encode(),
        at.microsecond // 1000,
        _lots(tick.volume),
        float(tick.turnover or 0.0),
        float(tick.open_interest or 0.0),
        *map(price, numbers),
        # Yesterday's settlement and open interest, the close, the settlement: vnpy's ticks have none of them.
        *(ABSENT,) * 4,
        price(tick.limit_up),
        price(tick.limit_down),
        ABSENT,
        *levels,
    )


def _lots(value: float | None) -> int:
    # NaN compares as false.
    if not value or not abs(value) < 2**62:
        return 0
    return max(-(2**31), min(2**31 - 1, int(value or 0)))
