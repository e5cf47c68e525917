"""Processes die, and pipes bring rubbish: what a subscriber notices, and what is left behind."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import Hubs
from harness.hub import Hub
from harness.processes import exists, tick_pipe, workers_of, zombies_of
from harness.subscriber import Received, Subscriber, assert_unbroken
from harness.waiting import eventually

NOTICED_TARGET_S = 0.05
BACKOFF_MIN_S = 0.5
BACKOFF_MAX_S = 4.0
SILENCE_S_MAX = 1.5


def _liquid(by_topic: dict[str, list[Received]]) -> set[str]:
    """The futures that tick at least three times in two seconds."""

    def rate(ticks: list[Received]) -> float:
        return (len(ticks) - 1) / max(ticks[-1].at_mono - ticks[0].at_mono, 0.1)

    return {topic for topic, ticks in by_topic.items() if not topic.endswith(".SSE") and rate(ticks) > 1.5}


def _assert_not_interrupted(subscriber: Subscriber, liquid: set[str]) -> None:
    """No gap in seq, no tid twice, and no silence in any liquid contract: neither on arrival nor by exchange time."""
    by_topic = subscriber.by_topic()
    assert_unbroken(by_topic)
    for topic in liquid:
        for earlier, later in pairwise(by_topic[topic]):
            by_clock = later.at_mono - earlier.at_mono
            by_exchange: dt.timedelta = later.payload["datetime"] - earlier.payload["datetime"]
            assert by_clock <= SILENCE_S_MAX, f"{topic}: nothing for {by_clock:.2f} s"
            assert by_exchange.total_seconds() <= SILENCE_S_MAX, f"{topic}: snapshots missing for {by_exchange}"


def _sources_since(subscriber: Subscriber, moment: float) -> set[str]:
    return {tick.payload["source"] for tick in subscriber.ticks() if tick.at_mono > moment}


def _steady(hub: Hub, subscriber: Subscriber) -> set[str]:
    """Waits until both futures sources deliver, and returns the liquid contracts."""
    for account in ("ctp-main", "ctp-backup"):
        eventually(lambda a=account: hub.counter(a, "received") > 10, 20, f"ticks from {account}")  # type: ignore[misc]
    subscriber.wait_for_ticks(100, 20)
    liquid = _liquid(subscriber.by_topic())
    assert len(liquid) >= 3, f"too few liquid contracts to judge by: {liquid}"
    return liquid


def test_a_killed_worker_is_noticed_at_once_and_relaunched_while_the_other_source_goes_on(hubs: Hubs) -> None:
    hub = hubs.live()
    with Subscriber(hub.listening().zmq) as subscriber:
        liquid = _steady(hub, subscriber)
        main, backup = hub.running("ctp-main"), hub.running("ctp-backup")
        killed_mono = time.monotonic()
        os.kill(main.pid, signal.SIGKILL)
        eventually(lambda: not exists(main.pid), 10 * NOTICED_TARGET_S, "the hub to collect the dead worker")
        noticed_s = time.monotonic() - killed_mono
        new = hub.replaced(main, BACKOFF_MAX_S)
        relaunched_s = time.monotonic() - killed_mono
        print(f"kill -9: noticed after {noticed_s * 1000:.0f} ms, relaunched after {relaunched_s:.2f} s")
        assert relaunched_s > BACKOFF_MIN_S, "there was no backoff"
        assert new.incarnation != main.incarnation
        before = hub.counter("ctp-main", "received")
        eventually(lambda: hub.counter("ctp-main", "received") != before, 10, "ticks from the relaunched worker")
        subscriber.wait_for_ticks(50, 10)
        _assert_not_interrupted(subscriber, liquid)
        assert _sources_since(subscriber, killed_mono) >= {"ctp-backup", "sopt-main"}
        assert hub.worker("ctp-backup") == backup, "the other source was touched"
        assert not zombies_of(hub.pid)


def test_no_worker_outlives_a_killed_hub(hubs: Hubs) -> None:
    hub = hubs.live()
    assert len(hub.workers()) == 3
    hub.kill()
    eventually(lambda: not workers_of(hub.pid), 1.0, "every worker gone")


def test_a_killed_hub_comes_back_on_the_same_directory_with_all_its_accounts(hubs: Hubs, tmp_path: Path) -> None:
    hub = hubs.live()
    epoch = hub.listening().epoch
    hub.kill()
    again = hubs.run(tmp_path / "mdhub.yaml")
    assert again.listening().epoch != epoch
    for account in ("ctp-main", "ctp-backup", "sopt-main"):
        again.running(account)
    with Subscriber(again.listening().zmq) as subscriber:
        subscriber.wait_for_ticks(20, 20)
        assert_unbroken(subscriber.by_topic())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_hub_that_is_asked_to_leave_exits_with_zero_and_takes_its_workers_along(hubs: Hubs, name: str) -> None:
    hub = hubs.live()
    hub.process.send_signal(getattr(signal, name))
    assert hub.process.wait(15) == 0
    assert not workers_of(hub.pid)


@pytest.mark.parametrize("pipe", ["ticks", "control frames", "log"])
def test_rubbish_on_a_worker_pipe_costs_at_most_that_worker(hubs: Hubs, pipe: str) -> None:
    hub = hubs.live()
    with Subscriber(hub.listening().zmq) as subscriber:
        liquid = _steady(hub, subscriber)
        main, backup = hub.running("ctp-main"), hub.running("ctp-backup")
        fds = Path(f"/proc/{main.pid}/fd")
        path = {"ticks": tick_pipe(main.pid), "control frames": fds / "3", "log": fds / "2"}[pipe]
        with path.open("wb", buffering=0) as end:
            end.write(b"\xff\xfe\xfd\xfc rubbish \x00\n" * 20)
        if pipe == "log":
            subscriber.wait_for_ticks(50, 10)
            assert hub.worker("ctp-main") == main, "a log line is text, whatever is in it"
        else:
            hub.replaced(main, 15)
            subscriber.wait_for_ticks(50, 10)
        _assert_not_interrupted(subscriber, liquid)
        assert hub.worker("ctp-backup") == backup
        assert hub.health()[0] == 200


def test_a_worker_that_is_frozen_does_not_hold_up_the_others(hubs: Hubs) -> None:
    hub = hubs.live()
    with Subscriber(hub.listening().zmq) as subscriber:
        liquid = _steady(hub, subscriber)
        main = hub.running("ctp-main")
        os.kill(main.pid, signal.SIGSTOP)
        try:
            subscriber.wait_for_ticks(100, 20)
            _assert_not_interrupted(subscriber, liquid)
        finally:
            os.kill(main.pid, signal.SIGCONT)
        subscriber.wait_for_ticks(100, 20)
        _assert_not_interrupted(subscriber, liquid)
