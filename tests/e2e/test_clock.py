"""A wall clock that is set forward and back under a running hub."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from conftest import Hubs
from harness import desired
from harness.api import send
from harness.hub import Hub
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, live_world, settings

CLOCK_LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), Path("/nowhere"))


def test_a_wall_clock_that_jumps_restarts_nobody_and_holds_up_no_tick(hubs: Hubs, tmp_path: Path) -> None:
    if not CLOCK_LIBRARY.is_file():
        assert os.environ.get("CI") != "true", "libfaketime is not installed, and must be where CI=true"
        pytest.skip("libfaketime is not installed; get it with: sudo make deps")
    file = settings(hubs.directory, live_world(), FUTURES)
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {"LD_PRELOAD": str(CLOCK_LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    hub = Hub.run(hubs.directory / "jump", file, **faked)
    hubs.started.append(hub)
    hub.listening()
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    desired.add(hub.data_dir, "ctp-backup", BACKUP_FRONT, priority=2)
    first = [hub.running("ctp-main"), hub.running("ctp-backup")]
    at_ms = lambda: send(hub, "GET", "/api/contracts?limit=1")[1]["at_ms"]
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        subscriber.wait_for_ticks(20, 20)
        for jump, ahead_s in (("+2h", 7_200), ("-3h", -10_800), ("+0", 0)):
            clock.write_text(jump)
            eventually(lambda ahead_s=ahead_s: abs(at_ms() / 1_000 - time.time() - ahead_s) < 30, 20, f"the hub's clock is at {jump}")
            subscriber.wait_for_ticks(40, 20)
            assert [hub.worker("ctp-main"), hub.worker("ctp-backup")] == first, jump
            assert hub.health() == (200, {"status": "ok"})
        assert_unbroken(subscriber.by_topic())
