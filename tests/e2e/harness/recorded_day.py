"""Days to replay: CSV files with CTP's column names. One was recorded, the other is generated in its shape."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import random
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.places import RECORDED_DATA

RECORDED = RECORDED_DATA / "CFFEX.IF2101_20210104.ctp.csv.gz"
RECORDED_SNAPSHOTS = 27_955
GAP_MS_MAX = 2_000

_COLUMNS = (
    "TradingDay,InstrumentID,ExchangeID,LastPrice,PreSettlementPrice,PreClosePrice,PreOpenInterest,OpenPrice,"
    "HighestPrice,LowestPrice,Volume,Turnover,OpenInterest,SettlementPrice,UpperLimitPrice,LowerLimitPrice,UpdateTime,"
    "UpdateMillisec,BidPrice1,BidVolume1,AskPrice1,AskVolume1,ActionDay"
).split(",")

# What must come out as it went in: payload field -> column.
_VALUES = {
    "last_price": "LastPrice",
    "volume": "Volume",
    "turnover": "Turnover",
    "open_interest": "OpenInterest",
    "open_price": "OpenPrice",
    "high_price": "HighestPrice",
    "low_price": "LowestPrice",
    "limit_up": "UpperLimitPrice",
    "limit_down": "LowerLimitPrice",
    "pre_close": "PreClosePrice",
    "pre_settlement": "PreSettlementPrice",
    "pre_open_interest": "PreOpenInterest",
    "bid_price_1": "BidPrice1",
    "bid_volume_1": "BidVolume1",
    "ask_price_1": "AskPrice1",
    "ask_volume_1": "AskVolume1",
}

_BEIJING = dt.timezone(dt.timedelta(hours=8))


@dataclass(frozen=True)
class Day:
    """A day on disk and in memory, in the order of the file."""

    path: Path
    vt_symbol: str
    rows: list[dict[str, str]]
    instants: list[dt.datetime]

    @property
    def market_ms(self) -> float:
        """How long its replay takes at speed 1, with long gaps cut to GAP_MS_MAX."""
        gaps = [(b - a).total_seconds() * 1000 for a, b in pairwise(self.instants)]
        return sum(min(gap, GAP_MS_MAX) for gap in gaps)

    def index_of(self) -> dict[dt.datetime, int]:
        """Each snapshot's place by its exchange time; the times differ."""
        return {instant: index for index, instant in enumerate(self.instants)}

    def parts(self, count: int) -> list[Day]:
        """The day cut into parts of the same length, each a file beside the day's own."""
        bounds = [len(self.rows) * place // count for place in range(count + 1)]
        return [self._part(number, a, b) for number, (a, b) in enumerate(pairwise(bounds))]

    def _part(self, number: int, first: int, end: int) -> Day:
        path = self.path.with_name(f"{self.path.stem}-{number}.csv")
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows[first:end])
        return load(path)

    def differences(self, index: int, payload: dict[str, Any]) -> list[str]:
        """Where a published tick says another thing than the file's line."""
        row = self.rows[index]
        found = [
            f"{name}: {payload[name]!r} for {row[column]}"
            for name, column in _VALUES.items()
            if payload[name] != float(row[column])
        ]
        if payload["trading_day"] != row["TradingDay"]:
            found.append(f"trading_day: {payload['trading_day']} for {row['TradingDay']}")
        if float(row["SettlementPrice"]) and payload["settlement"] != float(row["SettlementPrice"]):
            found.append(f"settlement: {payload['settlement']} for {row['SettlementPrice']}")
        return found


def _instant(row: dict[str, str]) -> dt.datetime:
    local = dt.datetime.strptime(f"{row['ActionDay']} {row['UpdateTime']}", "%Y%m%d %H:%M:%S")
    at = local.replace(microsecond=int(row["UpdateMillisec"]) * 1000, tzinfo=_BEIJING)
    return at.astimezone(dt.timezone.utc)


def load(path: Path) -> Day:
    """Reads a day, and holds it to what the suite builds on: one contract, every snapshot at a time of its own."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    instants = [_instant(row) for row in rows]
    assert all(a < b for a, b in pairwise(instants)), f"{path}: the times do not grow"
    return Day(path, f"{rows[0]['InstrumentID']}.{rows[0]['ExchangeID']}", rows, instants)


def recorded(directory: Path) -> Day:
    """The recorded day, unpacked into `directory`."""
    path = directory / "recorded.csv"
    with gzip.open(RECORDED) as packed, path.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    day = load(path)
    assert len(day.rows) == RECORDED_SNAPSHOTS
    return day


def generated(directory: Path, snapshots: int = 1_600, seed: int = 7) -> Day:
    """A short day of the recorded one's shape: an auction tick, two sections, settlement ticks; 98 % of the gaps are
    500 ms, a fifth of the ticks keep the volume, one in twenty repeats everything but the time."""
    draw = random.Random(seed)
    date = dt.datetime(2026, 11, 18, tzinfo=_BEIJING)
    half = snapshots // 2
    times = [date.replace(hour=9, minute=29, microsecond=400_000)]
    times += _section(date.replace(hour=9, minute=30), half, draw)
    times += _section(date.replace(hour=13), snapshots - half - 3, draw)
    times += [date.replace(hour=15, minute=30, second=48, microsecond=900_000), date.replace(hour=15, minute=35)]
    path = directory / "generated.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        book = _Book()
        for index, at in enumerate(times):
            if index and draw.random() >= 0.05:
                book.move(draw)
            writer.writerow(book.row(at, settled=at.hour == 15 and at.minute >= 30))
    day = load(path)
    assert len(day.rows) == snapshots
    return day


def _section(opens: dt.datetime, count: int, draw: random.Random) -> list[dt.datetime]:
    at, times = opens.replace(microsecond=400_000), []
    for _ in range(count):
        times.append(at)
        at += dt.timedelta(milliseconds=500 if draw.random() < 0.98 else draw.choice([1000, 1500, 2000]))
    return times


@dataclass
class _Book:
    """One contract's state from snapshot to snapshot; prices in fifths of a point, as CFFEX has them."""

    fifths: int = 26_000
    high: int = 26_000
    low: int = 26_000
    volume: int = 240
    turnover: float = 376_560_000.0
    open_interest: int = 90_767
    bid_volume: int = 1
    ask_volume: int = 2

    def move(self, draw: random.Random) -> None:
        """The next snapshot: always another book, often another price, mostly more volume."""
        self.fifths += draw.randint(-6, 6)
        self.high, self.low = max(self.high, self.fifths), min(self.low, self.fifths)
        traded = 0 if draw.random() < 0.22 else draw.randint(1, 40)
        self.volume += traded
        self.turnover += traded * self.fifths / 5 * 300
        self.open_interest += draw.randint(-8, 8) if traded else 0
        self.bid_volume, self.ask_volume = draw.randint(1, 30), draw.randint(1, 30)

    def row(self, at: dt.datetime, settled: bool) -> dict[str, str]:
        """The line of the file."""
        last = self.fifths / 5
        date = at.strftime("%Y%m%d")
        values = [date, "IF2612", "CFFEX", last, 5216.2, 5227, 90_826, 5200, self.high / 5, self.low / 5]
        values += [self.volume, f"{self.turnover:.2f}", self.open_interest, 5278.6 if settled else 0, 5737.8, 4694.6]
        values += [at.strftime("%H:%M:%S"), at.microsecond // 1000, (self.fifths - 1) / 5, self.bid_volume]
        values += [(self.fifths + 1) / 5, self.ask_volume, date]
        return dict(zip(_COLUMNS, (str(value) for value in values), strict=True))
