"""Replays a day through two lossy fronts into a real hub, and keeps what a subscriber got."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import desired
from harness.arbitration_oracle import HoldUps, Journal, overtaken_copies
from harness.hub import Hub
from harness.processes import favour
from harness.recorded_day import GAP_MS_MAX, Day
from harness.subscriber import Received, Subscriber
from harness.waiting import eventually
from harness.world import BACKUP_FRONT, MAIN_FRONT, Front, World, settings

LOSS_RATE = 0.1
# From the writing of the world to the first record: the hub and both workers must be up by then. One second more for
# each replay.
_LEAD_S = 2.0
_SLACK_S = 30.0
_COUNTERS = ("received", "forwarded", "duplicate", "late", "late_unique", "rejected", "fenced")


@dataclass(frozen=True)
class Replay:
    """What came of one replay."""

    ticks: list[Received]
    journals: tuple[Journal, Journal]
    published: int
    accounts: dict[str, dict[str, int]]
    mono_minus_real_ns: int

    def total(self, counter: str) -> int:
        """One of the hub's counters, over both accounts."""
        return sum(counters[counter] for counters in self.accounts.values())

    def took_ns(self) -> list[int]:
        """How long each published tick took through the hub."""
        return [tick.payload["egress_ns"] - tick.payload["ingress_ns"] for tick in self.ticks]

    def hold_ups(self, indices: list[int], margin_ns: int) -> HoldUps:
        """How long ticks were under way, as far as it can be seen; `indices` are the published records' places."""
        came_ns = [tick.payload["ingress_ns"] + self.mono_minus_real_ns for tick in self.ticks]
        seen = list(zip(came_ns, self.took_ns(), strict=True))
        return HoldUps.of(seen + overtaken_copies(self.published_by(indices), self.journals, margin_ns))

    def published_by(self, indices: list[int]) -> dict[int, int]:
        """Which front, 0 or 1, brought the copy of each record that was published."""
        fronts = (int(tick.payload["source"] == "ctp-backup") for tick in self.ticks)
        return dict(zip(indices, fronts, strict=True))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection: a full one over a day's ticks takes a core for longer than a snapshot lasts, at the
    same snapshot of every run."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def replays(directory: Path, days: list[Day], skew_market_ms: float, speed: float, started: list[Hub]) -> list[Replay]:
    """Runs each day through a hub of its own, all at the same time; each is appended to `started` and ended here."""
    lead_s = _LEAD_S + len(days)
    with _no_collection(), ThreadPoolExecutor(len(days)) as pool:
        runs = [
            pool.submit(_replay, directory / str(place), day, skew_market_ms, speed, lead_s, started)
            for place, day in enumerate(days)
        ]
        return [run.result() for run in runs]


def _replay(
    directory: Path, day: Day, skew_market_ms: float, speed: float, lead_s: float, started: list[Hub]
) -> Replay:
    journals = (directory / "main.journal", directory / "backup.journal")
    start_at_ms = int((time.time() + lead_s) * 1000)
    market = {
        "kind": "replay",
        "files": [str(day.path)],
        "speed": speed,
        "start_at_ms": start_at_ms,
        "gap_ms_max": GAP_MS_MAX,
    }
    world = World(
        {
            MAIN_FRONT: Front(loss_rate=LOSS_RATE, loss_share=0, journal=journals[0]),
            BACKUP_FRONT: Front(skew_market_ms, LOSS_RATE, loss_share=1, journal=journals[1]),
        },
        market,
    )
    # The day is years old, and runs faster than its clock.
    sections = {"calendar": {"always_open": False}, "cleansing": {"clock": "replay"}}
    hub = Hub.run(directory / "data", settings(directory, world, [day.vt_symbol], **sections))
    started.append(hub)
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        favour(hub.pid)
        desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
        desired.add(hub.data_dir, "ctp-backup", BACKUP_FRONT, priority=2)
        hub.running("ctp-main")
        hub.running("ctp-backup")
        assert time.time() * 1000 < start_at_ms, "the hub and its workers were not up before the replay began"
        # A record is due at a moment of the wall clock that follows from the world alone; so is the last one.
        takes_s = (day.market_ms + skew_market_ms) / speed / 1000
        _both_at_their_end(hub, journals, start_at_ms / 1000 + takes_s + 0.5)
        offset_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - time.time_ns()
        # The last snapshot can be nobody's late one: once it is here, so is everything.
        last = day.instants[-1]
        subscriber.wait_for(lambda s: _last_time(s) == last, _SLACK_S, "the day's last snapshot")
        assert hub.stop() == 0
        ticks = subscriber.ticks()
        assert subscriber.disconnects <= 1, "the subscriber lost its connection during the day"
    vitals = hub.vitals()
    accounts = {name: {c: int(counters[c]) for c in _COUNTERS} for name, counters in vitals["accounts"].items()}
    read = (Journal.read(journals[0]), Journal.read(journals[1]))
    return Replay(ticks, read, int(vitals["published"]), accounts, offset_ns)


def _last_time(subscriber: Subscriber) -> object:
    messages = subscriber.received()
    return messages[-1].payload["datetime"] if messages else None


def _both_at_their_end(hub: Hub, journals: tuple[Path, Path], at_s: float) -> None:
    """Waits until that moment of the wall clock has passed, and the feed has counted as many ticks as stand in the
    fronts' journals."""

    def handed_over() -> tuple[int, int]:
        first, second = (path.read_bytes().count(b"\n") if path.is_file() else 0 for path in journals)
        return first, second

    def counted() -> bool:
        if time.time() <= at_s:
            return False
        return (hub.counter("ctp-main", "received"), hub.counter("ctp-backup", "received")) == handed_over()

    eventually(counted, at_s - time.time() + _SLACK_S, "as many ticks at the feed as the fronts handed over")
