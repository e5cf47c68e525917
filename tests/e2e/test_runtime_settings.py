"""Settings that change while the hub runs, and what status.json says about the hub and its accounts."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import Hubs
from harness import desired, status
from harness.disasters import HEALTH
from harness.hub import Hub
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import always, eventually
from harness.world import FUTURES, MAIN_FRONT, LiveWorld, live_world, scenario, settings

WITHIN_S = 20.0
GIVEN = FUTURES[:3]


@pytest.fixture
def hub(hubs: Hubs) -> Hub:
    """One source, three contracts."""
    hub = hubs.run(settings(hubs.directory, live_world(), GIVEN, health=HEALTH, canaries={"list": GIVEN[:1]}))
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    status.wait_for_condition(hub, "ctp-main", "Ready", "True")
    return hub


def _file(hub: Hub) -> Path:
    return hub.data_dir.with_name("mdhub.yaml")


def _write(hub: Hub, **sections: Any) -> None:
    """Writes the settings anew, in place, with these sections."""
    document = json.loads(_file(hub).read_text())
    document.update(sections)
    _file(hub).write_text(json.dumps(document, indent=2))


def _told(hub: Hub, reason: str, *parts: str) -> str:
    """Waits for an event with all of these in its message."""
    found = lambda: next((m for m in status.events(hub, reason) if all(part in m for part in parts)), None)
    return eventually(found, WITHIN_S, f"an event {reason} with {parts}")


def _settings(hub: Hub) -> dict[str, Any]:
    return dict(status.document(hub).get("settings", {}))


def test_changed_contracts_and_limits_are_in_force_without_a_restart_of_anything(hub: Hub) -> None:
    worker = hub.running("ctp-main")
    with Subscriber(hub.listening().zmq, *(name.split(".")[0] for name in FUTURES)).connected() as subscriber:
        subscriber.wait_for(lambda s: set(s.by_topic()) >= set(GIVEN), WITHIN_S, "the first contracts to tick")
        _write(hub, contracts={"list": FUTURES[1:5]}, canaries={"list": FUTURES[1:2]})
        _told(hub, "SettingsReloaded", "canaries.list", "contracts.list")
        subscriber.wait_for(lambda s: set(s.by_topic()) >= set(FUTURES[:5]), WITHIN_S, "the new ones to tick")
        assert_unbroken(subscriber.by_topic())
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        # Nobody asks for it any more, and the settings do not either.
        subscriber.wait_for(lambda s: len(s) > 40, WITHIN_S, "ticks")
        routes = lambda: set(status.document(hub)["routes"])
        eventually(lambda: routes() == set(FUTURES[1:5]), WITHIN_S, "routes for what is wanted, and nothing else")
    _write(hub, health={**HEALTH, "cool_down_ms": 77}, logging={"filter": "debug"})
    _told(hub, "SettingsReloaded", "health.cool_down_ms", "logging.filter")
    assert hub.running("ctp-main") == worker, "nothing was restarted"
    assert _settings(hub)["refused"] is None and _settings(hub)["restart_needed"] == []
    assert " DEBUG " not in hub.log()
    desired.change(hub.data_dir, "restart", "ctp-main")
    eventually(lambda: " DEBUG " in hub.log(), WITHIN_S, "lines that were not wanted before")


def test_changed_rules_reach_the_tick_path_whole(hub: Hub) -> None:
    rejected = lambda: next(
        (row["ticks"] for row in hub.vitals().get("rejected_by_rule", []) if row["rule"] == "crossed_book"), 0
    )
    world = LiveWorld.beside(_file(hub))
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        crossed = lambda: sum(
            1
            for tick in subscriber.ticks()
            if tick.payload["bid_price_1"] and tick.payload["ask_price_1"]
            and tick.payload["bid_price_1"] > tick.payload["ask_price_1"]
        )
        with world.playing(MAIN_FRONT, scenario("crossed_book", rate=0.3)):
            eventually(lambda: rejected() > 3, WITHIN_S, "crossed books to be rejected")
            assert crossed() == 0
            _write(hub, cleansing={"rules": {"crossed_book": "off"}})
            _told(hub, "SettingsReloaded", "cleansing.rules.crossed_book")
            eventually(lambda: crossed() > 3, WITHIN_S, "crossed books to be published")
            _write(hub, cleansing={})
            eventually(lambda: len(status.events(hub, "SettingsReloaded")) == 2, WITHIN_S, "the rule to be back")
            before, published = rejected(), crossed()
            eventually(lambda: rejected() > before + 3, WITHIN_S, "crossed books to be rejected again")
            assert crossed() <= published + 2, "those that were on their way"
        assert_unbroken(subscriber.by_topic())


def test_a_bad_file_is_refused_by_name_and_what_was_stays_in_force(hub: Hub) -> None:
    worker, good = hub.running("ctp-main"), _file(hub).read_text()
    for sections, parts in (
        ({"health": {"backoff_min_ms": 5}}, ["health.backoff_min_ms", "5 is not allowed", "10 to 60000"]),
        ({"logging": {"filter": "a=b=c"}}, ["logging.filter", "a=b=c", "is not allowed"]),
        ({"contracts": {"list": ["rb2701"]}}, ["contracts.list[0]", "rb2701"]),
    ):
        _file(hub).write_text(json.dumps({**json.loads(good), **sections}))
        message = _told(hub, "SettingsRefused", *parts)
        assert str(_file(hub)) in message and "stay as they were" in message
        shown = lambda wanted=parts: all(part in (_settings(hub)["refused"] or "") for part in wanted)
        eventually(shown, WITHIN_S, f"the refusal in the status: {parts}")  # type: ignore[misc]
    _file(hub).write_text(good[: len(good) // 2])
    eventually(lambda: len(status.events(hub, "SettingsRefused")) == 4, WITHIN_S, "half a file to be refused")
    _file(hub).unlink()
    eventually(lambda: "mdhub.yaml" in (_settings(hub)["refused"] or ""), WITHIN_S, "a missing one, too")
    with Subscriber(hub.listening().zmq) as subscriber:
        subscriber.wait_for(lambda s: set(s.by_topic()) == set(GIVEN), WITHIN_S, "ticks as before")
    assert hub.running("ctp-main") == worker
    _file(hub).write_text(good)
    eventually(lambda: _settings(hub)["refused"] is None, WITHIN_S, "the file to be right again")
    assert status.events(hub, "RestartNeeded") == []


def test_what_needs_a_restart_is_named_and_stays_as_it_was(hub: Hub) -> None:
    _write(hub, http={"listen": "127.0.0.1:1"}, arbitration={"mode": "primary_only"}, logging={"filter": "debug"})
    _told(hub, "RestartNeeded", "arbitration.mode", "http.listen")
    _told(hub, "SettingsReloaded", "logging.filter")
    named = lambda: _settings(hub)["restart_needed"] == ["arbitration.mode", "http.listen"]
    eventually(named, WITHIN_S, "both fields in the status")
    assert hub.health()[0] == 200
    _write(hub, http={"listen": "127.0.0.1:0"}, arbitration={})
    eventually(lambda: _settings(hub)["restart_needed"] == [], WITHIN_S, "nothing to need a restart")


def test_sighup_has_the_settings_read_at_once_and_ends_nothing(hub: Hub) -> None:
    worker = hub.running("ctp-main")
    _write(hub, health={**HEALTH, "cool_down_ms": 78})
    hub.process.send_signal(signal.SIGHUP)
    eventually(lambda: "SIGHUP: the settings are read again" in hub.log(), WITHIN_S, "the signal to be heard")
    _told(hub, "SettingsReloaded", "health.cool_down_ms")
    hub.process.send_signal(signal.SIGHUP)
    always(lambda: hub.process.poll() is None, 1.0, "the hub goes on")
    assert len(status.events(hub, "SettingsReloaded")) == 1
    assert hub.running("ctp-main") == worker


def test_the_status_says_since_when_the_desired_state_is_stale_or_suspicious(hub: Hub) -> None:
    _write(hub, health={**HEALTH, "hub": {"desired_stale_ms": 2_000}})
    _told(hub, "SettingsReloaded", "health.hub.desired_stale_ms")
    stands = lambda state: eventually(  # noqa: E731
        lambda: (d := status.document(hub)["desired"])["state"] == state and d, WITHIN_S, f"desired to be {state}"
    )
    fresh = stands("fresh")
    assert int(fresh["revision"]) >= 0
    database, away = hub.data_dir / "mdhub.db", hub.data_dir / "elsewhere.db"
    gone_ms = time.time() * 1_000
    database.rename(away)
    stale = stands("stale")
    assert 1_500 < stale["since_ms"] - gone_ms < WITHIN_S * 1_000, "not before the limit"
    assert "cannot be read" in stale["message"]
    away.rename(database)
    stands("fresh")
    _told(hub, "DesiredStale", "cannot be read")
    worker = hub.running("ctp-main")
    desired.by_hand(hub.data_dir, "DELETE FROM accounts")
    suspicious = stands("suspicious")
    assert "confirm-empty" in suspicious["message"]
    always(lambda: hub.worker("ctp-main") == worker, 1.0, "nothing is stopped")
    _told(hub, "DesiredSuspicious", "confirm-empty")


def test_the_status_names_generations_and_how_long_an_exchange_is_silent(hub: Hub) -> None:
    status.wait_for_condition(hub, "ctp-main", "CanaryFresh", "True")
    now = status.of_account(hub, "ctp-main")
    assert now["generation"] == now["observed_generation"]
    assert now["exchanges"] == {"SHFE": {"silent_since_ms": None}}
    assert now["incarnation"].startswith(status.document(hub)["epoch"])
    stated = {c["type"]: c for c in now["conditions"]}
    for condition in stated.values():
        assert 0 < condition["since_ms"] <= time.time() * 1_000 and condition["reason"] and condition["message"]
        assert condition["observed_generation"] == now["generation"]
    ready_ms = stated["Ready"]["since_ms"]
    desired.change(hub.data_dir, "restart", "ctp-main")
    moved = lambda: (a := status.of_account(hub, "ctp-main"))["observed_generation"] == now["generation"] + 1 and a
    assert eventually(moved, WITHIN_S, "the generation to be observed")["restart_generation"] == 1
    status.wait_for_condition(hub, "ctp-main", "Ready", "True")
    assert status.condition(hub, "ctp-main", "Ready")["since_ms"] > ready_ms
    with LiveWorld.beside(_file(hub)).playing(MAIN_FRONT, scenario("stall", exchanges=["SHFE"])):
        silent_ms = time.time() * 1_000
        since = lambda: status.of_account(hub, "ctp-main")["exchanges"]["SHFE"]["silent_since_ms"]
        assert abs(eventually(since, WITHIN_S, "SHFE to be silent") - silent_ms) < 3_000
