"""What breaks controllers, on the real loop with real processes: a hub that dies between two actions, one that acts on
what is no longer so, and one that hears of nothing. Each time it converges, and no account ever has two processes.

The three are those of the paper on Sieve (OSDI 2022): intermediate states, stale states, unobserved states.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Hubs
from harness import desired, status
from harness.disasters import HEALTH
from harness.hub import Hub
from harness.processes import workers_of
from harness.sole import SoleProcess
from harness.subscriber import Subscriber
from harness.waiting import always, eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, live_world, settings

WITHIN_S = 30.0
ACCOUNTS = {"ctp-main": MAIN_FRONT, "ctp-backup": BACKUP_FRONT}


@pytest.fixture
def sole() -> Iterator[SoleProcess]:
    """Afterwards no account has ever had two processes."""
    with SoleProcess() as watching:
        yield watching


class Run:
    """One data directory, and the hubs that run on it one after the other."""

    def __init__(self, hubs: Hubs, sole: SoleProcess) -> None:
        """Nothing runs yet."""
        self.hubs, self.sole = hubs, sole
        health = {**HEALTH, "term_grace_ms": 500}
        self.file = settings(hubs.directory, live_world(), FUTURES[:4], health=health)

    def start(self, hooks: str = "") -> Hub:
        """A hub with these hooks."""
        hub = self.hubs.run(self.file, MDHUB_TEST_HOOKS=hooks)
        self.sole.of(hub.pid)
        return hub

    def populate(self, hub: Hub) -> None:
        """Adds both accounts; a hub that dies meanwhile is no fault."""
        for account, front in ACCOUNTS.items():
            desired.add(hub.data_dir, account, front)


@pytest.fixture
def run(hubs: Hubs, sole: SoleProcess) -> Run:
    """A place for hubs, watched."""
    return Run(hubs, sole)


def _ready(hub: Hub, *accounts: str) -> None:
    for account in accounts:
        status.wait_for_condition(hub, account, "Ready", "True", within_s=WITHIN_S)


def _is_sound(hub: Hub, *wanted: str) -> None:
    """Exactly these accounts have a process, each of them is ready and delivers, and nothing more happens."""
    _ready(hub, *wanted)
    for account in ACCOUNTS:
        if account not in wanted:
            hub.stopped(account, WITHIN_S)
        else:
            before = hub.counter(account, "received")
            eventually(lambda a=account, n=before: hub.counter(a, "received") > n, WITHIN_S, f"ticks of {account}")  # type: ignore[misc]
    processes = {worker.account: worker.pid for worker in hub.workers()}
    assert set(processes) == set(wanted)
    always(lambda: {w.account: w.pid for w in hub.workers()} == processes, 0.7, "converged: nothing more to do")


def _disable_main(run: Run, hub: Hub) -> None:
    _ready(hub, *ACCOUNTS)
    desired.change(hub.data_dir, "disable", "ctp-main")


def _disable_frozen_main(run: Run, hub: Hub) -> None:
    _ready(hub, *ACCOUNTS)
    # It neither reads the command to stop nor feels TERM.
    os.kill(hub.running("ctp-main").pid, signal.SIGSTOP)
    desired.change(hub.data_dir, "disable", "ctp-main")


def _demand(run: Run, hub: Hub) -> None:
    _ready(hub, *ACCOUNTS)
    with Subscriber(hub.listening().zmq, FUTURES[5]):
        hub.process.wait(WITHIN_S)


DEATHS: dict[str, tuple[str, Callable[[Run, Hub], None], tuple[str, ...]]] = {
    "spawn": ("spawn:2", lambda run, hub: None, ("ctp-main", "ctp-backup")),
    "routes": ("routes:2", lambda run, hub: None, ("ctp-main", "ctp-backup")),
    "subscribe": ("subscribe:1", _demand, ("ctp-main", "ctp-backup")),
    "term": ("term:1", _disable_main, ("ctp-backup",)),
    "kill": ("kill:1", _disable_frozen_main, ("ctp-backup",)),
}


@pytest.mark.parametrize("act", DEATHS)
def test_a_hub_that_dies_right_after_an_action_converges_when_it_is_back(run: Run, act: str) -> None:
    hook, provoke, wanted = DEATHS[act]
    hub = run.start(f"abort-after={hook}")
    run.populate(hub)
    provoke(run, hub)
    assert hub.process.wait(WITHIN_S) == -signal.SIGABRT, hub.log()[-2000:]
    assert f"aborted after {act}" in hub.log()
    again = run.start()
    _is_sound(again, *wanted)
    assert not workers_of(hub.pid), "something of the dead hub is left"


def _kill_disable_enable_restart(hub: Hub) -> None:
    """One of each kind of change, one right after the other where that is meant to confuse."""
    _ready(hub, *ACCOUNTS)
    os.kill(hub.running("ctp-main").pid, signal.SIGKILL)
    desired.change(hub.data_dir, "restart", "ctp-backup")
    _ready(hub, *ACCOUNTS)
    desired.change(hub.data_dir, "disable", "ctp-main")
    desired.change(hub.data_dir, "enable", "ctp-main")
    desired.change(hub.data_dir, "disable", "ctp-backup")


@pytest.mark.parametrize("hook", ["stale-observed-ms=400", "miss-events"])
def test_a_hub_that_sees_the_past_or_hears_of_nothing_converges(run: Run, hook: str) -> None:
    hub = run.start(hook)
    run.populate(hub)
    _kill_disable_enable_restart(hub)
    _is_sound(hub, "ctp-main")
    desired.change(hub.data_dir, "enable", "ctp-backup")
    _is_sound(hub, *ACCOUNTS)


def _rows(data_dir: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(data_dir / "mdhub.db", timeout=5.0)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT * FROM accounts")]
    finally:
        connection.close()


def _put_back(data_dir: Path, rows: list[dict[str, Any]]) -> None:
    """The rows as they were, to the last column: what a replica that lags behind would show."""
    for row in rows:
        values = {name: value for name, value in row.items() if name != "id"}
        columns = ", ".join(f"{name} = ?" for name in values)
        desired.by_hand(data_dir, f"UPDATE accounts SET {columns} WHERE id = ?", *values.values(), row["id"])


def test_a_read_that_is_older_than_what_was_acted_on_is_made_good_by_the_next(run: Run) -> None:
    hub = run.start()
    run.populate(hub)
    _ready(hub, *ACCOUNTS)
    old = _rows(hub.data_dir)
    desired.change(hub.data_dir, "disable", "ctp-main")
    desired.change(hub.data_dir, "restart", "ctp-backup")
    hub.stopped("ctp-main")
    new = _rows(hub.data_dir)
    _put_back(hub.data_dir, old)
    hub.running("ctp-main", WITHIN_S)
    # The hub is told to come back right into the past, and is then shown the present.
    hub.kill()
    again = run.start()
    again.running("ctp-main", WITHIN_S)
    _put_back(hub.data_dir, new)
    _is_sound(again, "ctp-backup")
    assert json.dumps(_rows(hub.data_dir), default=str) == json.dumps(new, default=str), "the hub wrote nothing back"


def test_the_watch_sees_a_second_process(run: Run) -> None:
    hub = run.start()
    run.populate(hub)
    worker = hub.running("ctp-main")
    words = ["gateway", "ctp", "--account", "ctp-main", "--incarnation", "1.1", "--parent-pid", str(hub.pid)]
    second = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *words])
    try:
        pids = {worker.pid, second.pid}
        seen = lambda: any({pid for pid, *_ in double} == pids for double in list(run.sole.doubles))
        eventually(seen, 20, "both to be seen")
    finally:
        second.kill()
        second.wait(10)
    time.sleep(0.05)
    run.sole.doubles.clear()
