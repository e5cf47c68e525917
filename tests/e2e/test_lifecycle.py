"""A hub starts on whatever is left on its volume, or is killed while it writes: clear words, and nothing harmed."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import Hubs
from harness import desired
from harness.api import send
from harness.hub import Hub, clean_environment
from harness.places import MDHUB
from harness.processes import workers_of
from harness.waiting import eventually
from harness.world import MAIN_FRONT

WITHIN_S = 20.0
KILLS = 4
# Root without a capability is nobody special on a directory of somebody else's.
POWERLESS = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
SOMEBODY = 65534

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away and mounts")


@pytest.fixture
def left(hubs: Hubs) -> Hub:
    """A hub that was killed with one account running, and its directory."""
    hub = hubs.empty()
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    hub.running("ctp-main", WITHIN_S)
    hub.kill()
    return hub


def settings_of(hub: Hub) -> Path:
    """The file that it was started with."""
    return hub.data_dir.parent / "mdhub.yaml"


def refused(hub: Hub, *before: str) -> str:
    """The last line of a start that must fail."""
    words = [*before, str(MDHUB), "run", "--config", str(settings_of(hub)), "--data-dir", str(hub.data_dir)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, env=clean_environment(), check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr.splitlines()[-1]


def content(root: Path) -> dict[str, bytes]:
    """Every file under `root`."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def integrity(database: Path) -> str:
    """What SQLite itself says of the file."""
    connection = sqlite3.connect(database, timeout=5.0)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


@is_root
@pytest.mark.parametrize("state", ["of somebody else's", "on a disk that is mounted read-only"])
def test_a_directory_that_cannot_be_written_is_named_with_its_owner_and_is_not_touched(left: Hub, state: str) -> None:
    root = left.data_dir
    before = content(root)
    if state == "of somebody else's":
        for path in [root, *root.rglob("*")]:
            os.chown(path, SOMEBODY, SOMEBODY)
        os.chmod(root, 0o755)
        said, why = refused(left, *POWERLESS), "Permission denied"
    else:
        script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
        unshared = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(root)]
        said, why = refused(left, *unshared), "Read-only"
    owner = SOMEBODY if state == "of somebody else's" else 0
    whose = f"belongs to user {owner}, and user 0, who runs this hub"
    for part in ("--data-dir", str(root), whose, why, "allowed is", "nothing was changed"):
        assert part in said, said
    assert content(root) == before


def test_what_a_crash_leaves_behind_keeps_no_hub_from_its_accounts(hubs: Hubs, left: Hub) -> None:
    root = left.data_dir
    wal = root / "mdhub.db-wal"
    written = wal.read_bytes()
    # The last frame is half of one: it was on its way to the disk when the power went.
    wal.write_bytes(written + written[32 : 32 + 1_000])
    (root / "mdhub.db-shm").write_bytes(b"\xff" * 32_768)
    (root / "hub.lock").write_text("4194304\n")
    (root / "lock" / "ctp-main").write_text("mdhub-lock-1 of a hub that is no more")
    for name in ("run.json.new", "status.json.new", "vitals.json"):
        (root / name).write_text('{"pid": ')
    (root / "desired.last").write_text("torn")
    (root / "trials" / "probe-1").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(root / "status.json.old"))
    (root / "status.json").unlink()
    os.rename(root / "status.json.old", root / "status.json")
    again = hubs.run(settings_of(left))
    again.running("ctp-main", WITHIN_S)
    eventually(lambda: "secrets: it is torn" in again.log(), WITHIN_S, "a word on desired.last")
    assert set(desired.listed(root)) == {"ctp-main"}
    eventually(lambda: (root / "status.json").is_file(), WITHIN_S, "status.json in the socket's place")
    assert again.stop() == 0
    assert not workers_of(again.pid) and integrity(root / "mdhub.db") == "ok"


def test_without_its_sealing_key_a_hub_starts_nothing_and_the_key_put_back_mends_it(hubs: Hubs, left: Hub) -> None:
    root = left.data_dir
    key = (root / "secret.key").read_bytes()
    (root / "secret.key").unlink()
    row = desired.column(root, "ctp-main", "secrets")
    said = refused(left)
    belongs = "give the key file that belongs to this database"
    for part in ("ctp-main", "was sealed by key", belongs, "secret.key was missing"):
        assert part in said, said
    assert desired.column(root, "ctp-main", "secrets") == row
    assert "was missing" not in refused(left), "it is the key that the start before has made"
    (root / "secret.key").write_bytes(key)
    (root / "secret.key").chmod(0o600)
    hubs.run(settings_of(left)).running("ctp-main", WITHIN_S)


@contextmanager
def small_disk(root: Path) -> Iterator[int]:
    """A disk of one megabyte over `root` with all that was in it, for processes of a mount namespace; the id of one."""
    kept = root.with_name("kept")
    shutil.copytree(root, kept)
    script = 'mount -t tmpfs -o size=1m none "$0" && cp -a "$1"/. "$0" && echo mounted && exec cat'
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(root), str(kept)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        try:
            assert holder.stdout.readline() == "mounted\n"
            yield holder.pid
        finally:
            holder.stdin.close()


@is_root
def test_on_a_full_disk_a_hub_starts_runs_its_accounts_and_ends_and_no_row_is_harmed(left: Hub) -> None:
    with small_disk(left.data_dir) as holder:
        disk = Path(f"/proc/{holder}/root{left.data_dir}")
        with (disk / "fill").open("wb", buffering=0) as fill, pytest.raises(OSError, match="No space"):
            while True:
                fill.write(b"x" * 4_096)
        words = ["nsenter", "--target", str(holder), "--mount", str(MDHUB), "run", "--config", str(settings_of(left))]
        with left.stderr_path.open("wb") as err:
            hub = subprocess.Popen([*words, "--data-dir", str(left.data_dir)], stderr=err, env=clean_environment())
        try:
            eventually(lambda: hub.poll() is not None or workers_of(hub.pid), WITHIN_S, "a process for the account")
            assert hub.poll() is None, left.log()
            assert "run.json cannot be written" in left.log() and not (disk / "run.json").exists()
            hub.terminate()
            assert hub.wait(WITHIN_S) == 0 and not workers_of(hub.pid), left.log()
        finally:
            hub.kill()
            hub.wait()
        (disk / "fill").unlink()
        assert integrity(disk / "mdhub.db") == "ok" and desired.column(disk, "ctp-main", "id") == "ctp-main"


def test_every_write_that_was_acknowledged_outlives_a_kill_in_the_middle_of_the_next(hubs: Hubs) -> None:
    hub = hubs.empty()
    acknowledged: dict[str, int] = {}
    last_tried: dict[str, int] = {}
    for turn in range(KILLS):
        at = f"kept-{turn}"
        writer = threading.Thread(target=_write, args=(hub, at, acknowledged, last_tried))
        writer.start()
        eventually(lambda a=at: acknowledged.get(a, 0) >= 3 + 4 * turn, WITHIN_S, "writes")  # type: ignore[misc]
        hub.kill()
        writer.join(WITHIN_S)
        assert not writer.is_alive()
        hub = hubs.run(hubs.directory / "mdhub.yaml")
        rows = desired.listed(hub.data_dir)
        for account, priority in acknowledged.items():
            # The write that was under way may have come through: nothing else may.
            assert priority <= rows[account]["priority"] <= last_tried[account], (account, priority, rows[account])
        assert integrity(hub.data_dir / "mdhub.db") == "ok"
    assert len(acknowledged) == KILLS


def _write(hub: Hub, account: str, acknowledged: dict[str, int], last_tried: dict[str, int]) -> None:
    """One account, and then its priority counted up over HTTP until nobody answers any more."""
    settings = {"user_id": "u1", "broker_id": "9999", "md_address": MAIN_FRONT, "library": "sim"}
    new = {"id": account, "gateway": "ctp", "password": "a-password", "is_enabled": False, "settings": settings}
    asked: tuple[str, str, dict[str, Any]] = ("POST", "/api/accounts", {**new, "priority": 1})
    for priority in range(1, 1_000):
        last_tried[account] = priority
        try:
            code, told, _ = send(hub, *asked)
        except OSError:
            return
        except Exception as broken:
            assert "IncompleteRead" in repr(broken) or "RemoteDisconnected" in repr(broken), broken
            return
        assert code in (200, 201), told
        acknowledged[account] = priority
        asked = ("PUT", f"/api/accounts/{account}", {"priority": priority + 1})
