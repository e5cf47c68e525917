"""The rules of examples/bars: which tick counts to which minute, what its volume is, which bars are complete."""

from __future__ import annotations

import datetime as dt
import random
import sys
from typing import Any

import pytest

from harness.places import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "examples" / "bars"))

from bars import Bar, Builder, Clock, ends_of  # noqa: E402

BEIJING = dt.timezone(dt.timedelta(hours=8))
SNAPSHOT, AUCTION, POST_CLOSE = 1, 2, 4


def ns(clock: str, date: str = "2026-11-18") -> int:
    at = dt.datetime.fromisoformat(f"{date}T{clock}").replace(tzinfo=BEIJING)
    return round(at.timestamp() * 1_000) * 1_000_000


def tick(seq: int, clock: str, volume: float, price: float | None = 10.0, **more: Any) -> dict[str, Any]:
    date = more.pop("date", "2026-11-18")
    head = {"vt_symbol": "rb2701.SHFE", "epoch": 7, "flags": 0, "trading_day": "20261118", "turnover": volume * 100}
    rest = {"seq": seq, "datetime": ns(clock, date), "volume": volume, "last_price": price, "open_interest": seq}
    return {**head, **rest, **more}


def fed(ticks: list[dict[str, Any]], vt_symbol: str = "rb2701.SHFE") -> list[Bar]:
    """Every bar of these ticks; the last by the timer."""
    builder = Builder(vt_symbol)
    ended = [builder.take(t) for t in ticks]
    ended.append(builder.close_by(ticks[-1]["datetime"] + 10**18))
    return [bar for bar in ended if bar is not None]


def clock_of(bar: Bar) -> str:
    return dt.datetime.fromtimestamp(bar.message()["datetime"] / 1e9, BEIJING).strftime("%m-%d %H:%M")


def test_a_bar_has_the_minutes_prices_and_what_was_added_to_the_days_counters() -> None:
    clocks = [("09:00:00.500", 5, 10), ("09:00:30", 7, 12), ("09:00:59.500", 9, 8), ("09:01:00", 20, 11)]
    first, second = fed([tick(n, *rest) for n, rest in enumerate(clocks, 1)])
    expected = {"open": 10, "high": 12, "low": 8, "close": 8, "volume": 4, "turnover": 400, "ticks": 3}
    assert {name: getattr(first, name) for name in expected} == expected, "the first tick's volume is the base"
    assert (first.open_interest, first.complete, clock_of(first)) == (3, False, "11-18 09:00")
    assert (second.volume, second.ticks, second.complete, second.open) == (11, 1, True, 11)


@pytest.mark.parametrize(
    ("vt_symbol", "clock", "flags", "minute"),
    [
        ("rb2701.SHFE", "15:00:00.000", 0, "14:59"),
        ("rb2701.SHFE", "15:00:00.500", 0, "14:59"),
        ("rb2701.SHFE", "15:00:03.500", 0, "14:59"),
        ("rb2701.SHFE", "15:00:59.500", 0, "14:59"),
        ("rb2701.SHFE", "15:01:00", 0, "15:01"),
        ("rb2701.SHFE", "10:15:00", 0, "10:14"),
        ("rb2701.SHFE", "23:00:00", 0, "22:59"),
        ("cu2701.SHFE", "23:00:00", 0, "23:00"),
        ("cu2701.SHFE", "01:00:00", 0, "00:59"),
        ("au2612.SHFE", "01:00:00", 0, "01:00"),
        ("au2612.SHFE", "02:30:00.400", 0, "02:29"),
        ("IF2612.CFFEX", "10:15:00", 0, "10:15"),
        ("IF2612.CFFEX", "11:30:00.400", 0, "11:29"),
        ("T2612.CFFEX", "15:00:00", 0, "15:00"),
        ("T2612.CFFEX", "15:15:00", 0, "15:14"),
        ("10009123.SSE", "15:00:00", 0, "14:59"),
        ("10009123.SSE", "14:58:00", AUCTION, "14:58"),
        ("10009123.SSE", "15:00:00.000", AUCTION, "14:59"),
        ("IF2612.CFFEX", "09:29:00.400", AUCTION, "09:30"),
        ("rb2701.SHFE", "20:59:00", AUCTION, "21:00"),
        ("m2705.DCE", "08:59:00.500", AUCTION, "09:00"),
        ("m2705.DCE", "09:00:00", 0, "09:00"),
    ],
)
def test_the_minute_behind_a_section_and_an_auction_belong_to_the_section(
    vt_symbol: str, clock: str, flags: int, minute: str
) -> None:
    (bar,) = fed([tick(1, clock, 5, vt_symbol=vt_symbol, flags=flags)], vt_symbol)
    assert clock_of(bar) == f"11-18 {minute}"


def test_a_new_trading_day_counts_from_nothing_and_a_night_has_its_own_date() -> None:
    night = {"date": "2026-11-18", "trading_day": "20261119"}
    day = [tick(1, "14:59:58", 900), tick(2, "15:00:00", 1000), tick(3, "15:30:00", 1000, flags=POST_CLOSE)]
    evening = [tick(4, "20:59:00", 30, flags=AUCTION, **night), tick(5, "21:00:10", 50, **night)]
    past_midnight = tick(6, "00:10:00", 70, date="2026-11-19", trading_day="20261119")
    bars = fed([*day, *evening, past_midnight])
    assert [(clock_of(b), b.volume, b.trading_day) for b in bars] == [
        ("11-18 14:59", 100, "20261118"),
        ("11-18 21:00", 50, "20261119"),
        ("11-19 00:10", 20, "20261119"),
    ]
    assert [b.complete for b in bars] == [False, True, True]


def test_snapshots_settlement_and_ticks_without_a_price_open_no_bar() -> None:
    assert fed([tick(5, "09:00:00", 10, flags=SNAPSHOT)]) == []
    assert fed([tick(5, "15:31:00", 10, flags=POST_CLOSE)]) == []
    assert fed([tick(5, "09:00:00", 0, None)]) == []
    (bar,) = fed([tick(5, "09:00:00", 10, flags=SNAPSHOT), tick(6, "09:00:01", 14)])
    assert (bar.volume, bar.ticks, bar.complete) == (4, 1, False), "a snapshot is what is counted from"


def test_turnover_may_decrease_and_volume_is_whole_all_the_same() -> None:
    ticks = [tick(1, "09:00:00", 10, turnover=1000.0), tick(2, "09:00:01", 12, turnover=990.0)]
    (bar,) = fed([*ticks, tick(3, "09:00:02", 13, turnover=None)])
    assert (bar.volume, bar.turnover) == (3, -10)


def test_the_timer_ends_a_bar_and_what_comes_later_is_late() -> None:
    builder = Builder("rb2701.SHFE")
    builder.take(tick(1, "09:00:30", 10))
    assert builder.close_by(ns("09:01:01.999")) is None
    bar = builder.close_by(ns("09:01:02"))
    assert bar is not None and clock_of(bar) == "11-18 09:00"
    assert builder.take(tick(2, "09:00:59.500", 15)) is None and builder.late == 1
    assert builder.take(tick(3, "09:01:03", 16)) is None
    bar = builder.close_by(ns("09:02:02"))
    assert bar is not None and (bar.volume, bar.ticks, bar.complete) == (6, 1, True)


def test_a_gap_is_told_to_whoever_fills_it_and_marks_both_its_sides_if_nobody_does() -> None:
    minutes = [tick(n, f"09:0{n}:00", n) for n in range(1, 7)]
    for lost in (3, 4):
        builder = Builder("rb2701.SHFE")
        for t in minutes[: lost - 1]:
            assert builder.missing(t) is None
            builder.take(t)
        assert builder.missing(minutes[lost]) == (lost - 1, lost)
        assert builder.missing({**minutes[lost], "flags": SNAPSHOT}) == (lost - 1, lost + 1)
        assert builder.missing({**minutes[lost], "epoch": 8}) is None
        kept = fed(minutes[: lost - 1] + minutes[lost:])
        assert [b.minute for b in kept if not b.complete] == [
            t["datetime"] // 60_000_000_000 for t in (minutes[0], minutes[lost - 2], minutes[lost])
        ]
    assert [b.complete for b in fed(minutes)] == [False, True, True, True, True, True], "filled, nothing is missing"
    assert fed([*minutes, minutes[2]]) == fed(minutes), "a tick that is known already"


def test_a_hub_that_was_started_anew_breaks_a_bar_and_the_volume_goes_on() -> None:
    restarted = [tick(1, "09:01:30", 25, epoch=9), tick(2, "09:02:10", 30, epoch=9)]
    bars = fed([tick(8, "09:00:00", 10), tick(9, "09:01:00", 12), *restarted])
    assert [(b.volume, b.complete) for b in bars] == [(0, False), (15, False), (5, True)]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_bars_add_up_to_the_day_and_hold_every_price(seed: int) -> None:
    draw = random.Random(seed)
    at, volume, ticks = ns("21:00:00", "2026-11-17"), 0, []
    for seq in range(1, 600):
        at += draw.choice([500, 500, 500, 1_000, 70_000]) * 1_000_000
        volume += draw.choice([0, 0, 1, 40])
        ticks.append({**tick(seq, "09:00:00", volume, draw.randint(90, 110)), "datetime": at})
    builder, bars = Builder("cu2701.SHFE"), []
    for t in ticks:
        if draw.random() < 0.1:
            bars.append(builder.close_by(t["datetime"] - 60_000_000_000))
        bars.append(builder.take(t))
    bars.append(builder.close_by(at + 10**18))
    found = [bar for bar in bars if bar is not None]
    assert sum(b.volume for b in found) == ticks[-1]["volume"] - ticks[0]["volume"]
    assert sum(b.ticks for b in found) + builder.late == len(ticks)
    assert all(b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in found)
    assert [b.minute for b in found] == sorted({b.minute for b in found}), "each minute once, in order"
    assert all(b.complete for b in found[1:])


def test_a_product_is_told_by_its_letters() -> None:
    assert ends_of("sc2701.INE") == ends_of("au2612C600.SHFE") != ends_of("si2701.GFEX")
    assert ends_of("SPD MA701&MA705.CZCE") == ends_of("MA701.CZCE")


def test_a_late_last_tick_is_in_its_sections_last_bar_once_whether_the_timer_looks_before_it_or_not() -> None:
    builder = Builder("rb2701.SHFE")
    builder.take(tick(1, "14:59:59", 10))
    assert builder.close_by(ns("15:00:40")) is None, "a section's last bar waits for what is behind its end"
    assert builder.take(tick(2, "15:00:41", 17)) is None
    bar = builder.close_by(ns("15:01:02"))
    assert bar is not None and (clock_of(bar), bar.volume, bar.ticks) == ("11-18 14:59", 7, 2)
    assert builder.take(tick(3, "15:00:50", 19)) is None and builder.late == 1
    night = tick(4, "21:00:01", 5, trading_day="20261119")
    builder.take(night)
    bar = builder.close_by(ns("21:01:02"))
    assert bar is not None and (bar.volume, bar.ticks) == (5, 1), "neither again nor taken from the new day"


def test_a_tick_without_a_trading_day_is_of_the_one_that_is_known_and_loses_no_volume() -> None:
    bare = {"trading_day": None}
    first, second = tick(1, "09:00:00", 10), tick(2, "09:00:01", 13, **bare)
    bars = fed([first, second, tick(3, "09:01:00", 20), tick(4, "09:02:00", 21, **bare)])
    assert [(b.volume, b.trading_day) for b in bars] == [(3, "20261118"), (7, "20261118"), (1, "20261118")]


STEADY = 5_000_000_000_000


def steady(clock: str) -> int:
    return STEADY + ns(clock) - ns("09:00:00")


def test_a_tick_far_ahead_of_its_contracts_clock_closes_nothing_until_another_bears_it_out() -> None:
    clock = Clock()
    first, ahead, right = tick(1, "09:00:30", 1), tick(2, "09:01:20", 2), tick(3, "09:00:31", 3)
    assert clock.believed(first, steady("09:00:30")) == [first]
    assert clock.believed(ahead, steady("09:00:30.500")) == []
    assert clock.now_ns(steady("09:00:31")) == ns("09:00:31"), "it sets no clock"
    assert clock.believed(ahead, steady("09:00:31")) == [], "itself once more is no witness"
    assert clock.believed(right, steady("09:00:31")) == [right] and clock.wrong == [ahead]
    opens, then = tick(4, "13:30:00", 4), tick(5, "13:30:00.500", 5)
    assert clock.believed(opens, steady("09:00:32")) == []
    assert clock.believed(then, steady("09:00:33")) == [opens, then] and not clock.wrong, "a replay skips breaks"


def test_a_tick_that_was_doubted_counts_when_its_time_has_come() -> None:
    clock = Clock()
    clock.believed(tick(1, "09:00:30", 1), steady("09:00:30"))
    ahead = tick(2, "09:00:50", 2)
    assert clock.believed(ahead, steady("09:00:31")) == []
    assert clock.due(steady("09:00:44")) == [] and clock.due(steady("09:00:46")) == [ahead]
    assert clock.due(steady("09:00:47")) == []


def test_ticks_that_were_skipped_are_not_missing_and_a_later_one_adds_their_volume() -> None:
    builder = Builder("rb2701.SHFE")
    builder.take(tick(1, "09:00:30", 1))
    builder.skip(tick(2, "09:01:30", 2))
    assert builder.missing(tick(3, "09:00:31", 3)) is None
    builder.take(tick(3, "09:00:31", 3))
    bar = builder.close_by(ns("09:01:02"))
    assert bar is not None and (bar.volume, bar.high) == (2, 10)


def test_bars_of_a_wrong_clock_do_not_poison_those_behind_it() -> None:
    builder = Builder("rb2701.SHFE")
    found = [builder.take(tick(1, "09:00:30", 10)), builder.take(tick(2, "11:00:00", 12, 99.0))]
    found += [builder.take(tick(n, f"09:0{n - 2}:40", 10 + n)) for n in range(3, 7)]
    found.append(builder.close_by(ns("09:04:40") + 60 * 10**9))
    bars = [bar for bar in found if bar is not None]
    assert [(clock_of(b), b.volume, b.complete) for b in bars] == [
        ("11-18 09:00", 0, False),
        ("11-18 09:02", 4, False),
        ("11-18 09:03", 1, True),
        ("11-18 09:04", 1, True),
    ]
    assert max(b.high for b in bars) == 10, "no price of the wrong bar"
