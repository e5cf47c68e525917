"""A worker without a hub: the test holds the other ends of its pipes, as the gateway manager would."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import msgpack

from harness import vnpy_library
from harness.places import MDHUB, SIMULATED_LIBRARY
from harness.waiting import eventually
from harness.world import Scenario

PASSWORD = "a-password-7"  # noqa: S105 - of the simulated front
FRONT = "tcp://front.sim:1"
# Bytes before a record that differ from receipt to receipt: frame's head, and the two stamps.
STAMPED = 5 + 16
_HEAD = struct.Struct("<IB")
# Descriptor 3 is what the first word says; bash can have any number there.
_AS_THREE = ["bash", "-c", 'exec 3>&"$0" && exec "$@"']

PATIENT = {
    "front_timeout_ms": 30_000,
    "disconnects_max": 20,
    "disconnects_window_ms": 30_000,
    "login_timeout_ms": 10_000,
    "subscribe_timeout_ms": 10_000,
    "silent_ms": 300_000,
    "overflow_beats_max": 10,
    "report_timeout_ms": 5_000,
}


@dataclass
class Wanted:
    """What a worker is given. `kind` is `vnpy`, or that of mdhub's own worker."""

    directory: Path
    kind: str = "vnpy"
    dialect: str = "ctp"
    contracts: list[str] = field(default_factory=lambda: ["rb2701.SHFE", "m2705.DCE"])
    scenarios: list[Scenario] = field(default_factory=list)
    interval_ms: int = 100
    limits: dict[str, int] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    environment: Path = vnpy_library.ENVIRONMENT
    env: dict[str, str] = field(default_factory=dict)
    reads_ticks: bool = True
    reads_reports: bool = True
    parent_pid: int = field(default_factory=os.getpid)

    def world(self) -> Path:
        """The world's file, written."""
        path = self.directory / "world.json"
        front = {"scenarios": self.scenarios, "tape": str(self.directory / "tape")}
        market = {"kind": "synthetic", "interval_ms": self.interval_ms, "levels": 5}
        path.write_text(json.dumps({"seed": 7, "market": market, "fronts": {FRONT: front}}))
        return path

    def command(self) -> tuple[list[str], dict[str, str]]:
        """As the hub starts it: program with words, and environment."""
        env = {"SIMAPI_WORLD": str(self.world()), **self.env}
        words = ["--account", "lone", "--incarnation", "7.2", "--parent-pid", str(self.parent_pid)]
        if self.kind != "vnpy":
            return [str(MDHUB), "gateway", self.dialect, *words], env
        env = {
            "LOCPATH": str(self.environment / "locale"),
            "LD_LIBRARY_PATH": str(vnpy_library.chosen(self.directory)),
            **env,
        }
        return [str(self.environment / "bin" / "python"), "-I", "-u", str(self.environment / "bin" / "mdhub-worker"), *words], env

    def first(self) -> dict[str, Any]:
        """The command Start."""
        flow = self.directory / "flow"
        flow.mkdir(mode=0o700, exist_ok=True)
        start = {
            "protocol_version": 2,
            "user_id": "u",
            "password": PASSWORD,
            "broker_id": "b",
            "md_address": [FRONT],
            "library": str(self.environment if self.kind == "vnpy" else SIMULATED_LIBRARY),
            "library_sha256": None,
            "flow_dir": str(flow),
            "contracts": self.contracts,
            "limits": {**PATIENT, **self.limits},
            "session_open": True,
            "gateway_class": vnpy_library.CLASSES[f"vnpy-{self.dialect}"] if self.kind == "vnpy" else "",
            "connect": {},
        }
        return {"Start": {**start, **self.start}}


class LoneWorker:
    """One worker process, and all that it has said."""

    def __init__(self, wanted: Wanted, *, is_told: bool = True) -> None:
        """Starts it, and tells it to start unless `is_told` is false."""
        wanted.directory.mkdir(parents=True, exist_ok=True)
        command, env = wanted.command()
        first = wanted.first()
        self.reports: list[Any] = []
        self.records: list[bytes] = []
        self.log = ""
        pipes = [os.pipe() for _ in range(4)]
        (stdin, self.commands), (self.ticks, ticks_out), (log, log_out), (reports, reports_out) = pipes
        if not wanted.reads_reports:
            fcntl.fcntl(reports_out, 1031, 4_096)  # F_SETPIPE_SZ
        self.process = subprocess.Popen(
            [*_AS_THREE, str(reports_out), *command],
            stdin=stdin,
            stdout=ticks_out,
            stderr=log_out,
            pass_fds=(reports_out,),
            env={**env, "PATH": os.environ["PATH"]},
            cwd=wanted.directory / "flow",
            process_group=0,
        )
        for end in (stdin, ticks_out, log_out, reports_out):
            os.close(end)
        self._readers = [threading.Thread(target=self._read_log, args=(log,), daemon=True)]
        if wanted.reads_ticks:
            self._readers.append(threading.Thread(target=_read, args=(self.ticks, self._tick), daemon=True))
        if wanted.reads_reports:
            self._readers.append(threading.Thread(target=_read, args=(reports, self._report), daemon=True))
        for reader in self._readers:
            reader.start()
        if is_told:
            self.tell(first)

    def tell(self, command: Any) -> None:
        """Sends a command."""
        body = msgpack.packb(command)
        os.write(self.commands, _HEAD.pack(len(body) + 1, 3) + body)

    def close_commands(self) -> None:
        """The hub goes away."""
        os.close(self.commands)
        self.commands = -1

    def named(self, name: str) -> list[Any]:
        """What the reports of this name carry."""
        return [report[name] for report in list(self.reports) if isinstance(report, dict) and name in report]

    def says(self, name: str, within_s: float = 15.0) -> Any:
        """Waits for a report of this name, and gives what the first one carries."""
        deadline = time.monotonic() + within_s
        while not (name in self.reports or self.named(name)):
            assert time.monotonic() < deadline, f"no {name} within {within_s} s: {self.reports} {self.log}"
            time.sleep(0.01)
        return (self.named(name) or [None])[0]

    def has_records(self, count: int, within_s: float = 20.0) -> list[bytes]:
        """Waits until so many tick records have come."""
        eventually(lambda: len(self.records) >= count, within_s, f"{count} records")
        return list(self.records)

    def ends(self, within_s: float = 15.0) -> tuple[int, str]:
        """Its exit code, and the reason of its last word."""
        code = self.process.wait(within_s)
        for reader in self._readers:
            reader.join(5)
        return code, (self.named("Bye") or [{"reason": ""}])[0]["reason"]

    def _tick(self, kind: int, body: bytes) -> None:
        assert kind == 1
        self.records.append(body)

    def _report(self, kind: int, body: bytes) -> None:
        assert kind == 2
        self.reports.append(msgpack.unpackb(body))

    def _read_log(self, pipe: int) -> None:
        while chunk := os.read(pipe, 65_536):
            self.log += chunk.decode(errors="replace")

    def __enter__(self) -> LoneWorker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


def _read(pipe: int, take: Callable[[int, bytes], None]) -> None:
    """Reads frames until the pipe ends; a torn one is a failure of the reader's thread, which pytest tells."""
    buffer = bytearray()
    while chunk := os.read(pipe, 1 << 20):
        buffer += chunk
        while len(buffer) >= _HEAD.size:
            length, kind = _HEAD.unpack_from(buffer)
            assert 0 < length <= 4 * 1024 * 1024, f"{length} is no length of a frame"
            if len(buffer) < 4 + length:
                break
            take(kind, bytes(buffer[5 : 4 + length]))
            del buffer[: 4 + length]


def drained(pipe: int, take: Callable[[int, bytes], None]) -> None:
    """Reads what a pipe that nobody has read holds, to its end."""
    deadline = time.monotonic() + 10
    _read(pipe, take)
    assert time.monotonic() < deadline
