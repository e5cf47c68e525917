"""The stage for chaos: one real hub, several sources of each kind on fronts of their own, a client of every contract,
and a watch over what the kernel says about the hub and its workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import desired, status
from harness.hub import Hub
from harness.processes import Worker, workers_of, zombies_of
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import FUTURES, OPTIONS, Front, LiveWorld, Scenario, World, settings

CANARIES = ["rb2701.SHFE", "m2705.DCE", "MA701.CZCE", "IF2612.CFFEX", "10009123.SSE"]
CANARY_SILENCE_S = 3.0
# As fast as the ranges and a busy machine allow: a healthy source is never silent for so long.
HEALTH: dict[str, Any] = {
    "term_grace_ms": 1_000,
    "backoff_min_ms": 300,
    "backoff_max_ms": 1_500,
    "stable_ms": 5_000,
    "canary_silence_ms": int(CANARY_SILENCE_S * 1_000),
    "cool_down_ms": 1_500,
    "market_silent_hold_ms": 5_000,
    "restart_spacing_ms": 4_500,
    "login_backoff_min_ms": 1_500,
    "worker": {"front_timeout_ms": 2_000, "login_timeout_ms": 2_000, "subscribe_timeout_ms": 2_000},
}
# Account -> kind, and how far its front is behind the first one.
SOURCES = {
    "ctp-a": ("ctp", 0.0),
    "ctp-b": ("ctp", 25.0),
    "ctp-c": ("ctp", 50.0),
    "sopt-a": ("sopt", 0.0),
    "sopt-b": ("sopt", 25.0),
}

POLL_S = 0.04
TICKING_S_MAX = 1.6
# A tape is written to its file every 100 ms.
TAPE_TAIL_BYTES = 12_000
WELL_WITHIN_S = 60.0


@dataclass
class Source:
    """One account, its front, and when it was beyond doubt."""

    account: str
    kind: str
    front: str
    tape: Path
    is_under_fault: bool = False
    # Nanoseconds, CLOCK_MONOTONIC, as on the tapes; the last one may be open.
    healthy_ns: list[tuple[int, int | None]] = field(default_factory=list)

    @property
    def contracts(self) -> list[str]:
        """What it is to bring."""
        return FUTURES if self.kind == "ctp" else OPTIONS

    def ticks_everywhere(self) -> bool:
        """Whether its front has just handed over a record of each contract."""
        try:
            with self.tape.open("rb") as file:
                file.seek(max(0, self.tape.stat().st_size - TAPE_TAIL_BYTES))
                rows = [line.split(",") for line in file.read().decode().split("\n")[1:-1]]
        except FileNotFoundError:
            return False
        since_ns = time.monotonic_ns() - int(TICKING_S_MAX * 1e9)
        fresh = {row[3] for row in rows if len(row) == 16 and row[2] == "true" and int(row[1]) > since_ns}
        return fresh >= {contract.rpartition(".")[0] for contract in self.contracts}


@dataclass
class Measure:
    """What the hub holds."""

    rss_kib: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Measure:
        """As /proc tells it."""
        text = Path(f"/proc/{pid}/status").read_text()
        field_of = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        return cls(int(field_of["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")), int(field_of["Threads"]))


class Watch:
    """Looks at /proc all the time: no account has two live processes, nobody dead is left lying about. Where it did not
    come to its turn for long, the machine stood still."""

    ZOMBIE_S_MAX = 3.0
    TURN_S_MAX = 1.0

    def __init__(self, hub: Hub) -> None:
        """Begins at once."""
        self.looks, self.doubles, self.zombies = 0, set[tuple[str, tuple[int, ...]]](), set[int]()
        # From and to, nanoseconds of CLOCK_MONOTONIC.
        self.standstills_ns: list[tuple[int, int]] = []
        self._hub, self._closing = hub, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        dead_since: dict[int, float] = {}
        before_ns = time.monotonic_ns()
        while not self._closing.wait(0.03):
            now_ns = time.monotonic_ns()
            if now_ns - before_ns > self.TURN_S_MAX * 1e9:
                self.standstills_ns.append((before_ns, now_ns))
            before_ns = now_ns
            by_account: dict[str, list[int]] = {}
            for worker in workers_of(self._hub.pid):
                by_account.setdefault(worker.account, []).append(worker.pid)
            self.doubles |= {(account, tuple(pids)) for account, pids in by_account.items() if len(pids) > 1}
            now = time.monotonic()
            dead_since = {pid: dead_since.get(pid, now) for pid in zombies_of(self._hub.pid)}
            self.zombies |= {pid for pid, since in dead_since.items() if now - since > self.ZOMBIE_S_MAX}
            self.looks += 1

    def close(self) -> None:
        """Looks no more."""
        self._closing.set()
        self._thread.join(5)


class Stage:
    """A hub, its sources, its client."""

    def __init__(self, hub: Hub, world: LiveWorld, subscriber: Subscriber, accounts: list[str]) -> None:
        """Adds the accounts; waits for none of them."""
        self.hub, self._world, self.subscriber, directory = hub, world, subscriber, world.path.parent
        # The world file is read, changed and written by whoever has this; so are the admissions.
        self._lock = threading.Lock()
        self.sources = {
            account: Source(account, SOURCES[account][0], front_of(account), directory / f"{account}.tape")
            for account in accounts
        }
        for number, source in enumerate(self.sources.values(), 1):
            desired.add(hub.data_dir, source.account, source.front, gateway=source.kind, priority=number)

    def play(self, source: Source, *scenarios: Scenario) -> None:
        """From now on exactly these go wrong at its front."""
        with self._lock:
            self._world.play(source.front, *scenarios)

    def is_well(self, source: Source) -> bool:
        """Healthy, Ready with every contract, routed, and each contract ticks at its front."""
        document = status.document(self.hub)
        now = document.get("accounts", {}).get(source.account, {})
        states = {c["type"]: c["status"] for c in now.get("conditions", [])}
        routes = document.get("routes", {})
        return (
            now.get("phase") == "Healthy"
            and states.get("Ready") == states.get("CanaryFresh") == "True"
            and now.get("acknowledged") == len(source.contracts)
            and all(source.account in routes.get(contract, []) for contract in source.contracts)
            and source.ticks_everywhere()
        )

    def admit(self, source: Source) -> bool:
        """Puts a source under fault, if it is well and another of its kind is well and stays so meanwhile."""
        with self._lock:
            peers = [p for p in self.sources.values() if p.kind == source.kind and p is not source]
            if not self.is_well(source) or not any(not p.is_under_fault and self.is_well(p) for p in peers):
                return False
            source.is_under_fault = True
            self.closes_healthy(source)
            return True

    def wait_until_well(self, source: Source, within_s: float = WELL_WITHIN_S) -> None:
        """From now on its front's word counts as truth."""
        try:
            eventually(lambda: self.is_well(source), within_s, "", POLL_S)
        except AssertionError:
            now = status.of_account(self.hub, source.account)
            tape = "ticks" if source.ticks_everywhere() else "does not tick everywhere"
            message = f"{source.account} is not well within {within_s} s; its front {tape}; the hub says: {now}"
            raise AssertionError(message) from None
        # The ticks of this moment may be on their way in a pipe that the routes did not let in yet.
        source.healthy_ns.append((time.monotonic_ns(), None))
        with self._lock:
            source.is_under_fault = False

    @staticmethod
    def closes_healthy(source: Source) -> None:
        """From now on its front's word does not count."""
        if source.healthy_ns and source.healthy_ns[-1][1] is None:
            # What it hands over this very moment may die with it: the others have it.
            source.healthy_ns[-1] = (source.healthy_ns[-1][0], time.monotonic_ns() - 20_000_000)

    def worker(self, source: Source) -> Worker:
        """Its process."""
        return self.hub.running(source.account)


def front_of(account: str) -> str:
    """Each account has a front of its own."""
    return f"tcp://127.0.0.1:{43_000 + list(SOURCES).index(account)}"


@contextmanager
def stage(directory: Path, accounts: list[str] | None = None, **health: Any) -> Iterator[Stage]:
    """A hub with these accounts (or all), each of them well, and a client that was there before them."""
    accounts = accounts or list(SOURCES)
    fronts = {front_of(a): Front(tape=directory / f"{a}.tape", delay_ms=SOURCES[a][1]) for a in accounts}
    kinds = {SOURCES[account][0] for account in accounts}
    contracts = (FUTURES if "ctp" in kinds else []) + (OPTIONS if "sopt" in kinds else [])
    canaries = [contract for contract in CANARIES if contract in contracts]
    file = settings(directory, World(fronts), contracts, health={**HEALTH, **health}, canaries={"list": canaries})
    hub = Hub.run(directory / "data", file)
    try:
        with Subscriber(hub.listening().zmq).connected() as subscriber:
            on = Stage(hub, LiveWorld.beside(file), subscriber, accounts)
            for source in on.sources.values():
                on.wait_until_well(source)
            yield on
        code = hub.stop()
    finally:
        left = hub.clear_away()
    assert not left, f"workers outlived their hub: {left}"
    assert code == 0, f"exit code {code} after SIGTERM:\n{hub.log()[-4000:]}"
