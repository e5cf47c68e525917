"""Disasters that hit everybody at once: a market that seems silent, a killed hub, a worker that does not want to go."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

from conftest import Hubs
from harness import desired, status
from harness.disasters import CANARIES, HEALTH, LONE, WELL, WELL_FRONT, stage
from harness.processes import exists, workers_of
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import always, eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, OPTION_FRONT, OPTIONS, Front, World, scenario, settings

# The spacing is longer than it takes to find the first one silent again.
HOLD_MS, SPACING_MS = 6_000, 4_500


def test_when_all_are_silent_restarts_are_held_then_spaced_and_the_market_comes_back_by_itself(tmp_path: Path) -> None:
    health = {"market_silent_hold_ms": HOLD_MS, "restart_spacing_ms": SPACING_MS}
    with stage(tmp_path, **health) as on:
        other = on.source("ctp-other")
        processes = [other.healthy(), on.hub.running(WELL)]
        lone, begin_mono = on.hub.running(LONE), time.monotonic()
        for front in (other.front, WELL_FRONT):
            on.world.play(front, scenario("stall"))
        eventually(lambda: status.document(on.hub)["silent_markets"] == ["ctp"], 20, "the market to seem silent")
        assert "perhaps the market is silent" in other.phase("Unhealthy")["why"]
        both = {WELL, other.account}
        assert both == set(status.routes(on.hub, "rb2701.SHFE")), "there is nobody better"
        always(lambda: all(exists(process.pid) for process in processes), HOLD_MS / 2_000, "nobody is restarted")
        # One after the other, the lowest priority first: the moments of their ends tell.
        ends: dict[str, float] = {}
        for old in (processes[1], processes[0]):
            eventually(lambda p=old.pid: not exists(p), 40, f"{old.account} to be restarted")  # type: ignore[misc]
            ends[old.account] = time.monotonic()
        assert ends[other.account] - ends[WELL] > SPACING_MS / 1_000 - 0.5, "not both at once"
        for front in (other.front, WELL_FRONT):
            on.world.end(front)
        for account in both:
            status.wait_for_phase(on.hub, account, "Healthy", within_s=40)
            status.wait_for_condition(on.hub, account, "CanaryFresh", "True", within_s=40)
        eventually(lambda: status.document(on.hub)["silent_markets"] == [], 20, "the silence to be over")
        assert len(status.events(on.hub, "MarketSilent")) == 1, "one alert"
        assert on.hub.running(LONE) == lone, "another kind has nothing to do with it"
        options = [tick.at_mono for tick in on.ticks_since(begin_mono) if tick.topic == "10009123.SSE"]
        assert max(b - a for a, b in pairwise(options)) < 3.0
        assert_unbroken(on.subscriber.by_topic())


def test_a_hub_killed_under_load_and_started_at_once_never_has_two_processes_for_an_account(
    hubs: Hubs, tmp_path: Path
) -> None:
    fronts = {front: Front() for front in (MAIN_FRONT, BACKUP_FRONT, OPTION_FRONT)}
    market = {"kind": "synthetic", "interval_ms": 20, "levels": 5}
    file = settings(tmp_path, World(fronts, market), FUTURES + OPTIONS, health=HEALTH, canaries={"list": CANARIES})
    hub = hubs.populate(hubs.run(file))
    with Subscriber(hub.listening().zmq) as before:
        before.wait_for_ticks(1_000, 20)
    for round_ in range(3):
        old = hub
        os.kill(old.pid, signal.SIGKILL)
        old.process.wait(10)
        hub = hubs.run(file)

        def one_each(old_pid: int = old.pid, new_pid: int = hub.pid) -> bool:
            accounts = [worker.account for worker in workers_of(old_pid) + workers_of(new_pid)]
            return len(accounts) == len(set(accounts))

        always(one_each, 1.5, f"one process for each account, round {round_}")
        eventually(lambda p=old.pid: not workers_of(p), 5, "nothing left of the killed hub")  # type: ignore[misc]
        for account in ("ctp-main", "ctp-backup", "sopt-main"):
            status.wait_for_condition(hub, account, "CanaryFresh", "True")
        with Subscriber(hub.listening().zmq) as after:
            after.wait_for_ticks(500, 20)
            assert_unbroken(after.by_topic())


def test_a_worker_that_ignores_term_is_killed_when_the_hub_leaves(tmp_path: Path) -> None:
    with stage(tmp_path) as on:
        deaf = on.source("ctp-deaf", scenario("ignore_term"))
        process = deaf.healthy()
        eventually(lambda: _ignores_or_catches_term(process.pid), 10, "SIGTERM to be ignored")
        os.kill(process.pid, signal.SIGTERM)
        always(lambda: exists(process.pid), 0.5, "it is deaf indeed")
        assert desired.listed(on.hub.data_dir)["ctp-deaf"]
        assert on.hub.stop() == 0
        assert not exists(process.pid)
        ended = [line for line in on.hub.log().splitlines() if "gateway ended" in line and "account=ctp-deaf" in line]
        assert len(ended) == 1 and "signal 9" in ended[0], ended


def _ignores_or_catches_term(pid: int) -> bool:
    text = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    bit = 1 << (signal.SIGTERM - 1)
    return bool((int(fields["SigIgn"], 16) | int(fields["SigCgt"], 16)) & bit)
