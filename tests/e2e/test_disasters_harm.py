"""Disasters inside a gateway's process: however it dies, hangs or multiplies, it is ended and replaced, and a client
notices nothing while another source is healthy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from harness import desired, status
from harness.disasters import WELL, Stage, forked_from, stage
from harness.processes import exists
from harness.waiting import always, eventually
from harness.world import scenario

ABORTED, SEGMENTATION_FAULT, KILLED = "signal 6", "signal 11", "signal 9"


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One hub for every disaster of this file."""
    with stage(tmp_path_factory.mktemp("stage")) as ready:
        yield ready


@pytest.mark.parametrize(("kind", "reason"), [("abort", ABORTED), ("segfault", SEGMENTATION_FAULT)])
def test_a_library_that_takes_its_process_down_is_relaunched_after_a_backoff(on: Stage, kind: str, reason: str) -> None:
    with on.victim(f"ctp-{kind}") as victim:
        process = victim.healthy()
        victim.play(scenario(kind))  # type: ignore[arg-type]
        victim.exited(reason)
        ended_mono = time.monotonic()
        victim.play()
        victim.replaced(process)
        victim.healthy()
        assert time.monotonic() - ended_mono < 15, "a backoff has an end"
        assert reason in status.events(on.hub, "ProcessExited", victim.account)[0]
        assert WELL in status.events(on.hub, "Failover", victim.account)[0]


def test_a_process_that_dies_again_and_again_is_a_crash_loop_and_is_tried_on(on: Stage) -> None:
    with on.victim("ctp-loop") as victim:
        victim.healthy()
        victim.play(scenario("abort", after_ms=100))
        message = victim.condition("CrashLoop", "True", "TooManyExits", within_s=40)
        assert "it goes on trying" in message
        tries = len(status.events(on.hub, "ProcessExited", victim.account))
        more = lambda: len(status.events(on.hub, "ProcessExited", victim.account)) > tries
        eventually(more, 20, "a further try")
        assert len(status.events(on.hub, "TooManyExits", victim.account)) == 1, "one alert"
        victim.play()
        victim.healthy()


def test_calls_into_the_library_that_never_return_end_the_process(on: Stage) -> None:
    with ExitStack() as all_victims:
        hung = {
            place: all_victims.enter_context(on.victim(f"ctp-{place}", scenario("endless", at=place, spins=spins)))
            for place, spins in {"init": False, "login": True, "subscribe": False}.items()
        }
        release = all_victims.enter_context(on.victim("ctp-release"))
        callback = all_victims.enter_context(on.victim("ctp-callback"))
        releasing, calling = release.healthy(), callback.healthy()
        release.play(scenario("endless", at="release"))
        callback.play(scenario("endless", at="callback"))
        desired.change(on.hub.data_dir, "restart", release.account)
        release.replaced(releasing)
        assert not exists(releasing.pid)
        release.play()
        callback.phase("Unhealthy")
        callback.play()
        callback.replaced(calling)
        # They are found out at about the same time, and killed after the grace: nothing else ends them.
        for victim in hung.values():
            victim.exited(KILLED, within_s=40)
            victim.play()
            assert "signal 9" in status.events(on.hub, "ProcessExited", victim.account)[0]
        for victim in (*hung.values(), release, callback):
            victim.healthy(within_s=60)


def test_forked_children_are_gone_with_their_process_even_where_they_left_its_session(on: Stage) -> None:
    kinds = [
        scenario("fork", name="plain", children=3),
        scenario("fork", name="deaf", children=2, ignores_term=True),
        scenario("fork", name="gone away", children=2, generations=2, setsid=True, ignores_term=True),
    ]
    with on.victim("ctp-forks") as victim:
        process = victim.healthy()
        victim.play(*kinds)
        eventually(lambda: len(forked_from(on.hub)) >= 9, 10, "nine children, less those that left")
        victim.play()
        children = forked_from(on.hub)
        desired.change(on.hub.data_dir, "restart", victim.account)
        gone = lambda: not any(exists(pid) for pid in [process.pid, *children])
        eventually(gone, 20, f"{children} of {process.pid} to be gone")
        victim.healthy()
        assert not forked_from(on.hub)


def test_a_frozen_process_is_noticed_by_its_silence_ended_and_replaced(on: Stage) -> None:
    with on.victim("ctp-frozen") as victim:
        process = victim.healthy()
        os.kill(process.pid, signal.SIGSTOP)
        victim.phase("Unhealthy", "Stopping")
        victim.routed("rb2701.SHFE", False)
        victim.replaced(process)
        assert not exists(process.pid)
        assert status.of_account(on.hub, victim.account)["last_exit"]["asked"]
        victim.healthy()


def test_a_flood_on_stdout_and_stderr_costs_nothing(on: Stage) -> None:
    with on.victim("ctp-flood") as victim:
        process = victim.healthy()
        before = on.hub.stderr_path.stat().st_size
        victim.play(scenario("flood", stream="both", bytes=1_000_000, every_ms=100))
        always(lambda: on.hub.health()[0] == 200, 4.0, "the hub is well")
        victim.delivers()
        victim.play()
        assert on.hub.running(victim.account) == process
        written = on.hub.stderr_path.stat().st_size - before
        assert written < 20_000_000, f"{written} bytes of log for some 80 MB of junk"
        log = on.hub.stderr_path.read_bytes()[before:]
        control = {byte for byte in log if byte < 0x20 and byte != 0x0A}
        assert not control, f"control characters in the log: {sorted(control)}"
        victim.healthy()
