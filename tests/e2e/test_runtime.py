"""The hub about itself: it ends itself when it stands still, cuts what hangs, and leaves in two stages."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import Hubs
from harness import desired, status
from harness.disasters import HEALTH
from harness.hub import Hub
from harness.processes import exists, workers_of
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import always, eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, LiveWorld, live_world, scenario, settings

EXIT_STOOD_STILL = 75
WITHIN_S = 30.0
# DESIGN: a wedged feed ends the process, and a restart publishes, within this.
BACK_WITHIN_S = 20.0


def _file(hubs: Hubs, **health: Any) -> Path:
    return settings(hubs.directory, live_world(), FUTURES, health={**HEALTH, **health})


def _populated(hubs: Hubs, file: Path, hooks: str = "") -> Hub:
    hub = hubs.run(file, MDHUB_TEST_HOOKS=hooks)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    desired.add(hub.data_dir, "ctp-backup", BACKUP_FRONT, priority=2)
    for account in ("ctp-main", "ctp-backup"):
        status.wait_for_condition(hub, account, "Ready", "True", within_s=WITHIN_S)
    return hub


def test_a_wedged_feed_thread_ends_the_process_and_a_restart_publishes_within_20_s(hubs: Hubs) -> None:
    file, wedge = _file(hubs), hubs.directory / "wedge"
    hub = _populated(hubs, file, f"wedge-feed={wedge}")
    with Subscriber(hub.listening().zmq) as subscriber:
        subscriber.wait_for_ticks(20, WITHIN_S)
    wedged_mono = time.monotonic()
    wedge.touch()
    assert hub.process.wait(BACK_WITHIN_S) == EXIT_STOOD_STILL
    ended_s = time.monotonic() - wedged_mono
    # Whoever supervises it starts it again.
    again = hubs.run(file)
    with Subscriber(again.listening().zmq) as subscriber:
        subscriber.wait_for_ticks(1, WITHIN_S)
        back_s = time.monotonic() - wedged_mono
        print(f"feed wedged: the process ended after {ended_s:.1f} s, a restart published after {back_s:.1f} s")
        assert back_s < BACK_WITHIN_S
        subscriber.wait_for_ticks(30, WITHIN_S)
        assert_unbroken(subscriber.by_topic())
    assert "mdhub: the feed thread has stood still for" in hub.log()
    assert len(status.events(again, "StoodStill")) == 1, "the event was written before the end"
    assert not workers_of(hub.pid)


def test_a_wedged_control_loop_ends_the_process_and_ticks_flow_until_then(hubs: Hubs) -> None:
    file = _file(hubs, hub={"still_ms_max": 3_000, "run_ms_max": 1_000})
    wedge = hubs.directory / "wedge"
    hub = _populated(hubs, file, f"wedge-control={wedge}")
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        wedge.touch()
        eventually(lambda: hub.process.poll() is not None, WITHIN_S, "the hub to end itself")
        ended_mono = time.monotonic()
        assert hub.process.returncode == EXIT_STOOD_STILL
        last_s = ended_mono - max(tick.at_mono for tick in subscriber.ticks())
        assert last_s < 2.5, f"no tick in the last {last_s:.1f} s: control holds up the feed"
    assert "mdhub: the control loop has stood still for" in hub.log()
    eventually(lambda: not workers_of(hub.pid), 5, "no worker to be left")


def test_a_hub_that_was_stopped_and_goes_on_is_not_ended_by_its_watchdog(hubs: Hubs) -> None:
    hub = _populated(hubs, _file(hubs, hub={"still_ms_max": 2_000, "run_ms_max": 1_000}))
    workers = hub.workers()
    for _ in range(2):
        hub.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(4.0)
        finally:
            hub.process.send_signal(signal.SIGCONT)
        always(lambda: hub.process.poll() is None, 2.5, "every beat was old at once, and nobody is to blame")
    with Subscriber(hub.listening().zmq) as subscriber:
        subscriber.wait_for_ticks(20, WITHIN_S)
    assert hub.workers() == workers
    assert "stood still" not in hub.log()


def test_a_reconcile_that_hangs_is_cut_and_told_and_holds_up_no_other_account(hubs: Hubs) -> None:
    hang = hubs.directory / "hang"
    hub = _populated(hubs, _file(hubs, hub={"run_ms_max": 2_000}), f"hang-run=ctp-main:{hang}")
    main = hub.running("ctp-main")
    hang.touch()
    desired.change(hub.data_dir, "disable", "ctp-main")
    desired.change(hub.data_dir, "disable", "ctp-backup")
    hub.stopped("ctp-backup", WITHIN_S)
    eventually(lambda: "it hung and was cut" in hub.log(), WITHIN_S, "the run that hangs to be cut")
    told = next(line for line in hub.log().splitlines() if "it hung and was cut" in line)
    assert "ctp-main" in told, told
    assert hub.worker("ctp-main") == main
    hang.unlink()
    hub.stopped("ctp-main", WITHIN_S)


def test_one_signal_ends_a_hub_in_order_though_a_reconcile_hangs(hubs: Hubs) -> None:
    hang = hubs.directory / "hang"
    hub = _populated(hubs, _file(hubs, hub={"run_ms_max": 600_000}), f"hang-run=ctp-main:{hang}")
    hang.touch()
    desired.change(hub.data_dir, "disable", "ctp-main")
    desired.change(hub.data_dir, "disable", "ctp-backup")
    hub.stopped("ctp-backup", WITHIN_S)
    hub.process.send_signal(signal.SIGTERM)
    assert hub.process.wait(WITHIN_S) == 0
    assert not workers_of(hub.pid)
    assert "the hub has ended" in hub.log()


def test_one_signal_gives_subscribers_what_waits_for_them_before_the_hub_ends(hubs: Hubs) -> None:
    hub = _populated(hubs, _file(hubs))
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        subscriber.wait_for_ticks(20, WITHIN_S)
        assert hub.stop() == 0
        assert "the hub has ended" in hub.log() and "the feed is still held" not in hub.log()
        assert_unbroken(subscriber.by_topic())


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_hub_at_once_and_leaves_no_worker(hubs: Hubs, second: signal.Signals) -> None:
    file = _file(hubs, term_grace_ms=60_000)
    LiveWorld.beside(file).add(MAIN_FRONT, scenario("ignore_term"))
    hub = _populated(hubs, file)
    main = hub.running("ctp-main")
    os.kill(main.pid, signal.SIGTERM)
    always(lambda: exists(main.pid), 0.5, "it does not feel TERM: an end in order would take the whole grace")
    hub.process.send_signal(signal.SIGTERM)
    eventually(lambda: "the hub ends" in hub.log(), WITHIN_S, "the first signal to be heard")
    always(lambda: hub.process.poll() is None and exists(main.pid), 1.0, "the worker is given its grace")
    hub.process.send_signal(second)
    assert hub.process.wait(10) == 0
    assert not workers_of(hub.pid), "a worker outlived the hub"
    assert "ended at once" in hub.log()



def test_every_line_of_a_reconcile_names_its_account_and_process(hubs: Hubs) -> None:
    hub = _populated(hubs, _file(hubs))
    desired.change(hub.data_dir, "restart", "ctp-main")
    status.wait_for_condition(hub, "ctp-main", "Ready", "True", within_s=WITHIN_S)
    eventually(lambda: hub.log().count(": started account=ctp-main") == 2, WITHIN_S, "the second start")
    lines = [line for line in hub.log().splitlines() if "run=ctp-main" in line]
    assert any(": asked to leave account=ctp-main" in line for line in lines)
    for line in lines:
        assert "account=ctp-main" in line and "incarnation=" in line, line
    generations = [line.split("generation=")[1].split()[0] for line in lines if ": started " in line]
    assert len(generations) == 2 and int(generations[1]) == int(generations[0]) + 1
