"""What runs, as the kernel's /proc tells it: the hub's own word is not asked."""

from __future__ import annotations

import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

_F_GETPIPE_SZ = getattr(fcntl, "F_GETPIPE_SZ", 1032)


@dataclass(frozen=True)
class Worker:
    """A process `mdhub gateway KIND`."""

    pid: int
    kind: str
    account: str
    incarnation: str


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _kind(words: list[str]) -> str | None:
    """What a process is a worker of, if it is one: mdhub's own, or vnpy's in Python."""
    if any(word.endswith("/bin/mdhub-worker") for word in words):
        return "vnpy"
    return words[words.index("gateway") + 1] if "gateway" in words else None


def workers_of(hub_pid: int) -> list[Worker]:
    """The workers that the hub with this process id started, also after its own end; zombies are not among them."""
    found = []
    for pid in _pids():
        words = _words(pid)
        kind = _kind(words)
        if kind is None or "--parent-pid" not in words:
            continue
        value = {flag: words[words.index(flag) + 1] for flag in ("--account", "--incarnation", "--parent-pid")}
        if value["--parent-pid"] == str(hub_pid):
            found.append(Worker(pid, kind, value["--account"], value["--incarnation"]))
    return sorted(found, key=lambda worker: worker.account)


def zombies_of(parent_pid: int) -> list[int]:
    """Dead children that nobody has waited for."""
    found = []
    for pid in _pids():
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        state, parent = text[text.rindex(")") + 2 :].split()[:2]
        if parent == str(parent_pid) and state == "Z":
            found.append(pid)
    return found


def exists(pid: int) -> bool:
    """Whether there is such a process, even a dead one that nobody has waited for."""
    return Path(f"/proc/{pid}").exists()


def environment(pid: int) -> bytes:
    """A process's environment as it was started."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def command_line(pid: int) -> bytes:
    """A process's arguments."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def tick_pipe(worker_pid: int) -> Path:
    """The descriptor on which a worker writes its ticks: a pipe that it can write, and that is none of 0 to 3."""
    directory = Path(f"/proc/{worker_pid}/fd")
    known = {os.stat(directory / name).st_ino for name in ("0", "1", "2", "3")}
    found = [path for path in directory.iterdir() if _is_writable_pipe(path) and os.stat(path).st_ino not in known]
    assert found, f"worker {worker_pid} has no pipe for ticks"
    return max(found, key=_pipe_bytes)


def _is_writable_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode) and bool(os.lstat(path).st_mode & stat.S_IWUSR)
    except OSError:
        return False


def _pipe_bytes(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        return fcntl.fcntl(descriptor, _F_GETPIPE_SZ)
    finally:
        os.close(descriptor)


def favour(pid: int) -> bool:
    """Asks the kernel to run this process and all that it will start before any ordinary one, so that a busy machine
    does not disturb what is measured. False where that is not allowed."""
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(task), os.SCHED_RR, os.sched_param(1))
    except OSError:
        return False
    return True
