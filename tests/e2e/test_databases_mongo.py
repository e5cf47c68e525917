"""What only MongoDB can do to a hub: a collection that is dropped, and a server that refuses documents by its own rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Hubs
from harness.databases import Mongo, Server
from harness.hub import Hub, mdhub
from harness.waiting import always, eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, live_world, settings
from pymongo.errors import DuplicateKeyError

BY_HAND_WITHIN_S = 10.0
STANDS_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A replica set of one."""
    started = Server("mongod")
    if started.port == 0:
        assert os.environ.get("CI") != "true", "mongod is not installed, and must be where CI=true"
        pytest.skip("mongod is not installed; get it with: sudo make deps")
    yield started
    started.end()


def _hub(hubs: Hubs, database: Mongo) -> tuple[Hub, Path]:
    config = settings(hubs.directory, live_world(), FUTURES, database={"url": database.url})
    return hubs.run(config), config


def _add(database: Mongo, account: str, front: str) -> None:
    database.add(account, {"user_id": "u", "broker_id": "9999", "md_address": front, "library": "sim"}, "swordfish")


def _standing(hub: Hub, wanted: str) -> None:
    eventually(lambda: hub.vitals().get("desired") == wanted, STANDS_WITHIN_S, f"the desired state to be {wanted}")


def test_a_dropped_collection_stops_nothing_until_that_is_confirmed(hubs: Hubs, server: Server) -> None:
    database = Mongo(server, "dropped")
    hub, config = _hub(hubs, database)
    _add(database, "ctp-main", MAIN_FRONT)
    _add(database, "ctp-backup", BACKUP_FRONT)
    workers = (hub.running("ctp-main", BY_HAND_WITHIN_S), hub.running("ctp-backup", BY_HAND_WITHIN_S))

    database.database.accounts.drop()
    _standing(hub, "DesiredSuspicious")
    always(lambda: (hub.worker("ctp-main"), hub.worker("ctp-backup")) == workers, 2.0, "nothing is stopped")
    assert hub.stop() == 0
    again = hubs.run(config)
    workers = (again.running("ctp-main", BY_HAND_WITHIN_S), again.running("ctp-backup", BY_HAND_WITHIN_S))
    _standing(again, "DesiredSuspicious")
    assert "confirm-empty" in again.log()

    done = mdhub("account", "confirm-empty", "--config", str(config), "--data-dir", str(again.data_dir))
    assert done.returncode == 0, done.stderr
    again.stopped("ctp-main", BY_HAND_WITHIN_S)
    again.stopped("ctp-backup", BY_HAND_WITHIN_S)
    _standing(again, "Current")
    _add(database, "ctp-main", MAIN_FRONT)
    again.running("ctp-main", BY_HAND_WITHIN_S)


def test_an_event_that_the_server_refuses_is_dropped_and_counted_and_holds_up_no_other(hubs: Hubs, server: Server) -> None:
    database = Mongo(server, "strict")
    hub, _ = _hub(hubs, database)
    database.database.command("collMod", "events", validator={"reason": {"$ne": "ProcessStarted"}})
    _add(database, "ctp-main", MAIN_FRONT)
    first = hub.running("ctp-main", BY_HAND_WITHIN_S)
    eventually(lambda: hub.vitals().get("outbox", {}).get("dropped") == 1, STANDS_WITHIN_S, "the event to be dropped")
    database.enable("ctp-main", False)
    hub.stopped("ctp-main", BY_HAND_WITHIN_S)
    database.enable("ctp-main", True)
    assert hub.running("ctp-main", BY_HAND_WITHIN_S) != first
    eventually(lambda: hub.vitals()["outbox"]["dropped"] == 2, STANDS_WITHIN_S, "the second to be dropped")
    eventually(lambda: "ProcessExited" in database.dump(), STANDS_WITHIN_S, "the event between them")
    assert "ProcessStarted" not in database.dump()
    words = [line for line in hub.log().splitlines() if "refuses an event" in line]
    assert len(words) == 1 and "ProcessStarted" in words[0], words


def test_documents_that_share_an_id_are_named_and_the_others_run_until_one_is_left(hubs: Hubs, server: Server) -> None:
    database = Mongo(server, "shared")
    _add(database, "ctp-main", MAIN_FRONT)
    _add(database, "ctp-twice", BACKUP_FRONT)
    _add(database, "ctp-twice", BACKUP_FRONT)
    hub, config = _hub(hubs, database)
    hub.running("ctp-main", BY_HAND_WITHIN_S)
    eventually(lambda: "2 documents have this id" in hub.log(), BY_HAND_WITHIN_S, "a word of the two")
    assert "the collection accounts has no unique index of id" in hub.log()
    assert hub.worker("ctp-twice") is None
    database.database.accounts.delete_one({"id": "ctp-twice"})
    hub.running("ctp-twice", BY_HAND_WITHIN_S)
    assert hub.stop() == 0
    hubs.run(config)
    with pytest.raises(DuplicateKeyError):
        _add(database, "ctp-twice", BACKUP_FRONT)
