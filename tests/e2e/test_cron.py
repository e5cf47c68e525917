"""What cron/reconcile decides, minute by minute, with the calendar that the hub itself ships.

The one thing that is stood in for is the engine: a `docker` that writes down how it was called and remembers whether it
runs. The mailer writes letters down, too.
"""

import fcntl
import os
import subprocess
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

ROOT = Path(os.environ.get("MDHUB_ROOT") or Path(__file__).resolve().parents[2])
SCRIPT = Path(__file__).resolve().parents[2] / "cron" / "reconcile"
BEIJING = ZoneInfo("Asia/Shanghai")
DOCKER = """#!/bin/sh
case "$1" in
  up) echo up >>"$HERE/calls"; [ ! -e "$HERE/broken" ] || { echo no engine >&2; exit 3; }; touch "$HERE/running" ;;
  stop) echo stop >>"$HERE/calls"; rm -f "$HERE/running" ;;
  restart) echo restart >>"$HERE/calls" ;;
  running) test -e "$HERE/running" ;;
  ready) test ! -e "$HERE/unready" ;;
esac
"""


class Host:
    """A host of its own: settings, an engine, a mailer."""

    def __init__(self, here: Path):
        self.here = here
        self.zone = "UTC"
        (here / "bin").mkdir()
        self._program("docker", DOCKER)
        self._program("mail", '#!/bin/sh\ncat >>"$HERE/letters"\n')
        self.settings = {
            "MDHUB": ROOT / "target/debug/mdhub",
            "CONFIG": ROOT / "examples/mdhub.yaml",
            "START": "docker up", "STOP": "docker stop", "RESTART": "docker restart",
            "RUNNING": "docker running", "READY": "docker ready",
            "STATE_DIR": here / "state", "LOG_FILE": here / "log", "LOG_BYTES_MAX": "2000",
        }

    def _program(self, name: str, text: str):
        path = self.here / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def flag(self, name: str, on: bool = True):
        path = self.here / name
        path.touch() if on else path.unlink(missing_ok=True)

    def at(self, when: str, *verb: str) -> str:
        """Runs the script at an instant, Beijing time; what the engine was told to do since."""
        conf = self.here / "cron.conf"
        conf.write_text("".join(f"{key}='{value}'\n" for key, value in self.settings.items()))
        seconds = int(datetime.fromisoformat(when).replace(tzinfo=BEIJING).timestamp())
        env = {"PATH": f"{self.here}/bin:/usr/bin:/bin", "HERE": str(self.here), "TZ": self.zone}
        done = subprocess.run([SCRIPT, *verb, "--conf", conf, "--at", str(seconds)], env=env, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.status = done.returncode
        self.said = done.stdout
        calls = self.here / "calls"
        told = calls.read_text().split() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return " ".join(told)

    def read(self, name: str) -> str:
        path = self.here / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


TABLE = [
    # (what, Beijing time, runs already, what the engine is told)
    ("well before the day", "2026-11-23 08:39", False, ""),
    ("ahead of the day", "2026-11-23 08:40", False, "up"),
    ("the start minute was missed", "2026-11-23 10:05", False, "up"),
    ("in a section", "2026-11-23 14:59", True, ""),
    ("in the break", "2026-11-23 10:20", True, ""),
    ("over lunch", "2026-11-23 12:10", True, ""),
    ("just after the close", "2026-11-23 15:14", True, ""),
    ("after the close", "2026-11-23 15:15", True, "stop"),
    ("stopped already", "2026-11-23 15:16", False, ""),
    ("ahead of the night", "2026-11-23 20:35", False, "up"),
    ("across midnight", "2026-11-24 00:00", True, ""),
    ("the last minute of gold", "2026-11-24 02:29", True, ""),
    ("after the night", "2026-11-24 02:45", True, "stop"),
    ("Friday's night on Saturday", "2026-11-21 01:30", False, "up"),
    ("Saturday noon", "2026-11-21 10:00", True, "stop"),
    ("Sunday's evening has no night", "2026-11-22 21:30", True, "stop"),
    ("Monday's small hours have none either", "2026-11-23 01:00", True, "stop"),
    ("a holiday", "2026-10-01 10:00", True, "stop"),
    ("the eve of a holiday, by day", "2026-09-30 10:00", False, "up"),
    ("the eve of a holiday has no night", "2026-09-30 21:30", True, "stop"),
    ("nor its small hours", "2026-10-01 00:30", True, "stop"),
    ("ahead of the auction that a day without a night has", "2026-10-08 08:35", False, "up"),
    ("in doubt: beyond the calendar, at rest", "2028-03-01 17:00", False, "up"),
    ("in doubt: beyond the calendar, it runs", "2028-03-01 17:00", True, ""),
]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize(("when", "runs", "told"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_engine_is_told_what_the_calendar_wants(host, zone, when, runs, told):
    host.zone = zone
    host.flag("running", runs)
    assert (host.at(when), host.status, host.said) == (told, 0, ""), host.read("log")


def test_a_second_run_has_nothing_to_do(host):
    assert [host.at("2026-11-23 08:40"), host.at("2026-11-23 08:41")] == ["up", ""]
    assert [host.at("2026-11-23 15:20"), host.at("2026-11-23 15:21")] == ["stop", ""]


def test_a_hub_that_was_stopped_by_hand_is_started_again(host):
    assert host.at("2026-11-23 09:30") == "up"
    host.flag("running", False)
    assert host.at("2026-11-23 09:47") == "up"


def test_a_held_hub_is_left_alone_until_its_release(host):
    host.at("2026-11-23 09:00", "hold", "exchange", "test")
    assert host.at("2026-11-23 09:30") == ""
    host.at("2026-11-23 09:30", "status")
    assert "wanted: up" in host.said and "is: down" in host.said and "exchange test" in host.said
    host.at("2026-11-23 09:31", "release")
    assert host.at("2026-11-23 09:32") == "up"


@pytest.mark.parametrize("binary", ["/bin/false", "/nowhere/mdhub"])
def test_a_calendar_that_cannot_be_asked_starts_and_never_stops(host, binary):
    host.settings["MDHUB"] = binary
    assert [host.at("2026-10-01 12:00"), host.at("2026-10-01 12:01")] == ["up", ""]
    assert "in doubt" in host.read("log") and "mdhub check" in host.read("letters")


def test_beyond_its_end_the_calendar_is_in_doubt_and_people_are_told(host):
    assert host.at("2028-03-04 12:00") == "up"
    assert "the calendar has ended" in host.read("log") and "the calendar has ended" in host.read("letters")


def test_one_that_is_not_ready_is_restarted_after_a_while_and_not_at_once_again(host):
    host.flag("running")
    host.flag("unready")
    told = [host.at(f"2026-11-23 09:{minute}") for minute in range(30, 38)]
    assert told == ["", "", "", "restart", "", "", "", "restart"], host.read("log")


def test_one_that_was_ready_meanwhile_or_that_nobody_looked_at_is_not_restarted(host):
    host.flag("running")
    host.flag("unready")
    assert [host.at("2026-11-23 09:30"), host.at("2026-11-23 09:32")] == ["", ""]
    host.flag("unready", False)
    host.at("2026-11-23 09:33")
    host.flag("unready")
    assert [host.at("2026-11-23 09:34"), host.at("2026-11-23 09:40")] == ["", ""]


def test_a_start_that_fails_is_tried_each_minute_and_mailed_once_an_hour(host):
    host.flag("broken")
    assert [host.at(f"2026-11-23 09:0{minute}") for minute in range(3)] == ["up"] * 3
    assert host.status == 3
    assert host.read("letters").count("no engine") == 1
    host.at("2026-11-23 10:01")
    assert host.read("letters").count("no engine") == 2


def test_a_run_beside_another_does_nothing(host):
    (host.here / "state").mkdir()
    with open(host.here / "state" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert host.at("2026-11-23 09:30") == ""
    assert host.at("2026-11-23 09:31") == "up"


def test_what_a_start_leaves_running_does_not_hold_the_lock(host):
    host.settings["START"] = "docker up; sleep 5 >/dev/null 2>&1 &"
    assert host.at("2026-11-23 09:30") == "up"
    host.flag("running", False)
    assert host.at("2026-11-23 09:31") == "up"


def test_the_log_stays_within_its_bounds(host):
    for _ in range(60):
        host.at("2026-11-23 09:30", "hold", "x" * 100)
    assert sum(path.stat().st_size for path in host.here.glob("log*")) < 2 * 2200
