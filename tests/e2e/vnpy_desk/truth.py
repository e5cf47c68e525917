"""What a desk's ticks must be: the records that the simulator replays, restated in vnpy's fields."""

from __future__ import annotations

import datetime as dt
from typing import Any

from conftest import Hubs
from harness import desired
from harness.hub import Hub
from harness.recorded_day import GAP_MS_MAX, Day
from harness.world import MAIN_FRONT, Front, World, settings

SPEED = 20.0
LEAD_S = 6.0
# Every look reads all that a desk has written.
POLL_S = 0.1
LEVELS = [f"{side}_{what}_{level}" for side in ("bid", "ask") for what in ("price", "volume") for level in range(2, 6)]
FIELDS = set(
    """gateway_name extra symbol exchange datetime name volume turnover open_interest last_price last_volume limit_up
    limit_down open_price high_price low_price pre_close localtime vt_symbol bid_price_1 bid_volume_1 ask_price_1
    ask_volume_1""".split()
) | set(LEVELS)


def places(day: Day, ticks: list[dict[str, Any]]) -> list[int]:
    """Which of the day's records each tick is."""
    index_of = day.index_of()
    return [index_of[dt.datetime.fromisoformat(tick["datetime"]["at"]).astimezone(dt.timezone.utc)] for tick in ticks]


def last_of(day: Day) -> str:
    """The time of the day's last record, as a desk writes it."""
    return day.instants[-1].astimezone(dt.timezone(dt.timedelta(hours=8))).isoformat()


def replaying(hubs: Hubs, day: Day, start_at_ms: int, name: str) -> Hub:
    """A hub of its own on the day's replay: a front, an account."""
    market = {"kind": "replay", "files": [str(day.path)], "speed": SPEED, "gap_ms_max": GAP_MS_MAX}
    world = World({MAIN_FRONT: Front()}, {**market, "start_at_ms": start_at_ms})
    # The day is over, and runs faster than its clock.
    sections = {"calendar": {"always_open": False}, "cleansing": {"clock": "replay"}}
    hub = hubs.run(settings(hubs.directory / name, world, [day.vt_symbol], **sections), name)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    return hub


def differences(day: Day, index: int, tick: dict[str, Any], gateway_name: str, name: str) -> list[str]:
    """Where a `TickData` says another thing than the simulator's record, or says it in another type."""
    found = [f"fields: {set(tick) ^ FIELDS}"] if set(tick) != FIELDS else []
    found += day.differences(index, {**tick["extra"], **tick})
    symbol, _, exchange = day.vt_symbol.partition(".")
    volume_before = float(day.rows[index - 1]["Volume"]) if index else 0.0
    expected = {
        "symbol": symbol,
        "name": name,
        "vt_symbol": day.vt_symbol,
        "gateway_name": gateway_name,
        "exchange": {"enum": "Exchange", "value": exchange},
        **dict.fromkeys(LEVELS, 0.0),
    }
    if index:
        expected["last_volume"] = float(day.rows[index]["Volume"]) - volume_before
    found += [f"{name}: {tick[name]!r} for {value!r}" for name, value in expected.items() if tick[name] != value]
    for name in ("datetime", "localtime"):
        if tick[name]["zone"] != "Asia/Shanghai":
            found.append(f"{name}: {tick[name]}")
    if dt.datetime.fromisoformat(tick["datetime"]["at"]) != day.instants[index]:
        found.append(f"datetime: {tick['datetime']} for {day.instants[index]}")
    return found
