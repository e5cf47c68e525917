"""Whole hubs on each of the databases: edits by hand, databases that die, emptied tables, bad input."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Hubs
from harness import status
from harness.databases import PASSWORD, Database, Mariadb, Mongo, Server, Sqlite
from harness.disasters import HEALTH
from harness.hub import Hub, mdhub
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import always, eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, LiveWorld, live_world, scenario, settings

BY_HAND_WITHIN_S = 8.0
STANDS_WITHIN_S = 20.0
ACCOUNT_PASSWORD = "account-swordfish-27"
_NUMBERS = itertools.count(1)

Make = Callable[[str, Path], Database]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """Servers, started when they are first asked for."""
    started: dict[str, Server] = {}
    yield started
    for server in started.values():
        server.end()


def _server(servers: dict[str, Server], kind: str) -> Server:
    if kind not in servers:
        servers[kind] = Server(kind)
    if servers[kind].port == 0:
        assert os.environ.get("CI") != "true", f"{kind} is not installed, and must be where CI=true"
        pytest.skip(f"{kind} is not installed; get it with: sudo make deps")
    return servers[kind]


@pytest.fixture
def make(servers: dict[str, Server]) -> Make:
    """Makes a database of a kind."""

    def new(kind: str, directory: Path) -> Database:
        name = f"hub{next(_NUMBERS)}"
        if kind == "sqlite":
            return Sqlite(directory / "desk.db")
        return (Mariadb if kind == "mariadb" else Mongo)(_server(servers, kind), name)

    return new


def _settings(hubs: Hubs, database: Database, name: str = "mdhub.yaml", **more: Any) -> Path:
    path = settings(hubs.directory, live_world(), FUTURES, database={"url": database.url}, **more)
    return path.rename(path.with_name(name))


def _account(front: str) -> dict[str, str]:
    return {"user_id": "u", "broker_id": "9999", "md_address": front, "library": "sim"}


def _standing(hub: Hub, wanted: str) -> None:
    eventually(lambda: hub.vitals().get("desired") == wanted, STANDS_WITHIN_S, f"the desired state to be {wanted}")


@pytest.mark.parametrize("kind", ["sqlite", "mariadb", "mongod"])
def test_edits_by_hand_converge_and_an_emptied_table_stops_nothing(hubs: Hubs, make: Make, kind: str) -> None:
    database = make(kind, hubs.directory)
    config = _settings(hubs, database)
    hub = hubs.run(config)
    database.add("ctp-main", _account(MAIN_FRONT), ACCOUNT_PASSWORD)
    database.add("ctp-backup", _account(BACKUP_FRONT), ACCOUNT_PASSWORD)
    hub.running("ctp-main", BY_HAND_WITHIN_S)
    backup = hub.running("ctp-backup", BY_HAND_WITHIN_S)
    eventually(lambda: "SecretSealed" in database.dump(), BY_HAND_WITHIN_S, "the event of the sealed password")
    assert ACCOUNT_PASSWORD not in database.dump()

    database.enable("ctp-main", False)
    hub.stopped("ctp-main", BY_HAND_WITHIN_S)
    database.enable("ctp-main", True)
    main = hub.running("ctp-main", BY_HAND_WITHIN_S)

    database.spoil("ctp-backup")
    eventually(lambda: 'ctp-backup' in hub.log() and 'xtp' in hub.log(), BY_HAND_WITHIN_S, "a word of the bad row")
    always(lambda: hub.worker("ctp-backup") == backup, 1.0, "a row set aside leaves its process")

    database.empty()
    _standing(hub, "DesiredSuspicious")
    always(lambda: (hub.worker("ctp-main"), hub.worker("ctp-backup")) == (main, backup), 2.0, "nothing is stopped")
    assert "confirm-empty" in hub.log()
    done = mdhub("account", "confirm-empty", "--config", str(config), "--data-dir", str(hub.data_dir))
    assert done.returncode == 0, done.stderr
    hub.stopped("ctp-main", BY_HAND_WITHIN_S)
    hub.stopped("ctp-backup", BY_HAND_WITHIN_S)
    _standing(hub, "Current")

    files = b"".join(path.read_bytes() for path in hub.data_dir.rglob("*") if path.is_file())
    for secret in (ACCOUNT_PASSWORD, PASSWORD):
        assert secret not in hub.log() and secret.encode() not in files
    assert ACCOUNT_PASSWORD not in database.dump()


@pytest.mark.parametrize("kind", ["sqlite", "mariadb", "mongod"])
def test_a_password_mended_by_hand_clears_blocked_and_a_spoiled_row_keeps_its_account_over_a_restart(
    hubs: Hubs, make: Make, kind: str
) -> None:
    database = make(kind, hubs.directory)
    config = _settings(hubs, database, health=HEALTH)
    world = LiveWorld.beside(config)
    world.play(MAIN_FRONT, scenario("login_refused"))
    hub = hubs.run(config)
    database.add("ctp-main", _account(MAIN_FRONT), "wrong-pass-word")
    database.add("ctp-backup", _account(BACKUP_FRONT), ACCOUNT_PASSWORD)
    status.wait_for_phase(hub, "ctp-main", "Blocked", within_s=STANDS_WITHIN_S)
    world.play(MAIN_FRONT)
    always(lambda: hub.worker("ctp-main") is None, 2.0, "no try before the account changes")
    database.password("ctp-main", ACCOUNT_PASSWORD)
    status.wait_for_phase(hub, "ctp-main", "Healthy", within_s=STANDS_WITHIN_S)
    eventually(lambda: ACCOUNT_PASSWORD not in database.dump(), BY_HAND_WITHIN_S, "the passwords to be sealed")

    database.spoil("ctp-backup")
    eventually(lambda: "ctp-backup" in hub.log() and "xtp" in hub.log(), BY_HAND_WITHIN_S, "a word of the bad row")
    assert hub.stop() == 0
    again = hubs.run(config)
    status.wait_for_phase(again, "ctp-backup", "Healthy", within_s=STANDS_WITHIN_S)
    assert "what was last read of it stays in force" in again.log()


@pytest.mark.parametrize("kind", ["mariadb", "mongod"])
def test_a_database_that_dies_costs_no_tick_and_a_start_without_it_runs_from_the_last_state(
    hubs: Hubs, make: Make, servers: dict[str, Server], kind: str
) -> None:
    database = make(kind, hubs.directory)
    server = servers[kind]
    config = _settings(hubs, database)
    hub = hubs.run(config)
    database.add("ctp-main", _account(MAIN_FRONT), ACCOUNT_PASSWORD)
    main = hub.running("ctp-main", BY_HAND_WITHIN_S)
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        subscriber.wait_for_ticks(20, 20)
        server.tell("kill")
        _standing(hub, "DesiredStale")
        subscriber.wait_for_ticks(len(subscriber.ticks()) + 40, 20)
        assert hub.worker("ctp-main") == main
        server.tell("start")
        _standing(hub, "Current")
        assert_unbroken(subscriber.by_topic())
    database.enable("ctp-main", False)
    hub.stopped("ctp-main", BY_HAND_WITHIN_S)
    database.enable("ctp-main", True)
    hub.running("ctp-main", BY_HAND_WITHIN_S)
    eventually(lambda: "DesiredStale" in database.dump(), STANDS_WITHIN_S, "the event that waited in the outbox")

    assert hub.stop() == 0
    server.tell("kill")
    try:
        again = hubs.run(config)
        _standing(again, "DesiredStale")
        again.running("ctp-main")
        with Subscriber(again.listening().zmq) as subscriber:
            subscriber.wait_for_ticks(10, 20)
    finally:
        server.tell("start")
    _standing(again, "Current")
    database.enable("ctp-main", False)
    again.stopped("ctp-main", BY_HAND_WITHIN_S)
    assert again.stop() == 0

    server.tell("kill")
    try:
        (again.data_dir / "desired.last").write_text("torn")
        refused = mdhub("run", "--config", str(config), "--data-dir", str(again.data_dir))
        assert refused.returncode != 0 and "desired.last" in refused.stderr and "torn" in refused.stderr
        assert PASSWORD not in refused.stderr
    finally:
        server.tell("start")


@pytest.mark.parametrize("kind", ["mariadb", "mongod"])
def test_bad_input_is_named_and_starts_nothing(hubs: Hubs, make: Make, kind: str) -> None:
    database = make(kind, hubs.directory)
    scheme, rest = database.url.split("://")
    wrong_user = f"{scheme}://nobody:{PASSWORD}@{rest.split('@')[-1]}"
    urls = {
        "postgres://u:p@h/d": "allowed are sqlite://",
        f"{scheme}://127.0.0.1:1": "names no database",
        f"{scheme}://127.0.0.1:1/x": "does not answer" if kind == "mongod" else "127.0.0.1:1/x",
        wrong_user: "nobody",
    }
    for number, (url, why) in enumerate(urls.items()):
        data = hubs.directory / f"bad{number}"
        done = mdhub("migrate", "--data-dir", str(data), MDHUB_DATABASE_URL=url)
        assert done.returncode != 0 and why in done.stderr, (url, done.stderr)
        assert PASSWORD not in done.stderr, done.stderr

    data = hubs.directory / "cli"
    document = hubs.directory / "accounts.yaml"
    document.write_text(
        "apiVersion: mdhub/v1\nkind: Account\nid: a\ngateway: ctp\npassword: p\n"
        "settings: {md_address: 'tcp://a:1', library: sim}\n"
    )
    apply = ["apply", "-f", str(document), "--data-dir", str(data)]
    said = [mdhub(*words, MDHUB_DATABASE_URL=database.url).stdout.strip() for words in ([*apply, "--dry-run"], apply, apply)]
    assert said == ["account a: created (dry run)", "account a: created", "account a: unchanged"]
    backup = hubs.directory / "backup"
    done = mdhub("backup", str(backup), "--data-dir", str(data), MDHUB_DATABASE_URL=database.url)
    assert done.returncode == 0 and "NOT in it" in done.stdout, done.stderr
    gone = mdhub("account", "delete", "a", "--yes", "--data-dir", str(data), MDHUB_DATABASE_URL=database.url)
    assert gone.returncode == 0, gone.stderr
    back = mdhub("restore", str(backup), "--data-dir", str(data), MDHUB_DATABASE_URL=database.url)
    assert back.stdout.strip() == "account a: restored", back.stderr

    other = mdhub("get", "--data-dir", str(data), "--secret-key-file", str(_key(hubs.directory)), MDHUB_DATABASE_URL=database.url)
    assert other.returncode != 0 and "was sealed by key" in other.stderr, other.stderr

    words = ["--data-dir", str(data)]
    over = mdhub("backup", str(backup), *words, MDHUB_DATABASE_URL=database.url)
    assert over.returncode != 0 and "exists" in over.stderr, "a backup is never written over something else"
    missing = mdhub("restore", str(hubs.directory / "nowhere"), *words, MDHUB_DATABASE_URL=database.url)
    assert missing.returncode != 0 and "there is no such file" in missing.stderr
    database.spoil("a")
    partly = mdhub("backup", str(hubs.directory / "partly"), *words, MDHUB_DATABASE_URL=database.url)
    assert partly.returncode != 0 and "NOT in it: a (" in partly.stderr, "what a backup lacks is named"
    assert (hubs.directory / "partly").stat().st_mode & 0o777 == 0o600
    assert not list(hubs.directory.glob("partly.*")), "nothing is left beside it"
    apart = mdhub("backup", str(hubs.directory / "no" / "folder"), *words, MDHUB_DATABASE_URL=database.url)
    assert apart.returncode != 0 and "nothing was written" in apart.stderr


def _key(directory: Path) -> Path:
    """Another key than any hub's."""
    path = directory / "other.key"
    path.write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
    path.chmod(0o600)
    return path
