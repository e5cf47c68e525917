"""examples/bars as a process beside a real hub: its bars are those of the day's file, and of ticks that were missed."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import Hubs
from harness import desired
from harness.hub import Hub, clean_environment
from harness.places import REPOSITORY
from harness.recorded_day import GAP_MS_MAX, RECORDED, Day, generated, load, recorded
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import MAIN_FRONT, Front, World, settings
from vnpy_desk.line import Line

PUBLISH = REPOSITORY / "examples" / "bars" / "publish.py"
BEIJING = dt.timezone(dt.timedelta(hours=8))
SPEED = 250.0
LEAD_S = 3.0
TOKEN = "a-token-of-bars"

Bar = dict[str, Any]


@contextmanager
def publisher(*words: str) -> Iterator[str]:
    """The process, connected to its hub; where its bars are."""
    process = subprocess.Popen(
        [sys.executable, str(PUBLISH), "--listen", "tcp://127.0.0.1:*", *words],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    lines: list[str] = []
    errors = process.stderr
    assert errors is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(errors.readline, "")), daemon=True)
    reader.start()
    try:
        eventually(lambda: any(line.startswith("connected") for line in lines), 20, f"a connection: {lines}")
        yield next(line.split()[-1] for line in lines if line.startswith("bars on"))
        assert process.poll() is None, f"it ended: {lines}"
    finally:
        process.kill()
        process.wait(5)
        reader.join(5)
        print("".join(lines))
        assert TOKEN not in "".join(lines)


def bars_of(subscriber: Subscriber) -> list[Bar]:
    """Everything on the bars' socket so far."""
    messages = subscriber.messages()
    assert all(topic == f"bar.1m.{bar['vt_symbol']}" for topic, bar in messages)
    return [bar for _, bar in messages]


def offline(rows: list[dict[str, str]], vt_symbol: str) -> list[Bar]:
    """The bars of a stock index future's day, from its file alone: an auction, 9:30 to 11:30, 13:00 to 15:00."""
    by_minute: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        clock = row["UpdateTime"]
        if clock >= "15:00:01":
            continue
        minute = {"11:30": "11:29", "15:00": "14:59", "09:29": "09:30"}.get(clock[:5], clock[:5])
        by_minute.setdefault(minute, []).append(row)
    counted = rows[0]
    bars = []
    for minute, of_minute in by_minute.items():
        prices = [float(row["LastPrice"]) for row in of_minute]
        last = of_minute[-1]
        at = dt.datetime.strptime(f"{last['ActionDay']} {minute}", "%Y%m%d %H:%M").replace(tzinfo=BEIJING)
        bars.append(
            {
                "v": 1,
                "vt_symbol": vt_symbol,
                "trading_day": last["TradingDay"],
                "datetime": at,
                "open": prices[0],
                "high": max(prices),
                "low": min(prices),
                "close": prices[-1],
                "volume": float(last["Volume"]) - float(counted["Volume"]),
                "turnover": pytest.approx(float(last["Turnover"]) - float(counted["Turnover"]), rel=1e-9, abs=0.01),
                "open_interest": float(last["OpenInterest"]),
                "ticks": len(of_minute),
                "complete": bool(bars),
            }
        )
        counted = last
    return bars


def short(day: Day) -> Day:
    """The parts of a long day where something begins or ends."""
    if len(day.rows) < 5_000:
        return day
    spans = [("09:29", "09:36"), ("11:26", "11:31"), ("13:00", "13:02"), ("14:57", "15:59")]
    path = day.path.with_name("short.csv")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(day.rows[0]))
        writer.writeheader()
        writer.writerows(row for row in day.rows if any(a <= row["UpdateTime"] < b for a, b in spans))
    return load(path)


@pytest.fixture(params=["generated", "recorded"])
def day(request: pytest.FixtureRequest, tmp_path: Path) -> Day:
    """Both days; the recorded one where it is."""
    if request.param == "generated":
        return generated(tmp_path)
    if not RECORDED.is_file():
        pytest.skip(f"third-party data, not part of the project: {RECORDED} is not there")
    return short(recorded(tmp_path))


def replayed(hubs: Hubs, day: Day, speed: float, **sections: Any) -> Hub:
    """A hub with one front that plays the day from LEAD_S on."""
    start_at_ms = int((time.time() + LEAD_S) * 1000)
    market = {"kind": "replay", "files": [str(day.path)], "speed": speed, "start_at_ms": start_at_ms}
    world = World({MAIN_FRONT: Front()}, {**market, "gap_ms_max": GAP_MS_MAX})
    clock = {"calendar": {"always_open": False}, "cleansing": {"clock": "replay"}}
    return hubs.run(settings(hubs.directory, world, [day.vt_symbol], **clock, **sections))


def begin(hub: Hub) -> None:
    """Lets the front play: everybody is there."""
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    hub.running("ctp-main")
    assert not hub.vitals().get("published"), "everybody was there before the replay began"


def test_the_bars_of_a_day_are_those_computed_from_its_file(day: Day, hubs: Hubs) -> None:
    hub = replayed(hubs, day, SPEED)
    expected = offline(day.rows, day.vt_symbol)
    with publisher(day.vt_symbol, "--hub", hub.listening().zmq) as endpoint:
        with Subscriber(endpoint, "bar.1m.").connected() as subscriber:
            begin(hub)
            subscriber.wait_for(lambda s: len(s) >= len(expected), 40, f"{len(expected)} bars")
            bars = bars_of(subscriber)
    assert [bar["datetime"] for bar in bars] == [bar["datetime"] for bar in expected]
    for bar, wanted in zip(bars, expected, strict=True):
        assert bar == wanted
    assert len(bars) >= 14 and sum(bar["volume"] > 0 for bar in bars) > 10, "bars worth comparing"


def test_bars_are_whole_over_a_cut_line_with_the_hubs_log_and_say_so_without(hubs: Hubs, tmp_path: Path) -> None:
    day = generated(tmp_path)
    token = {"name": "bars", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
    publish = {"listen": "tcp://127.0.0.1:0", "tokens": [token], "anonymous": False}
    hub = replayed(hubs, day, SPEED / 2.5, publish=publish)
    expected = offline(day.rows, day.vt_symbol)
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n")
    with Line(hub.listening().zmq) as line, ExitStack() as stack:
        words = (day.vt_symbol, "--hub", line.endpoint, "--user", "bars", "--token-file", str(secret))
        places = [publisher(*words, "--control", hub.listening().http), publisher(*words)]
        endpoints = [stack.enter_context(place) for place in places]
        with_log, without = (stack.enter_context(Subscriber(at, "bar.1m.").connected()) for at in endpoints)
        begin(hub)
        with_log.wait_for(lambda s: len(s) >= 3, 30, "bars before the cut")
        line.cut()
        published = hub.vitals()["published"]
        eventually(lambda: hub.vitals()["published"] > published + 150, 20, "ticks that nobody hears")
        line.mend()
        with_log.wait_for(lambda s: len(s) >= len(expected), 40, f"{len(expected)} bars")
        whole = bars_of(with_log)
        at_end = lambda s: [bar["datetime"] for bar in bars_of(s)[-1:]] == [expected[-1]["datetime"]]
        without.wait_for(at_end, 10, "the last bar")
        broken = bars_of(without)
    assert whole == expected
    wanted = {bar["datetime"]: bar for bar in expected}
    doubtful = [bar for bar in broken[1:] if not bar["complete"]]
    assert doubtful and len(broken) <= len(expected)
    assert all(bar == wanted[bar["datetime"]] for bar in broken if bar["complete"]), "a bar that says it is whole, is"
    assert sum(bar["volume"] for bar in broken) == sum(bar["volume"] for bar in expected), "no volume is lost"
    assert TOKEN not in hub.log()
