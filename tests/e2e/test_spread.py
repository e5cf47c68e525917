"""Contracts spread over the sources: `contracts.redundancy` and `max_by_account`, what goes where when a source dies or does
not bring a contract, and how long it takes."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

from conftest import Hubs
from harness import desired, status
from harness.disasters import HEALTH
from harness.hub import Hub
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import always, eventually
from harness.world import BACKUP_FRONT, MAIN_FRONT, LiveWorld, live_world, scenario, settings

CANARIES = ["rb2701.SHFE", "m2705.DCE"]
OTHERS = ["au2612.SHFE", "ag2612.SHFE", "y2705.DCE", "MA701.CZCE"]
WITHIN_S = 30.0
# DESIGN: the subscription at the backup within 100 ms of the kill; tests assert ten times the target. The front's next tick
# of a contract follows within 500 ms.
SUBSCRIBED_S_MAX = 1.0


def _hub(hubs: Hubs, *accounts: str, health: dict[str, Any] | None = None, **contracts: Any) -> tuple[Hub, Path]:
    file = settings(
        hubs.directory,
        live_world(),
        CANARIES + OTHERS,
        canaries={"list": CANARIES},
        health={**HEALTH, "contract_silence_ms": 1_500, **(health or {})},
    )
    document = json.loads(file.read_text())
    document["contracts"].update(contracts)
    file.write_text(json.dumps(document))
    hub = hubs.run(file)
    for priority, (account, front) in enumerate(zip(accounts, (MAIN_FRONT, BACKUP_FRONT), strict=False), 1):
        desired.add(hub.data_dir, account, front, priority=priority)
        status.wait_for_condition(hub, account, "Ready", "True", within_s=WITHIN_S)
    return hub, file


def _all_at(hub: Hub, *accounts: str) -> bool:
    return all(status.routes(hub, contract) == list(accounts) for contract in OTHERS)


def test_with_redundancy_one_a_killed_sources_contracts_go_on_at_the_other_at_once_and_stay_there(hubs: Hubs) -> None:
    hub, _ = _hub(hubs, "ctp-main", "ctp-backup", redundancy=1)
    eventually(lambda: _all_at(hub, "ctp-main"), WITHIN_S, "every contract to be at ctp-main alone")
    assert all(len(status.routes(hub, canary)) == 2 for canary in CANARIES), "canaries are everywhere"
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        subscriber.wait_for_ticks(20, WITHIN_S)
        killed_mono = time.monotonic()
        os.kill(hub.running("ctp-main").pid, signal.SIGKILL)
        eventually(lambda: _all_at(hub, "ctp-backup"), SUBSCRIBED_S_MAX * 5, "every contract to be at ctp-backup")

        def first_after() -> float | None:
            after = [tick for tick in subscriber.ticks() if tick.at_mono > killed_mono + 0.05 and tick.topic in OTHERS]
            return min(tick.at_mono for tick in after) - killed_mono if after else None

        gap_s = eventually(first_after, 10, "a tick of a contract that went over")
        print(f"redundancy 1: the first tick from the backup came {gap_s * 1_000:.0f} ms after the kill")
        assert gap_s < SUBSCRIBED_S_MAX + 0.5
        eventually(lambda: status.events(hub, "Failover", "ctp-main"), 10, "an event of the failover")
        told = status.events(hub, "Failover", "ctp-main")[-1]
        found = re.search(r"came (\d+) ms after ctp-main was lost", told)
        assert "contracts go on with ctp-backup" in told and "au2612.SHFE" in told and found, told
        assert int(found[1]) < (SUBSCRIBED_S_MAX + 0.5) * 1_000
        status.wait_for_phase(hub, "ctp-main", "Healthy", within_s=WITHIN_S)
        always(lambda: _all_at(hub, "ctp-backup"), 2.0, "a contract stays where it is delivered")
        assert_unbroken(subscriber.by_topic())


def test_a_contract_that_a_front_refuses_goes_to_the_other_source_and_the_others_stay(hubs: Hubs) -> None:
    world = LiveWorld(hubs.directory / "world.json")
    hub, _ = _hub(hubs, redundancy=1)
    world.play(MAIN_FRONT, scenario("subscription_refused", instruments=["au2612"]))
    for priority, (account, front) in enumerate((("ctp-main", MAIN_FRONT), ("ctp-backup", BACKUP_FRONT)), 1):
        desired.add(hub.data_dir, account, front, priority=priority)
    eventually(lambda: status.routes(hub, "au2612.SHFE")[:1] == ["ctp-backup"], WITHIN_S, "au2612 to be at ctp-backup")
    told = status.wait_for_condition(hub, "ctp-main", "Subscribed", "False", "Refused", within_s=WITHIN_S)
    assert "au2612 (16, CTP:找不到合约)" in told["message"]
    assert status.of_account(hub, "ctp-main")["phase"] == "Healthy", "one contract is no reason to be sick"
    assert all(status.routes(hub, contract)[:1] == ["ctp-main"] for contract in OTHERS if contract != "au2612.SHFE")


def test_a_source_that_is_silent_on_a_contract_that_others_bring_is_told_again_then_named_until_it_comes(
    hubs: Hubs,
) -> None:
    hub, file = _hub(hubs, "ctp-main", "ctp-backup")
    world = LiveWorld.beside(file)
    process = hub.running("ctp-main")
    with world.playing(MAIN_FRONT, scenario("stall", instruments=["au2612", "MA701"])):
        status.wait_for_condition(hub, "ctp-main", "Subscribed", "False", "ContractsSilent", within_s=WITHIN_S)

        def is_named() -> bool:
            told = status.condition(hub, "ctp-main", "Subscribed")["message"].partition("silent though others bring them: ")[2]
            return set(told.split(", ")) == {"MA701.CZCE", "au2612.SHFE"}

        eventually(is_named, WITHIN_S, "both contracts to be named")
        assert status.routes(hub, "au2612.SHFE") == ["ctp-backup", "ctp-main"]
        assert status.routes(hub, "y2705.DCE") == ["ctp-main", "ctp-backup"]
        assert "subscribed again" in hub.log()
        eventually(lambda: status.events(hub, "ContractsSilent", "ctp-main"), 10, "an event of it")
        assert status.of_account(hub, "ctp-main")["phase"] == "Healthy"
    status.wait_for_condition(hub, "ctp-main", "Subscribed", "True", "Acknowledged", within_s=WITHIN_S)
    assert hub.running("ctp-main") == process, "nothing was restarted for it"


def test_no_source_carries_more_than_it_may_and_what_has_no_room_is_an_incident_until_it_has(hubs: Hubs) -> None:
    hub, file = _hub(hubs, "ctp-main", "ctp-backup", max_by_account={"ctp-main": 4, "ctp-backup": 3}, redundancy=1)
    lacking = eventually(lambda: status.events(hub, "NoRoom"), WITHIN_S, "an event of what has no room")
    assert "no source has room for" in lacking[-1] and "contracts.max_by_account" in lacking[-1]
    held = [tuple(status.routes(hub, contract)) for contract in OTHERS]
    assert sorted(held) == [(), ("ctp-backup",), ("ctp-main",), ("ctp-main",)]
    text = file.read_text().replace('"ctp-backup": 3', '"ctp-backup": 4')
    file.write_text(text)
    eventually(lambda: status.events(hub, "NoRoomOver"), WITHIN_S, "room for all once the settings give it")
    assert all(status.routes(hub, contract) for contract in OTHERS)


def test_other_settings_are_no_failover_and_cost_no_tick(hubs: Hubs) -> None:
    hub, file = _hub(hubs, "ctp-main", "ctp-backup")
    text = file.read_text()
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        subscriber.wait_for_ticks(20, WITHIN_S)
        for redundancy, holders in [(1, 1), (2, 2), (1, 1), (0, 2)]:
            document = json.loads(text)
            document["contracts"]["redundancy"] = redundancy
            file.write_text(json.dumps(document))
            wanted = lambda holders=holders: all(len(status.routes(hub, contract)) == holders for contract in OTHERS)
            eventually(wanted, WITHIN_S, f"every contract to be at {holders}")
            subscriber.wait_for_ticks(20, WITHIN_S)
        assert_unbroken(subscriber.by_topic())
    assert not status.events(hub, "Failover", "ctp-main") and not status.events(hub, "Failover", "ctp-backup")
    moved = status.events(hub, "Reassigned", "ctp-main") + status.events(hub, "Reassigned", "ctp-backup")
    assert moved and all("is well" in message for message in moved)
