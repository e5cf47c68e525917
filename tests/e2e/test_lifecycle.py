"""A hub's volume and clock in every state that they may be in: it starts, or says why not, and spoils nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Hubs
from harness import desired
from harness.api import send
from harness.hub import Hub, clean_environment
from harness.places import MDHUB
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, live_world, settings

CLOCK_LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), Path("/nowhere"))
NOBODY = 65_534


def _used_volume(hubs: Hubs) -> Path:
    """A data directory that a hub has used, and its settings beside it."""
    file = settings(hubs.directory, live_world(), FUTURES)
    hub = hubs.run(file)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    hub.running("ctp-main")
    assert hub.stop() == 0
    return file


def _debris(data: Path) -> None:
    for name in ("status.json", "last-desired", "metrics"):
        (data / name).write_text('{"v": 1, "acc')
    (data / "logins.json").write_bytes(b"\x00\xff" * 40)
    for place in ("flow", "lock"):
        (data / place / "ctp-gone").mkdir(parents=True, exist_ok=True)
        (data / place / "stray").write_text("no such account")
    (data / "accounts.tmp").write_text("half of")


def _without_caches(data: Path) -> None:
    for name in ("status.json", "vitals.json", "run.json", "logins.json"):
        (data / name).unlink(missing_ok=True)
    for place in ("flow", "lock", "log"):
        shutil.rmtree(data / place, ignore_errors=True)


def _closed_to_its_owner(data: Path) -> None:
    for path in data.rglob("*"):
        if path.is_file() and not path.name.startswith("mdhub.db"):
            path.chmod(0o400)


@pytest.mark.parametrize("spoil", [_debris, _without_caches, _closed_to_its_owner])
def test_a_hub_starts_whatever_is_left_on_its_volume_and_has_its_accounts(hubs: Hubs, spoil: Callable[[Path], None]) -> None:
    file = _used_volume(hubs)
    data = hubs.all()[0].data_dir
    spoil(data)
    again = hubs.run(file)
    assert again.data_dir == data
    again.running("ctp-main")
    assert list(desired.listed(data)) == ["ctp-main"]
    with Subscriber(again.listening().zmq).connected() as subscriber:
        subscriber.wait_for_ticks(5, 20)


def test_a_database_that_is_torn_is_named_and_stays_as_it_was_found(hubs: Hubs) -> None:
    file = _used_volume(hubs)
    data = hubs.all()[0].data_dir
    database = data / "mdhub.db"
    for beside in data.glob("mdhub.db-*"):
        beside.unlink()
    database.write_bytes(b"no database at all, but some text" * 300)
    before = database.read_bytes()
    refused = _run(file, data)
    assert refused.returncode != 0 and str(database) in refused.stderr, refused.stderr[-800:]
    assert database.read_bytes() == before


def test_sealed_passwords_without_their_key_keep_a_hub_from_starting_until_it_is_back(hubs: Hubs) -> None:
    file = _used_volume(hubs)
    data = hubs.all()[0].data_dir
    key = data / "secret.key"
    kept = data / "kept.key"
    key.rename(kept)
    refused = _run(file, data)
    assert refused.returncode == 1 and "account ctp-main was sealed by key" in refused.stderr, refused.stderr[-800:]
    assert "give the key file that belongs to this database" in refused.stderr
    kept.replace(key)
    again = hubs.run(file)
    again.running("ctp-main")


def _run(file: Path, data: Path, within_s: float = 30, *around: str) -> subprocess.CompletedProcess[str]:
    """`mdhub run` in the words of `around`, until it ends; one that goes on is told to end."""
    words = [*around, str(MDHUB), "run", "--config", str(file), "--data-dir", str(data)]
    child = subprocess.Popen(words, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = child.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=20)
    return subprocess.CompletedProcess(words, child.returncode, out, err)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a volume read-only, or be somebody else")
def test_a_volume_that_may_not_be_written_is_named_and_left_as_it_is(hubs: Hubs) -> None:
    file = _used_volume(hubs)
    data = hubs.all()[0].data_dir
    names = lambda: sorted(str(path.relative_to(data)) for path in data.rglob("*"))
    before = names()
    mount = f'mount --bind {data} {data} && mount -o remount,ro,bind {data} && exec "$@"'
    read_only = _run(file, data, 30, "unshare", "--mount", "--propagation", "private", "bash", "-c", mount, "bash")
    assert read_only.returncode == 1 and str(data) in read_only.stderr and "Read-only file system" in read_only.stderr, read_only.stderr[-800:]
    foreign = _run(file, data, 30, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    assert foreign.returncode != 0 and foreign.stderr.strip() and "panicked" not in foreign.stderr
    assert names() == before
    hubs.run(file).running("ctp-main")


def test_killed_in_the_middle_of_its_writes_a_hub_has_lost_no_account_that_it_had_acknowledged(hubs: Hubs) -> None:
    file = settings(hubs.directory, live_world(), FUTURES)
    acknowledged: list[str] = []
    front = {"user_id": "u", "broker_id": "9999", "md_address": [MAIN_FRONT], "library": "sim"}
    for life in range(4):
        hub = hubs.run(file)

        def write(hub: Hub = hub, life: int = life) -> None:
            for n in range(1_000):
                account = {"id": f"a{life}-{n}", "gateway": "ctp", "settings": front, "password": "p", "is_enabled": False}
                try:
                    code = send(hub, "POST", "/api/accounts", account)[0]
                except (OSError, AssertionError):  # it has been killed
                    return
                if code == 201:
                    acknowledged.append(account["id"])

        before = len(acknowledged)
        writer = threading.Thread(target=write)
        writer.start()
        eventually(lambda count=before: len(acknowledged) > count + 5 + 3 * life, 20, "some accounts are written")
        hub.kill()
        writer.join()
        with sqlite3.connect(hub.data_dir / "mdhub.db") as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
    known = set(desired.listed(hub.data_dir))
    assert len(acknowledged) > 30 and set(acknowledged) <= known, set(acknowledged) - known


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
