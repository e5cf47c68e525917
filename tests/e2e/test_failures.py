"""Processes die, and pipes bring rubbish: what a subscriber notices, and what is left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import Hubs
from harness.arbitration_oracle import Journal, first_hand_overs, quiet_moment
from harness.hub import Hub
from harness.processes import exists, tick_pipe, workers_of
from harness.subscriber import Received, Subscriber, assert_unbroken
from harness.waiting import eventually

NOTICED_TARGET_S = 0.05
BACKOFF_MIN_S = 0.5
BACKOFF_MAX_S = 4.0
SILENCE_S_MAX = 1.5


@dataclass(frozen=True)
class Watched:
    """A hub with all its accounts, and a subscriber that was there before them."""

    hub: Hub
    subscriber: Subscriber
    journals: tuple[Path, Path]

    def futures(self) -> list[Received]:
        """Every tick of the two sources that carry the same contracts."""
        return [tick for tick in self.subscriber.ticks() if tick.payload["source"] != "sopt-main"]

    def assert_nothing_was_lost(self) -> None:
        """No gap in seq, no tid twice, no silence; and as many ticks came as the fronts handed over different ones."""
        assert self.subscriber.disconnects == 0
        assert_unbroken(self.subscriber.by_topic())
        for earlier, later in pairwise(self.futures()):
            silent_s = later.at_mono - earlier.at_mono
            assert silent_s <= SILENCE_S_MAX, f"no futures tick at all for {silent_s:.2f} s"
        moments = self._first_hand_overs()
        cut_ns = quiet_moment(moments)
        handed_over = sum(moment < cut_ns for moment in moments)
        offset_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - time.time_ns()
        published = sum(tick.payload["ingress_ns"] + offset_ns < cut_ns for tick in self.futures())
        assert published == handed_over, f"{handed_over} different ones were handed over, {published} published"

    def _first_hand_overs(self) -> list[int]:
        """When each record was first handed over, as far as both fronts have written it down."""
        now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)

        def written() -> list[Journal] | None:
            journals = [Journal.read_growing(path) for path in self.journals]
            return journals if all(journal.last_ns > now_ns for journal in journals) else None

        return first_hand_overs(eventually(written, 10, "both journals to reach the present"))


@pytest.fixture
def watched(hubs: Hubs) -> Iterator[Watched]:
    """Both futures sources deliver, steadily."""
    hub = hubs.empty()
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        hubs.populate(hub)
        for account in ("ctp-main", "ctp-backup"):
            eventually(lambda a=account: hub.counter(a, "received") > 10, 20, f"ticks from {account}")  # type: ignore[misc]
        subscriber.wait_for_ticks(60, 20)
        yield Watched(hub, subscriber, hubs.journals)


def test_a_killed_worker_is_noticed_at_once_and_relaunched_while_the_other_source_goes_on(watched: Watched) -> None:
    hub, subscriber = watched.hub, watched.subscriber
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
    watched.assert_nothing_was_lost()
    since = {tick.payload["source"] for tick in subscriber.ticks() if tick.at_mono > killed_mono}
    assert since >= {"ctp-backup", "sopt-main"}
    assert hub.worker("ctp-backup") == backup, "the other source was touched"


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
def test_rubbish_on_a_worker_pipe_costs_at_most_that_worker(watched: Watched, pipe: str) -> None:
    hub, subscriber = watched.hub, watched.subscriber
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
    watched.assert_nothing_was_lost()
    assert hub.worker("ctp-backup") == backup
    assert hub.health()[0] == 200


def test_a_worker_that_is_frozen_does_not_hold_up_the_others(watched: Watched) -> None:
    main = watched.hub.running("ctp-main")
    os.kill(main.pid, signal.SIGSTOP)
    try:
        watched.subscriber.wait_for_ticks(60, 20)
    finally:
        os.kill(main.pid, signal.SIGCONT)
    watched.subscriber.wait_for_ticks(60, 20)
    watched.assert_nothing_was_lost()
