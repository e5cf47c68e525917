"""The hub in the hands of a real cron daemon: installed, in a mount namespace of its own, on a host in New York.

Each scenario has its own daemon, and all run side by side: cron acts once a minute. A scenario's clock is shifted so that
the next full minute is the instant it is about. The engine is a `docker` that writes down how it was called.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from harness.places import REPOSITORY
from harness.waiting import eventually

CRON = REPOSITORY / "cron"
BEIJING = ZoneInfo("Asia/Shanghai")
NEW_YORK = Path("/usr/share/zoneinfo/America/New_York")
ENGINE = """#!/bin/sh
case "$1" in
  start) echo start >>HERE/calls; touch HERE/running ;;
  stop) echo stop >>HERE/calls; rm -f HERE/running ;;
  restart) echo restart >>HERE/calls ;;
  running) test -e HERE/running ;;
esac
"""
# What belongs to one host alone: where cron looks, and its zone.
NAMESPACE = f"""
set -e
for place in /etc/cron.d /var/spool/cron /run; do mount -t tmpfs none "$place"; done
mkdir -p /var/spool/cron/crontabs
mount --bind {NEW_YORK} "$(readlink -f /etc/localtime)"
CRON/install --sbin HERE/sbin --etc HERE/etc >HERE/installed 2>&1
date >HERE/zone.new
mv HERE/zone.new HERE/zone
exec cron -f
"""
# What installers and daemons take to be up on a busy machine.
AHEAD_S = 25
# A minute, and what a busy machine takes to act on it.
WITHIN_S = 150


def lacking() -> str:
    """What is missing for it here."""
    if os.geteuid() != 0:
        return "not root"
    return "" if shutil.which("cron") or Path("/usr/sbin/cron").exists() else "cron is not installed (get it with: sudo make deps)"


@dataclass
class Host:
    """A host with a cron daemon, whose clock says `when` (Beijing time) at the instant `minute`."""

    here: Path
    when: str
    minute: float
    daemon: subprocess.Popen[bytes] | None = None

    def begin(self, *flags: str) -> None:
        """Settings, an engine, and `flags` as they stand before cron is there."""
        for place in ("bin", "etc", "state"):
            (self.here / place).mkdir()
        engine = self.here / "bin" / "docker"
        engine.write_text(ENGINE.replace("HERE", str(self.here)))
        engine.chmod(0o755)
        for flag in flags:
            (self.here / flag).touch()
        self.set_clock(self.when)
        self.boot()

    def set_clock(self, when: str) -> None:
        """From now on it is `when` at `minute`."""
        self.when = when
        ahead = int(datetime.fromisoformat(when).replace(tzinfo=BEIJING).timestamp() - self.minute)
        engine = self.here / "bin" / "docker"
        settings = {
            "MDHUB": REPOSITORY / "target/debug/mdhub", "CONFIG": REPOSITORY / "examples/mdhub.yaml",
            "START": f"{engine} start", "STOP": f"{engine} stop", "RESTART": f"{engine} restart",
            "RUNNING": f"{engine} running", "READY": "true", "MAIL_TO": "nobody",
            "STATE_DIR": self.here / "state", "LOG_FILE": self.here / "log", "CLOCK": f"echo $(($(date +%s) + {ahead}))",
        }
        (self.here / "etc" / "cron.conf").write_text("".join(f"{key}='{value}'\n" for key, value in settings.items()))

    def boot(self) -> None:
        """Starts the daemon in a namespace of its own."""
        script = NAMESPACE.replace("HERE", str(self.here)).replace("CRON/", f"{CRON}/")
        sink = (self.here / "daemon.log").open("ab")
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", script]
        path = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}"
        self.daemon = subprocess.Popen(command, env={"PATH": path}, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True)

    def halt(self) -> None:
        """The host goes down: the daemon and all that it has started, which its end takes along."""
        if self.daemon:
            os.killpg(self.daemon.pid, signal.SIGKILL)
            self.daemon.wait()

    def calls(self) -> list[str]:
        """What the engine was told."""
        calls = self.here / "calls"
        return calls.read_text().split() if calls.exists() else []

    def told(self, *verb: str) -> str:
        """What the installed script says to a person."""
        command = [self.here / "sbin" / "mdhub-reconcile", *verb, "--conf", self.here / "etc" / "cron.conf"]
        done = subprocess.run(command, text=True, capture_output=True, timeout=30, check=True)
        return done.stdout


# (what, Beijing time at the next full minute, what is there before, what the engine is told at boot, and by the minute after)
SCENARIOS: dict[str, tuple[str, tuple[str, ...], list[str], list[str]]] = {
    "ahead of a section": ("2026-11-23 08:40", (), [], ["start"]),
    "the start minute was missed": ("2026-11-23 10:05", (), ["start"], ["start"]),
    "stop after the last section": ("2026-11-23 15:15", ("running",), [], ["stop"]),
    "a holiday": ("2026-10-01 10:00", ("running",), ["stop"], ["stop"]),
    "the eve of a holiday has no night": ("2026-09-30 21:30", ("running",), ["stop"], ["stop"]),
    "an ordinary eve has one": ("2026-11-23 20:35", (), [], ["start"]),
    "held until its release": ("2026-11-23 10:30", ("state/hold",), [], ["start"]),
    "stopped, and booted again later": ("2026-11-23 15:20", (), [], []),
}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """All of them, begun a while ahead of the same full minute."""
    assert not (lacking() and os.environ.get("CI") == "true"), f"no cron daemon, and there must be one where CI=true: {lacking()}"
    if lacking():
        pytest.skip(f"no cron daemon: {lacking()}")
    minute = math.ceil((time.time() + AHEAD_S) / 60) * 60
    made = {}
    try:
        for number, (name, (when, flags, _, _)) in enumerate(SCENARIOS.items()):
            # At boot it is a minute that nothing is due in: 08:39, 15:14.
            made[name] = Host(tmp_path_factory.mktemp(f"host{number}"), when, minute)
            made[name].begin(*flags)
        yield made
    finally:
        for host in made.values():
            host.halt()


def test_at_boot_each_is_brought_to_what_that_minute_wants_and_one_that_is_held_is_left_alone(hosts: dict[str, Host]) -> None:
    minute = next(iter(hosts.values())).minute
    told = lambda: {name: host.calls() for name, host in hosts.items()}
    wanted = {name: at_boot for name, (_, _, at_boot, _) in SCENARIOS.items()}
    is_up = lambda: all((host.here / "zone").exists() for host in hosts.values()) and told() == wanted
    eventually(lambda: is_up() or time.time() > minute - 1, AHEAD_S + 60, f"{told()} at boot")
    # Those that are to be left alone are still so right ahead of the minute.
    eventually(lambda: time.time() > minute - 2, AHEAD_S + 60, "the end of the minute")
    assert (told(), time.time() < minute) == (wanted, True)
    held = hosts["held until its release"]
    assert "held" in held.told("status")
    held.told("release")


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_cron_brings_the_hub_towards_what_the_calendar_wants(hosts: dict[str, Host], name: str) -> None:
    host, (_, _, _, by_the_minute) = hosts[name], SCENARIOS[name]
    why = lambda: f"{name}: {host.calls()}; {host.told('status') if (host.here / 'sbin').exists() else ''}; {(host.here / 'daemon.log').read_text()}"
    eventually(lambda: (host.here / "zone").exists(), 30, "the installer to be done")
    assert any(zone in (host.here / "zone").read_text() for zone in ("EST", "EDT")), "the host is in New York"
    eventually(lambda: host.calls() == by_the_minute and time.time() > host.minute + 1, WITHIN_S, why())
    installed = (host.here / "installed").read_text()
    assert "written /etc/cron.d/mdhub" in installed and f"{host.here}/etc/cron.conf is kept" in installed


def test_a_host_that_boots_again_starts_a_hub_that_was_stopped_and_holds_one_that_is_held(hosts: dict[str, Host]) -> None:
    host = hosts["stopped, and booted again later"]
    assert host.calls() == []
    host.halt()
    host.set_clock("2026-11-23 20:41")
    host.told("hold", "spare", "parts")
    host.boot()
    time_of_boot = time.time()
    eventually(lambda: time.time() > time_of_boot + 5 or host.calls(), 20, "it to boot")
    assert host.calls() == [] and "spare parts" in host.told("status"), "who holds it is asked first"
    host.told("release")
    host.halt()
    host.boot()
    eventually(lambda: host.calls() == ["start"], WITHIN_S, "the hub to be started at boot")


def test_the_installer_can_be_run_again_and_taken_back(hosts: dict[str, Host], tmp_path: Path) -> None:
    host = next(iter(hosts.values()))
    sbin, etc = ["--sbin", str(tmp_path / "sbin")], ["--etc", str(host.here / "etc")]
    run = lambda words: subprocess.run(words, text=True, capture_output=True, timeout=30)
    dry = run([CRON / "install", "--dry-run", *sbin, *etc])
    assert dry.returncode == 0 and f"would have written {tmp_path}/sbin/mdhub-reconcile" in dry.stdout and not (tmp_path / "sbin").exists()
    wrong = run([CRON / "install", "--sbin", "a b"])
    assert wrong.returncode == 2 and "a b: give an absolute path" in wrong.stderr and "nothing was changed" in wrong.stderr
    twice = f"mount -t tmpfs none /etc/cron.d; for n in 1 2; do {CRON}/install {' '.join(sbin + etc)} && cat /etc/cron.d/mdhub; done; {CRON}/uninstall {' '.join(sbin)}; ls /etc/cron.d"
    done = run(["unshare", "--mount", "--propagation", "private", "bash", "-c", twice])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"* * * * * root  {tmp_path}/sbin/mdhub-reconcile") == 2
    assert "/etc/cron.d/mdhub is as it is to be" in done.stdout and "removed /etc/cron.d/mdhub" in done.stdout
    assert not (tmp_path / "sbin" / "mdhub-reconcile").exists() and done.stdout.rstrip().endswith("left as they are")
