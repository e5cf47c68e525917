"""One-minute bars of one contract, from a hub's ticks: pure, no clock, no socket.

A tick is the map that the hub publishes, with `datetime` as nanoseconds since the epoch (msgpack: `timestamp=2`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MINUTE_NS = 60_000_000_000
# By a timer, a bar is closed so long after its minute: what comes later than that is late. A section's last bar waits
# another minute, as long as a hub lets through what is behind a section's end: nobody could trade on it sooner.
GRACE_NS = 2_000_000_000

# A tick so far ahead of its contract's clock is not believed by itself.
_AHEAD_NS = 5_000_000_000

FLAG_SNAPSHOT = 1
FLAG_AUCTION = 2
FLAG_POST_CLOSE = 4

_BEIJING_MINUTES = 8 * 60
_DAY_MINUTES = 24 * 60
_AUCTION_MINUTES = 15

# When sections end and auctions lead to, minutes of the day in Beijing.
_FINANCIAL = {"CFFEX", "SSE", "SZSE"}
_TREASURIES = {"TS", "TF", "T", "TL"}
_TO_0100 = {"cu", "bc", "al", "ad", "ao", "zn", "pb", "ni", "sn", "ss"}
_TO_0230 = {"au", "ag", "sc"}

Tick = Mapping[str, Any]


def _at(hour: int, minute: int = 0) -> int:
    return hour * 60 + minute


def _of_day(minute: int) -> int:
    """Of a minute since the epoch, the minute of the day in Beijing."""
    return (minute + _BEIJING_MINUTES) % _DAY_MINUTES


def ends_of(vt_symbol: str) -> frozenset[int]:
    """When sections of this contract end, as minutes of the day in Beijing."""
    symbol, _, exchange = vt_symbol.rpartition(".")
    product = symbol[: next((place for place, letter in enumerate(symbol) if not letter.isalpha()), len(symbol))]
    if exchange in _FINANCIAL:
        return frozenset({_at(11, 30), _at(15, 15) if product in _TREASURIES else _at(15)})
    night = _at(2, 30) if product in _TO_0230 else _at(1) if product in _TO_0100 else _at(23)
    return frozenset({_at(10, 15), _at(11, 30), _at(15), night})


def auctions_of(vt_symbol: str) -> tuple[int, ...]:
    """When this contract opens after an auction, as minutes of the day in Beijing."""
    return (_at(9, 30),) if vt_symbol.rpartition(".")[2] in _FINANCIAL else (_at(9), _at(21))


@dataclass
class Bar:
    """One minute of one contract. `minute` counts from the epoch; prices are those that ticks said last."""

    vt_symbol: str
    trading_day: str | None
    minute: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    open_interest: float | None
    ticks: int
    complete: bool

    def message(self) -> dict[str, Any]:
        """What is published, but for the type of `datetime`: nanoseconds since the epoch, the minute's beginning."""
        values = asdict(self)
        return {"v": 1, "datetime": values.pop("minute") * MINUTE_NS, **values}


class Clock:
    """The exchange's time as one contract's ticks tell it: the last one's, and what has gone by since.

    It needs no host's clock, and another contract's wrong time does not reach it. A tick far ahead waits for one that
    bears it out.
    """

    def __init__(self) -> None:
        """Knows no time yet."""
        self.wrong: list[Tick] = []
        self._ahead_of_steady_ns: int | None = None
        self._doubted: Tick | None = None

    def now_ns(self, steady_ns: int) -> int:
        """Exchange time, by a clock that only goes on; 0 as long as no tick has told it."""
        return 0 if self._ahead_of_steady_ns is None else self._ahead_of_steady_ns + steady_ns

    def believed(self, tick: Tick, steady_ns: int) -> list[Tick]:
        """A tick came: those that count now. What turned out wrong by it is in `wrong`."""
        held, self.wrong = self._doubted, []
        if held is None:
            now_ns = self.now_ns(steady_ns)
            is_news = not tick["flags"] & (FLAG_SNAPSHOT | FLAG_POST_CLOSE)
            if is_news and now_ns and tick["datetime"] > now_ns + _AHEAD_NS:
                self._doubted = tick
                return []
            return self._passed([tick], steady_ns)
        if tick["epoch"] == held["epoch"] and tick["seq"] <= held["seq"]:
            return []
        self._doubted = None
        if tick["datetime"] + _AHEAD_NS >= held["datetime"]:
            return self._passed([held, tick], steady_ns)
        self.wrong = [held]
        return self._passed([tick], steady_ns)

    def due(self, steady_ns: int) -> list[Tick]:
        """The tick that was doubted, when its time has come."""
        held = self._doubted
        if held is None or held["datetime"] > self.now_ns(steady_ns) + _AHEAD_NS:
            return []
        self._doubted = None
        return self._passed([held], steady_ns)

    def _passed(self, ticks: list[Tick], steady_ns: int) -> list[Tick]:
        if not ticks[-1]["flags"] & FLAG_SNAPSHOT:
            self._ahead_of_steady_ns = ticks[-1]["datetime"] - steady_ns
        return ticks


class Builder:
    """Bars of one contract. Every tick goes through `take`, in the order of the hub's `seq`."""

    def __init__(self, vt_symbol: str) -> None:
        """Knows nothing: the first tick is what volume is counted from."""
        self.late = 0
        self._vt_symbol = vt_symbol
        self._ends, self._auctions = ends_of(vt_symbol), auctions_of(vt_symbol)
        self._epoch: int | None = None
        self._seq = 0
        self._broken = False
        self._bar: Bar | None = None
        self._closed = 0
        self._newest_ns = 0
        self._is_counting = False
        self._trading_day: str | None = None
        self._volume = 0.0
        self._turnover = 0.0

    def missing(self, tick: Tick) -> tuple[int, int] | None:
        """Which ticks come before this one and were missed: those with `after < seq <= up_to` of the pair."""
        if tick["epoch"] != self._epoch:
            return None
        # A snapshot is no news: had it been seen as news, it would be known.
        up_to = tick["seq"] - (0 if tick["flags"] & FLAG_SNAPSHOT else 1)
        return (self._seq, up_to) if up_to > self._seq else None

    def take(self, tick: Tick) -> Bar | None:
        """A tick came; the bar that it ends, if any."""
        is_known = tick["epoch"] == self._epoch and tick["seq"] <= self._seq
        if is_known:
            return None
        self._broken |= tick["epoch"] != self._epoch or tick["seq"] != self._seq + 1
        self._epoch, self._seq = tick["epoch"], tick["seq"]
        if self._bar is not None and self._broken:
            self._bar.complete = False
        if tick["flags"] & FLAG_SNAPSHOT:
            self._broken = True
            if not self._is_counting:
                self._count(tick)
            return None
        minute = self._minute_of(tick)
        if tick["datetime"] + MINUTE_NS < self._newest_ns:
            self._back_to(minute)
        self._newest_ns = tick["datetime"]
        if minute <= self._closed or (self._bar is not None and minute < self._bar.minute):
            # Its bar is out. What it says of the volume, the next tick says too.
            self.late += 1
            return None
        ended = self._close() if self._bar is not None and minute > self._bar.minute else None
        if tick["flags"] & FLAG_POST_CLOSE:
            return ended
        volume, turnover = self._count(tick)
        if tick["last_price"] is not None:
            self._add(tick, minute, volume, turnover)
        return ended

    def close_by(self, now_ns: int) -> Bar | None:
        """The bar whose minute is over at this exchange time, if there is one."""
        if self._bar is None:
            return None
        end = self._bar.minute + 1
        end += _of_day(end) in self._ends
        return self._close() if now_ns >= end * MINUTE_NS + GRACE_NS else None

    def skip(self, tick: Tick) -> None:
        """A tick that is not believed: it is not missing, and counts to no bar."""
        if tick["epoch"] == self._epoch:
            self._seq = max(self._seq, tick["seq"])

    def _back_to(self, minute: int) -> None:
        """What came before was far ahead of the time: its bar is none, its volume the next one's.

        This minute's may be out already.
        """
        if self._bar is not None:
            self._volume -= self._bar.volume
            self._turnover -= self._bar.turnover
        self._bar, self._closed, self._broken = None, minute, True

    def _close(self) -> Bar | None:
        bar, self._bar = self._bar, None
        if bar is not None:
            self._closed = bar.minute
        return bar

    def _minute_of(self, tick: Tick) -> int:
        """The minute to which a tick counts: an auction's to the first of its section, one of the minute behind a
        section's end to the last."""
        minute = tick["datetime"] // MINUTE_NS
        of_day = _of_day(minute)
        if tick["flags"] & FLAG_AUCTION:
            # A closing auction leads to none: its result at the section's end is of the last minute, too.
            ahead = next((a - of_day for a in self._auctions if 0 < a - of_day <= _AUCTION_MINUTES), 0)
            if ahead:
                return int(minute + ahead)
        return int(minute - 1 if of_day in self._ends else minute)

    def _count(self, tick: Tick) -> tuple[float, float]:
        """Volume and turnover since what was counted last."""
        volume = float(tick["volume"])
        turnover = self._turnover if tick["turnover"] is None else float(tick["turnover"])
        # A tick that does not say its day is of the one that is known.
        day = tick["trading_day"] or self._trading_day
        if not self._is_counting:
            # Whatever was traded before is not this bar's.
            self._volume, self._turnover = volume, turnover
        elif self._trading_day is not None and day != self._trading_day:
            self._volume, self._turnover = 0.0, 0.0
            turnover = 0.0 if tick["turnover"] is None else turnover
        elif volume < self._volume:
            self._broken, self._volume, self._turnover = True, volume, turnover
        self._trading_day, self._is_counting = day, True
        added = volume - self._volume, turnover - self._turnover
        self._volume, self._turnover = volume, turnover
        return added

    def _add(self, tick: Tick, minute: int, volume: float, turnover: float) -> None:
        price = float(tick["last_price"])
        bar = self._bar
        if bar is None:
            day, interest = self._trading_day, tick["open_interest"]
            prices = (price, price, price, price)
            bar = Bar(self._vt_symbol, day, minute, *prices, 0.0, 0.0, interest, 0, complete=True)
            self._bar = bar
        bar.high, bar.low, bar.close = max(bar.high, price), min(bar.low, price), price
        bar.volume += volume
        bar.turnover += turnover
        if tick["open_interest"] is not None:
            bar.open_interest = tick["open_interest"]
        bar.ticks += 1
        bar.complete &= not self._broken
        self._broken = False
