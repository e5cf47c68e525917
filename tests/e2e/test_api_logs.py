"""The log of a real hub: searched over HTTP, without passwords, without storms, and whatever becomes of its places."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import termios
from collections import Counter
from pathlib import Path

import pytest
from conftest import Hubs
from harness import api, desired
from harness.hub import Hub
from harness.waiting import eventually
from harness.world import FUTURES, MAIN_FRONT, LiveWorld, live_world, scenario, settings

PASSWORD = "Kq7-harrier-2290-weir"
# As in src/logging/storm.rs: lines of one place that pass in ten seconds.
PASSING = 50


def test_lines_are_found_by_level_account_and_text_and_a_workers_are_its_own(hubs: Hubs) -> None:
    hub = hubs.live()
    hub.running("ctp-main")
    found = eventually(lambda: api.logs(hub, "account=ctp-main&text=LOGGED+in"), 20, "its login in the log")
    assert {line["account"] for line in found} == {"ctp-main"}
    assert found[0]["incarnation"] == api.get(hub, "/api/gateways/ctp-main")[1]["incarnation"]
    assert found[0]["level"] == "info"
    everything = api.logs(hub)
    numbers = [line["seq"] for line in everything]
    assert numbers == list(range(numbers[0], 0, -1)), "every line since the start, newest first"
    os.kill(hub.running("ctp-main").pid, signal.SIGKILL)
    eventually(lambda: api.logs(hub, "level=warn&account=ctp-main"), 20, "a warning that it is gone")
    assert not [line for line in api.logs(hub, "level=warn") if line["level"] not in ("warn", "error")]
    code, first = api.get(hub, "/api/logs?limit=3")
    assert code == 200
    _, second = api.get(hub, f"/api/logs?limit=3&before={first['next']}")
    assert [line["seq"] for line in second["items"]] == [first["next"] - n for n in (1, 2, 3)]


def test_a_password_that_a_front_repeats_is_in_no_line_and_no_status(hubs: Hubs) -> None:
    path = settings(hubs.directory, live_world(), FUTURES, logging={"file": {}})
    LiveWorld.beside(path).play(MAIN_FRONT, scenario("login_refused", error=3, text=f"wrong: {PASSWORD}!"))
    hub = hubs.run(path)
    desired.add(hub.data_dir, "guarded", MAIN_FRONT, password=PASSWORD)
    eventually(lambda: api.logs(hub, "account=guarded&text=wrong:"), 30, "the refusal in the log")
    assert api.logs(hub, "text=wrong:+[secret]!")
    exits = lambda: api.get(hub, "/api/gateways/guarded")[1].get("last_exit") or None
    eventually(exits, 30, "the end of its process in the status")

    def texts() -> list[str]:
        shown = [hub.log(), str(api.logs(hub)), str(api.get(hub, "/api/gateways"))]
        return shown + [(hub.data_dir / name).read_text() for name in ("status.json", "log/mdhub.log")]

    eventually(lambda: all("wrong: [secret]!" in text for text in texts()), 20, "the refusal in every place")
    assert not [text for text in texts() if PASSWORD in text]
    # The events, too.
    files = [path for path in hub.data_dir.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_a_storm_is_one_line_with_its_count_in_every_place(hubs: Hubs) -> None:
    path = settings(hubs.directory, live_world(), FUTURES, logging={"file": {}})
    hub = hubs.run(path)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    eventually(lambda: api.logs(hub, "text=logged+in"), 20, "the login")
    # The junk is the same each time, about eight lines of it.
    storm = scenario("flood", stream="stderr", bytes=2_048, every_ms=50, times=120)
    LiveWorld.beside(path).play(MAIN_FRONT, storm)
    told = lambda: [line for line in api.logs(hub, "account=ctp-main") if "collapsed" in line["fields"]]

    def heard() -> tuple[Counter[str], Counter[str]]:
        """Lines that passed, and lines that were counted, by what they say beside numbers."""
        passed: Counter[str] = Counter()
        counted: Counter[str] = Counter()
        for line in api.logs(hub, "account=ctp-main"):
            words = re.sub(r"[0-9]", "", line["message"])
            counted[words] += line["fields"].get("collapsed", 0)
            passed[words] += "collapsed" not in line["fields"]
        return passed, counted

    def whole() -> tuple[Counter[str], Counter[str]] | None:
        passed, counted = heard()
        stormy = [words for words in counted if counted[words]]
        return (passed, counted) if len(stormy) >= 2 and all(counted[s] >= 119 - PASSING for s in stormy) else None

    passed, counted = eventually(whole, 60, "the storm to be told", poll_s=0.5)
    stormy = [words for words in counted if counted[words]]
    assert {passed[words] for words in stormy} == {PASSING}
    # Where one piece of junk follows another, their ends make a line once less.
    assert {passed[words] + counted[words] for words in stormy} <= {119, 120}
    written = [hub.log(), (hub.data_dir / "log/mdhub.log").read_text()]
    for text in written:
        assert text.count("collapsed=") == len(told())
    eventually(lambda: hub.vitals()["log"]["collapsed"] >= sum(counted.values()), 20, "the count in vitals.json")


class Muted(Hub):
    """A hub whose stderr nobody reads."""

    def log(self) -> str:
        return ""


@pytest.fixture
def unread(tmp_path: Path) -> int:
    """The reading end of what will be the hub's stderr: a page is all that it holds."""
    path = tmp_path / "data.stderr"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4_096)
    return reader


def _waiting_bytes(reader: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"\0\0\0\0"))[0])


def test_with_stderr_unread_and_the_disk_full_ticks_flow_and_restarts_work(hubs: Hubs, unread: int) -> None:
    directory = hubs.directory / "full"
    directory.mkdir()
    (hubs.directory / "data").mkdir(mode=0o700)
    (directory / "mdhub.log").symlink_to("/dev/full")
    (hubs.directory / "data" / "status.json.new").symlink_to("/dev/full")
    more = {"filter": "debug", "file": {"dir": str(directory), "max_bytes": 65_536, "keep": 1}}
    path = settings(hubs.directory, live_world(), FUTURES, logging=more)
    hub = Muted(hubs.directory / "data", ["run", "--config", str(path)])
    hubs.started.append(hub)
    hub.listening()
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    worker = hub.running("ctp-main")
    eventually(lambda: _waiting_bytes(unread) > 3_000, 20, "stderr to be full")
    eventually(lambda: hub.vitals().get("log", {}).get("file_failed", 0) > 20, 20, "lines that the disk refused")
    assert not (hub.data_dir / "status.json").exists()
    for _ in range(2):
        os.kill(worker.pid, signal.SIGKILL)
        worker = hub.replaced(worker, 20)
        before = hub.vitals()["published"]
        eventually(lambda before=before: hub.vitals()["published"] > before + 20, 20, "ticks to flow")
    assert api.logs(hub, "account=ctp-main&text=started"), "the ring has it all the same"
    # There is room again.
    (directory / "mdhub.log").unlink()
    (hub.data_dir / "status.json.new").unlink()
    os.kill(worker.pid, signal.SIGKILL)
    hub.replaced(worker, 20)
    written = lambda: (directory / "mdhub.log").is_file() and "started" in (directory / "mdhub.log").read_text()
    eventually(written, 20, "the log to be written again")
    eventually((hub.data_dir / "status.json").exists, 20, "the status to be written again")
    os.close(unread)
