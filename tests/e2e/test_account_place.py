"""`mdhub account` writes where the hub reads, makes nothing where there is nothing, and changes nothing twice."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from conftest import Hubs
from harness import desired
from harness.world import FUTURES, MAIN_FRONT, live_world, settings


def test_a_database_named_in_the_settings_is_the_one_that_account_commands_write(hubs: Hubs, tmp_path: Path) -> None:
    config = settings(tmp_path, live_world(), FUTURES, database={"url": "sqlite://desk/accounts.db"})
    (tmp_path / "desk").mkdir()
    hub = hubs.run(config)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    hub.running("ctp-main")
    assert not (hub.data_dir / "mdhub.db").exists()
    hub.stop()
    # Nobody runs now: the settings file says where it is.
    disabled = desired.account(hub.data_dir, "--config", str(config), "disable", "ctp-main")
    assert disabled.returncode == 0, disabled.stderr
    with sqlite3.connect(tmp_path / "desk" / "accounts.db") as connection:
        assert connection.execute("SELECT is_enabled FROM accounts").fetchone() == (0,)


def test_a_wrong_data_directory_is_named_and_nothing_is_made_there(tmp_path: Path) -> None:
    missing = tmp_path / "typo"
    refused = desired.account(missing, "list")
    assert refused.returncode != 0 and str(missing) in refused.stderr, refused.stderr
    assert not missing.exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    refused = desired.account(empty, "enable", "ctp-main")
    assert refused.returncode != 0 and "no database yet" in refused.stderr, refused.stderr
    assert not list(empty.iterdir())


def test_what_already_holds_is_not_written_again(tmp_path: Path) -> None:
    desired.add(tmp_path, "ctp-main", MAIN_FRONT)
    before = desired.listed(tmp_path)["ctp-main"]["generation"]
    assert "so already" in desired.change(tmp_path, "enable", "ctp-main")
    assert desired.listed(tmp_path)["ctp-main"]["generation"] == before


def test_nonsense_in_a_row_leaves_its_gateway_running_as_it_was(hubs: Hubs) -> None:
    hub = hubs.live()
    worker = hub.running("ctp-main")
    nonsense = "UPDATE accounts SET settings = json_set(settings, '$.md_address', 'nowhere') WHERE id = 'ctp-main'"
    assert desired.by_hand(hub.data_dir, nonsense) == 1
    # Another edit, which takes effect, shows that the nonsense was read before.
    desired.change(hub.data_dir, "disable", "ctp-backup")
    hub.stopped("ctp-backup")
    assert hub.running("ctp-main").pid == worker.pid
    assert "ctp-main" in hub.log() and "nowhere" in hub.log()
    assert desired.by_hand(hub.data_dir, "DELETE FROM accounts WHERE id = 'ctp-main'") == 1
    hub.stopped("ctp-main")
