"""Accounts change, by the command line and by hand: real processes follow."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Hubs
from harness import desired
from harness.hub import Hub, mdhub
from harness.processes import Worker
from harness.subscriber import Subscriber, assert_unbroken, first_and_gaps
from harness.waiting import always, eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, OPTIONS, live_world, settings

BY_HAND_WITHIN_S = 2.0
UNTOUCHED_FOR_S = 1.5


def _only_main_changes(hub: Hub, backup: Worker) -> None:
    assert hub.worker("ctp-backup") == backup, "an account that did not change was touched"


def test_an_account_that_is_added_brings_ticks_from_seq_one(hubs: Hubs) -> None:
    hub = hubs.run(settings(hubs.directory, live_world(), FUTURES + OPTIONS))
    assert desired.listed(hub.data_dir) == {}
    assert hub.workers() == []
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
        hub.running("ctp-main")
        subscriber.wait_for(lambda s: set(s.by_topic()) == set(FUTURES), 20, "ticks of every futures contract")
        assert {first_and_gaps(ticks)[0] for ticks in subscriber.by_topic().values()} == {1}
        assert_unbroken(subscriber.by_topic())
    row = desired.listed(hub.data_dir)["ctp-main"]
    wanted = {"gateway": "ctp", "priority": 1, "is_enabled": True, "suspended": False, "restart_generation": 0}
    assert {name: row[name] for name in wanted} == wanted
    assert isinstance(row["generation"], int)
    assert "password" not in json.dumps(row).replace("has_password", "")


def test_an_account_that_is_added_disabled_waits_to_be_enabled(hubs: Hubs) -> None:
    hub = hubs.run(settings(hubs.directory, live_world(), FUTURES))
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT, more=("--disabled",))
    always(lambda: not hub.workers(), UNTOUCHED_FOR_S, "a disabled account has no process")
    desired.change(hub.data_dir, "enable", "ctp-main")
    hub.running("ctp-main")


def test_disable_enable_stop_start_and_restart_reach_the_process_and_no_other(hubs: Hubs) -> None:
    hub = hubs.live()
    data, first, backup = hub.data_dir, hub.running("ctp-main"), hub.running("ctp-backup")

    desired.change(data, "disable", "ctp-main")
    hub.stopped("ctp-main")
    desired.change(data, "enable", "ctp-main")
    second = hub.running("ctp-main")
    assert second.incarnation != first.incarnation

    desired.change(data, "stop", "ctp-main")
    hub.stopped("ctp-main")
    refused = desired.account(data, "restart", "ctp-main")
    assert refused.returncode != 0 and "start it" in refused.stderr, refused.stderr
    desired.change(data, "start", "ctp-main")
    third = hub.running("ctp-main")

    desired.change(data, "restart", "ctp-main")
    fourth = hub.replaced(third)
    assert desired.listed(data)["ctp-main"]["restart_generation"] == 1
    always(lambda: hub.worker("ctp-main") == fourth, UNTOUCHED_FOR_S, "one restart, not two")

    desired.change(data, "disable", "ctp-main")
    for action in ("start", "stop", "restart"):
        refused = desired.account(data, action, "ctp-main")
        assert refused.returncode != 0 and "enable" in refused.stderr, f"{action}: {refused.stderr}"
    hub.stopped("ctp-main")
    _only_main_changes(hub, backup)


def test_repeating_what_already_holds_changes_nothing(hubs: Hubs) -> None:
    hub = hubs.live()
    main = hub.running("ctp-main")
    for action in ("enable", "start"):
        desired.change(hub.data_dir, action, "ctp-main")
    always(lambda: hub.worker("ctp-main") == main, UNTOUCHED_FOR_S, "the process stays")


def test_a_row_edited_by_hand_converges_within_two_seconds(hubs: Hubs) -> None:
    hub = hubs.live()
    data, backup = hub.data_dir, hub.running("ctp-backup")
    assert desired.by_hand(data, "UPDATE accounts SET is_enabled = 0 WHERE id = 'ctp-main'") == 1
    hub.stopped("ctp-main", BY_HAND_WITHIN_S)
    assert desired.by_hand(data, "UPDATE accounts SET is_enabled = 1 WHERE id = 'ctp-main'") == 1
    main = hub.running("ctp-main", BY_HAND_WITHIN_S)
    raise_generation = "UPDATE accounts SET restart_generation = restart_generation + 1 WHERE id = 'ctp-main'"
    assert desired.by_hand(data, raise_generation) == 1
    hub.replaced(main, BY_HAND_WITHIN_S)
    assert desired.by_hand(data, "UPDATE accounts SET suspended = 1 WHERE id = 'ctp-main'") == 1
    hub.stopped("ctp-main", BY_HAND_WITHIN_S)
    _only_main_changes(hub, backup)


def test_a_row_inserted_by_hand_runs_and_its_plain_password_is_sealed(hubs: Hubs) -> None:
    hub = hubs.live()
    row = json.dumps({"md_address": BACKUP_FRONT, "broker_id": "9999", "user_id": "u", "library": "sim"})
    plain = json.dumps({"password": "by-hand-8841"})
    statement = "INSERT INTO accounts (id, gateway, settings, secrets, priority) VALUES ('by-hand', 'ctp', ?, ?, 3)"
    assert desired.by_hand(hub.data_dir, statement, row, plain) == 1
    worker = hub.running("by-hand", BY_HAND_WITHIN_S)
    eventually(
        lambda: "by-hand-8841" not in desired.column(hub.data_dir, "by-hand", "secrets"), 5, "the password to be sealed"
    )
    assert "password" in json.loads(desired.column(hub.data_dir, "by-hand", "secrets"))
    always(lambda: hub.worker("by-hand") == worker, UNTOUCHED_FOR_S, "sealing is no change of the password")


def test_a_changed_priority_moves_no_process(hubs: Hubs) -> None:
    hub = hubs.live()
    before = hub.workers()
    assert desired.by_hand(hub.data_dir, "UPDATE accounts SET priority = 5 WHERE id = 'ctp-main'") == 1
    always(lambda: hub.workers() == before, BY_HAND_WITHIN_S, "a priority is no reason to relaunch")
    assert desired.listed(hub.data_dir)["ctp-main"]["priority"] == 5


def test_a_changed_password_or_front_relaunches_its_process_only(hubs: Hubs) -> None:
    hub = hubs.live()
    data, backup = hub.data_dir, hub.running("ctp-backup")
    first = hub.running("ctp-main")
    plain = json.dumps({"password": "another-one"})
    assert desired.by_hand(data, "UPDATE accounts SET secrets = ? WHERE id = 'ctp-main'", plain) == 1
    second = hub.replaced(first)
    # The sealed password is bound to its front: who moves a row gives the password again.
    moved = "UPDATE accounts SET settings = json_set(settings, '$.md_address', ?), secrets = ? WHERE id = 'ctp-main'"
    assert desired.by_hand(data, moved, BACKUP_FRONT, plain) == 1
    hub.replaced(second)
    _only_main_changes(hub, backup)


def test_delete_asks_for_yes_and_then_ends_the_process(hubs: Hubs) -> None:
    hub = hubs.live()
    data, backup = hub.data_dir, hub.running("ctp-backup")
    refused = desired.account(data, "delete", "ctp-main")
    assert refused.returncode != 0 and "--yes" in refused.stderr, refused.stderr
    assert "ctp-main" in desired.listed(data)
    desired.change(data, "delete", "ctp-main", "--yes")
    hub.stopped("ctp-main")
    assert set(desired.listed(data)) == {"ctp-backup", "sopt-main"}
    _only_main_changes(hub, backup)
    missing = desired.account(data, "enable", "ctp-main")
    assert missing.returncode != 0 and "ctp-main" in missing.stderr, missing.stderr


def test_flags_are_read_from_the_environment_and_a_given_flag_wins(tmp_path: Path) -> None:
    desired.add(tmp_path / "a", "ctp-main", MAIN_FRONT)
    listed = mdhub("account", "list", "--json", MDHUB_DATA_DIR=str(tmp_path / "a"))
    assert [row["id"] for row in json.loads(listed.stdout)] == ["ctp-main"]
    desired.add(tmp_path / "b", "ctp-backup", BACKUP_FRONT)
    flag = ["--data-dir", str(tmp_path / "b")]
    other = mdhub("account", "list", "--json", *flag, MDHUB_DATA_DIR=str(tmp_path / "a"))
    assert [row["id"] for row in json.loads(other.stdout)] == ["ctp-backup"]
    path = settings(tmp_path, live_world(), FUTURES)
    assert str(path) in mdhub("check", MDHUB_CONFIG=str(path)).stdout
