"""Trading days for a soak: whole ones, with nights, breaks, and a settlement tick, for a replay's CSV files."""

from __future__ import annotations

import csv
import datetime as dt
import random
from pathlib import Path

# Seconds of market time between two snapshots of a contract, and the longest gap that a replay keeps.
EVERY_S = 3
GAP_MS_MAX = 4_000

_COMMODITY = [("09:00", "10:15"), ("10:30", "11:30"), ("13:30", "15:00")]
_FINANCIAL = [("09:30", "11:30"), ("13:00", "15:00")]
# Contract -> begin of the night that ends at the second, and the day's sections; first price in ticks, and the tick.
CONTRACTS = {
    "rb2701.SHFE": (["21:00", "23:00"], _COMMODITY, 3_200, 1.0),
    "cu2701.SHFE": (["21:00", "25:00"], _COMMODITY, 7_000, 10.0),
    "m2705.DCE": (["21:00", "23:00"], _COMMODITY, 3_000, 1.0),
    "IF2612.CFFEX": ([], _FINANCIAL, 20_000, 0.2),
}
# Seconds in which one contract or another trades: 21:00 to 1:00, and the day's hours together.
SECTION_S = 3_600 * 4 + 60 * (75 + 60 + 120)


def trading_days(count: int) -> list[dt.date]:
    """Successive weekdays from a Wednesday on: the third night is a Friday's."""
    days, day = [], dt.date(2026, 11, 18)
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day += dt.timedelta(days=1)
    return days


def write(directory: Path, day: dt.date, seed: int) -> list[Path]:
    """A file for each contract."""
    directory.mkdir(parents=True, exist_ok=True)
    return [
        _write(directory, place, vt_symbol, day, random.Random(f"{seed}/{day}/{vt_symbol}"))
        for place, vt_symbol in enumerate(CONTRACTS)
    ]


def _moments(vt_symbol: str, day: dt.date, place: int) -> list[dt.datetime]:
    """From each section's begin to the very moment of its end."""
    night, sections, _, _ = CONTRACTS[vt_symbol]
    evening = day - dt.timedelta(days=3 if day.weekday() == 0 else 1)
    spans = [(evening, *night)] if night else []
    spans += [(day, *section) for section in sections]
    moments = []
    for date, begin, end in spans:
        at, until = _at(date, begin) + dt.timedelta(seconds=place / 2), _at(date, end)
        while at < until:
            moments.append(at)
            at += dt.timedelta(seconds=EVERY_S)
        moments.append(until)
    return [*moments, _at(day, "15:30")]


def _at(date: dt.date, clock: str) -> dt.datetime:
    hour, minute = clock.split(":")
    return dt.datetime.combine(date, dt.time()) + dt.timedelta(hours=int(hour), minutes=int(minute))


def _write(directory: Path, place: int, vt_symbol: str, day: dt.date, draw: random.Random) -> Path:
    _, _, ticks, size = CONTRACTS[vt_symbol]
    symbol, _, exchange = vt_symbol.rpartition(".")
    path = directory / f"{day:%Y%m%d}-{symbol}.csv"
    volume, turnover, interest, first = 0, 0.0, 100_000, ticks
    with path.open("w", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for at in _moments(vt_symbol, day, place):
            ticks = min(max(ticks + draw.randint(-2, 2), first - 100), first + 100)
            if at.hour != 15 or not at.minute:
                traded = draw.randint(1, 40)
                volume, turnover, interest = volume + traded, turnover + traded * ticks * size * 10, interest + 1
            prices = {
                "LastPrice": ticks, "OpenPrice": first, "HighestPrice": first + 100, "LowestPrice": first - 100,
                "PreSettlementPrice": first, "PreClosePrice": first, "UpperLimitPrice": first + 400,
                "LowerLimitPrice": first - 400, "BidPrice1": ticks - 1, "AskPrice1": ticks + 1,
            }  # fmt: skip
            row = {
                "TradingDay": f"{day:%Y%m%d}", "ActionDay": f"{at:%Y%m%d}", "UpdateTime": f"{at:%H:%M:%S}",
                "UpdateMillisec": at.microsecond // 1000, "InstrumentID": symbol, "ExchangeID": exchange,
                "Volume": volume, "Turnover": f"{turnover:.2f}", "OpenInterest": interest, "PreOpenInterest": 100_000,
                "BidVolume1": draw.randint(1, 30), "AskVolume1": draw.randint(1, 30),
                **{name: f"{price * size:.1f}" for name, price in prices.items()},
            }  # fmt: skip
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow(row)
    return path
