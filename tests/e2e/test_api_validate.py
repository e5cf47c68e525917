"""A login that takes its time is tried to its end: the hub, which ends what outlived its gateway, lets trials live."""

from __future__ import annotations

from conftest import Hubs
from harness.processes import zombies_of
from harness.world import FUTURES, MAIN_FRONT, Front, World, settings
from test_api_trial import account, tried, tryouts

# The hub looks after its children once a second.
CONNECT_MS = 3_000


def test_a_front_that_is_slow_is_tried_to_its_first_tick_and_its_process_is_reaped(hubs: Hubs) -> None:
    world = World({MAIN_FRONT: Front(connect_ms=CONNECT_MS)})
    hub = hubs.run(settings(hubs.directory, world, FUTURES))
    steps = tried(hub, account(MAIN_FRONT))
    assert steps[-1][:2] == ("result", "ok"), steps
    assert "tick" in [name for name, _, _ in steps], steps
    assert "outlived" not in hub.log()
    assert tryouts(hub) == [] and zombies_of(hub.pid) == []
