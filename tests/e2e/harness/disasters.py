"""A stage for disasters: a hub on which a healthy source plays on, while others come to grief beside it.

The healthy fronts' tapes are the truth: the market is the same at every front, so that what is published must be what a
healthy front handed over, all of it and nothing else, whatever the others sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from harness import desired, status
from harness.hub import Hub
from harness.processes import Worker
from harness.subscriber import Received, Subscriber, assert_unbroken
from harness.waiting import eventually
from harness.world import FUTURES, OPTIONS, Front, LiveWorld, Scenario, TapeRow, World, read_tape, settings

WELL, WELL_FRONT = "ctp-well", "tcp://127.0.0.1:42000"
LONE, LONE_FRONT = "sopt-lone", "tcp://127.0.0.1:42001"
CANARIES = ["rb2701.SHFE", "m2705.DCE", "10009123.SSE"]

# As fast as the ranges and a busy machine allow: a healthy source is never silent for three seconds.
HEALTH: dict[str, Any] = {
    "term_grace_ms": 1_000,
    "backoff_min_ms": 300,
    "backoff_max_ms": 2_000,
    "stable_ms": 5_000,
    "canary_silence_ms": 3_000,
    "cool_down_ms": 1_500,
    "market_silent_hold_ms": 5_000,
    "restart_spacing_ms": 2_000,
    "login_backoff_min_ms": 1_500,
    "worker": {"front_timeout_ms": 2_000, "login_timeout_ms": 2_000, "subscribe_timeout_ms": 2_000},
}

# From the healthy front to the client: less than it takes to notice that another one is silent.
SILENCE_S_MAX = 2.5
# What was handed over so long ago is on the tape and with the client.
EDGE_S = 0.7
# FLT_MAX and DBL_MAX are both in use, and NaN compares as false.
ABSENT_MIN = 3e38
SHANGHAI = ZoneInfo("Asia/Shanghai")

Key = tuple[object, ...]


def key_of_row(row: TapeRow) -> Key:
    """What tells one snapshot from another, as a front handed it over. CZCE's milliseconds are the hub's own."""
    prices = [price if abs(price) < ABSENT_MIN else None for price in (row.last, row.bid_price, row.ask_price)]
    return (row.instrument, row.update_time, row.volume, *prices, row.bid_volume, row.ask_volume)


def key_of_tick(tick: Received) -> Key:
    """The same of a published tick."""
    p = tick.payload
    at = p["datetime"].astimezone(SHANGHAI).strftime("%H:%M:%S")
    prices = (p["last_price"], p["bid_price_1"], p["ask_price_1"])
    return (p["symbol"], at, int(p["volume"]), *prices, int(p["bid_volume_1"]), int(p["ask_volume_1"]))


def _last_moment_s(tape: Path) -> float:
    """When the last whole row of a growing tape was handed over, without reading all of it."""
    with tape.open("rb") as file:
        file.seek(max(0, tape.stat().st_size - 4_096))
        rows = file.read().split(b"\n")[1:-1]
    return int(rows[-1].split(b",")[1]) / 1e9 if rows else 0.0


@dataclass
class Stage:
    """A hub with a healthy source of futures and a lone one of options, and a client that was there before them."""

    hub: Hub
    world: LiveWorld
    subscriber: Subscriber
    directory: Path
    _numbers: Iterator[int] = field(default_factory=lambda: count(42_100))

    def tape(self, account: str) -> Path:
        """What an account's front handed over."""
        return self.directory / f"{account}.tape"

    def source(
        self, account: str, *scenarios: Scenario, priority: int = 1, delay_ms: float = 0.0, vnpy: str | None = None
    ) -> Source:
        """A further source of futures on a front of its own, where these scenarios are played from the beginning;
        with `vnpy`, an entry of the settings' libraries, it is one of vnpy's gateways."""
        front = f"tcp://127.0.0.1:{next(self._numbers)}"
        self.world.change(front, tape=str(self.tape(account)), delay_ms=delay_ms, scenarios=list(scenarios))
        driven = {"gateway": "vnpy", "library": vnpy} if vnpy else {}
        desired.add(self.hub.data_dir, account, front, priority=priority, **driven)
        return Source(self, account, front)

    @contextmanager
    def victim(
        self, account: str, *scenarios: Scenario, delay_ms: float = 0.0, vnpy: str | None = None
    ) -> Iterator[Source]:
        """A primary that comes to grief. Afterwards it is deleted, and the client has noticed nothing."""
        begin_mono, well = time.monotonic(), self.hub.running(WELL)
        source = self.source(account, *scenarios, delay_ms=delay_ms, vnpy=vnpy)
        yield source
        desired.change(self.hub.data_dir, "delete", account, "--yes")
        eventually(lambda: status.of_account(self.hub, account).get("pid") is None, 15, f"{account} to be gone")
        self.hub.stopped(account)
        assert self.hub.running(WELL) == well, "the healthy source was touched"
        self.assert_client_noticed_nothing(begin_mono, *source.legitimate)

    def ticks_since(self, begin_mono: float) -> list[Received]:
        """The ticks that have come since."""
        return [tick for tick in self.subscriber.ticks() if tick.at_mono >= begin_mono]

    def assert_client_noticed_nothing(self, begin_mono: float, *legitimate: Path) -> None:
        """No gap in seq, no tid twice, no contract silent; every true tick since, and nothing else but what stands in
        the tapes `legitimate` as something that a market may well say."""
        assert self.subscriber.disconnects == 0
        assert_unbroken(self.subscriber.by_topic())
        end_mono, rows = self._handed_over_since(begin_mono)
        ticks = [tick for tick in self.ticks_since(begin_mono) if tick.payload["exchange"] not in ("SSE", "SZSE")]
        true = {key_of_row(row) for row in read_tape(self.tape(WELL))}
        also = {key_of_row(row) for path in legitimate for row in read_tape(path)}
        dirt = [tick for tick in ticks if tick.at_mono < end_mono and key_of_tick(tick) not in true | also]
        assert not dirt, f"{len(dirt)} of {len(ticks)} ticks are not true: {[t.payload for t in dirt[:2]]}"
        published: dict[Key, float] = {}
        for tick in self.subscriber.ticks():
            published.setdefault(key_of_tick(tick), tick.at_mono)
        lost = [key_of_row(row) for row in rows if key_of_row(row) not in published]
        assert not lost, f"{len(lost)} of {len(rows)} true ticks are missing: {lost[:3]}"
        # A contract is silent when news of it do not come that the healthy source has handed over.
        for row in rows:
            held_s = published.get(key_of_row(row), 0.0) - row.moment_ns / 1e9
            assert held_s <= SILENCE_S_MAX, f"{row.instrument}: news came after {held_s:.2f} s only"

    def _handed_over_since(self, begin_mono: float) -> tuple[float, list[TapeRow]]:
        """Now, and what the healthy front has handed over until now, once that is written down and with the client."""
        end_mono, tape = time.monotonic(), self.tape(WELL)
        eventually(lambda: _last_moment_s(tape) > end_mono + EDGE_S, 10, "the healthy front's tape to reach the present")
        return end_mono, [row for row in read_tape(tape) if begin_mono < row.moment_ns / 1e9 < end_mono]


@dataclass
class Source:
    """One source on the stage, by its account and front."""

    stage: Stage
    account: str
    front: str
    # Tapes with records that are not the healthy front's, and may be published all the same.
    legitimate: list[Path] = field(default_factory=list)

    def play(self, *scenarios: Scenario) -> None:
        """From now on exactly these go wrong."""
        self.stage.world.play(self.front, *scenarios)

    def phase(self, *phases: str, within_s: float = 20.0) -> status.Account:
        """Waits for one of these phases."""
        return status.wait_for_phase(self.stage.hub, self.account, *phases, within_s=within_s)

    def condition(self, kind: str, is_so: str, reason: str | None = None, within_s: float = 20.0) -> str:
        """Waits for a condition, and gives its message."""
        return status.wait_for_condition(self.stage.hub, self.account, kind, is_so, reason, within_s)["message"]

    def healthy(self, within_s: float = 20.0) -> Worker:
        """Waits until it is Healthy, routed, and delivers; gives its process."""
        self.phase("Healthy", within_s=within_s)
        self.delivers()
        self.routed("rb2701.SHFE" if self.account != LONE else "10009123.SSE", True)
        return self.stage.hub.running(self.account)

    def delivers(self, within_s: float = 10.0) -> None:
        """Waits until further ticks have come from it."""
        hub, before = self.stage.hub, self.received()
        # A new process begins to count anew.
        eventually(lambda: self.received() not in (0, before), within_s, f"ticks from {self.account} on {hub.pid}")

    def received(self) -> int:
        """Ticks that came from it."""
        return self.stage.hub.counter(self.account, "received")

    def rejected_by(self, rule: str) -> int:
        """Ticks of it that this rule rejected."""
        accounts = self.stage.hub.vitals().get("accounts", {})
        rows = accounts.get(self.account, {}).get("rejected_by_rule") or []
        return sum(row["ticks"] for row in rows if row["rule"] == rule)

    def routed(self, vt_symbol: str, is_routed: bool, within_s: float = 20.0) -> None:
        """Waits until this contract may be fed by it, or no longer."""
        hub = self.stage.hub
        what = f"{self.account} {'in' if is_routed else 'out of'} the routes of {vt_symbol}"
        eventually(lambda: (self.account in status.routes(hub, vt_symbol)) == is_routed, within_s, what)

    def exited(self, reason: str, within_s: float = 20.0) -> status.Account:
        """Waits until its last end was for this reason, such as `signal 6`."""

        def look() -> status.Account | None:
            now = status.of_account(self.stage.hub, self.account)
            return now if (now.get("last_exit") or {}).get("reason") == reason else None

        return eventually(look, within_s, f"{self.account} to end with {reason}")

    def replaced(self, old: Worker, within_s: float = 20.0) -> Worker:
        """Waits until another process has taken the place of `old`."""
        return self.stage.hub.replaced(old, within_s)


@contextmanager
def stage(directory: Path, more: dict[str, Any] | None = None, **health: Any) -> Iterator[Stage]:
    """A hub with the healthy source and the lone one, both Healthy; `health` changes its fast limits, `more` has
    further sections of its settings. It ends by itself."""
    fronts = {
        WELL_FRONT: Front(tape=directory / f"{WELL}.tape"),
        LONE_FRONT: Front(tape=directory / f"{LONE}.tape"),
    }
    file = settings(
        directory,
        World(fronts),
        FUTURES + OPTIONS,
        health={**HEALTH, **health},
        canaries={"list": CANARIES},
        **(more or {}),
    )
    hub = Hub.run(directory / "data", file)
    try:
        with Subscriber(hub.listening().zmq).connected() as subscriber:
            desired.add(hub.data_dir, WELL, WELL_FRONT, priority=2)
            desired.add(hub.data_dir, LONE, LONE_FRONT, gateway="sopt")
            on = Stage(hub, LiveWorld.beside(file), subscriber, directory)
            for account in (WELL, LONE):
                status.wait_for_condition(hub, account, "CanaryFresh", "True")
            subscriber.wait_for(lambda s: len(s.by_topic()) >= len(FUTURES), 20, "every future to tick")
            yield on
        code = hub.stop()
    finally:
        left = hub.clear_away()
    assert not left, f"workers outlived their hub: {left}"
    assert code == 0, f"exit code {code} after SIGTERM:\n{hub.log()[-4000:]}"


def forked_from(hub: Hub) -> list[int]:
    """The processes that the simulated library forked in workers of this hub, wherever they have gone."""
    mark = f"--parent-pid\0{hub.pid}\0".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        process = Path("/proc") / name
        try:
            if (process / "comm").read_text().strip() == "simapi-child" and mark in (process / "cmdline").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found
