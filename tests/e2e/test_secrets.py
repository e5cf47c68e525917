"""A password goes in by standard input and comes out nowhere."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

from conftest import Hubs
from harness import desired
from harness.hub import Hub
from harness.processes import command_line, environment
from harness.world import MAIN_FRONT

PASSWORD = "Zx9-kestrel-4417-quay"


def _spellings(password: str) -> list[bytes]:
    """The password as it would look in a file: plain, base64, hex."""
    plain = password.encode()
    return [plain, base64.b64encode(plain).rstrip(b"=")[:-1], plain.hex().encode()]


def _holders(root: Path, password: str) -> list[str]:
    """The files under `root` that hold the password."""
    return [
        str(path)
        for path in root.rglob("*")
        if path.is_file() and any(spelling in path.read_bytes() for spelling in _spellings(password))
    ]


def _running_with_password(hubs: Hubs) -> Hub:
    hub = hubs.live()
    desired.add(hub.data_dir, "guarded", MAIN_FRONT, priority=3, password=PASSWORD)
    hub.running("guarded")
    return hub


def test_a_password_is_in_no_argument_environment_log_or_file(hubs: Hubs) -> None:
    hub = _running_with_password(hubs)
    row = desired.listed(hub.data_dir)["guarded"]
    assert row["has_password"] is True, "the password did not arrive at all"
    worker = hub.running("guarded")
    desired.change(hub.data_dir, "restart", "guarded")
    hub.replaced(worker)
    for pid in [hub.pid, *(w.pid for w in hub.workers())]:
        for text in (environment(pid), command_line(pid)):
            assert not any(spelling in text for spelling in _spellings(PASSWORD)), f"process {pid}"
    assert PASSWORD not in json.dumps(row)
    assert hub.stop() == 0
    found = _holders(hubs.directory, PASSWORD)
    assert not found, f"the password stands in {found}"


def test_the_search_for_a_password_can_find_one(tmp_path: Path) -> None:
    for number, spelling in enumerate(_spellings(PASSWORD)):
        (tmp_path / str(number)).write_bytes(b"x" + spelling + b"y")
    assert len(_holders(tmp_path, PASSWORD)) == 3


def test_a_worker_gets_a_cleared_environment_and_only_its_own_descriptors(hubs: Hubs) -> None:
    hub = hubs.live()
    for worker in hub.workers():
        names = {entry.split(b"=")[0].decode() for entry in environment(worker.pid).split(b"\0") if entry}
        assert "SIMAPI_WORLD" in names
        assert not names & {"PATH", "HOME", "USER", "MDHUB_SECRET_KEY_FILE", "MDHUB_DATABASE_URL"}, names
        targets = [os.readlink(path) for path in Path(f"/proc/{worker.pid}/fd").iterdir()]
        foreign = [target for target in targets if target.endswith((".db", ".db-wal", ".key", ".lock"))]
        assert not foreign, f"{worker.account} holds {foreign}"


def test_what_the_hub_keeps_is_for_its_owner_only(hubs: Hubs) -> None:
    hub = _running_with_password(hubs)
    assert stat.S_IMODE(hub.data_dir.stat().st_mode) == 0o700
    key = hub.data_dir / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
