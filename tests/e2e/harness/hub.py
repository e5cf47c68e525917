"""A hub as a real process: started in a directory of its own, and always ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from harness.places import MDHUB
from harness.processes import Worker, workers_of, zombies_of
from harness.waiting import eventually

LISTENING_WITHIN_S = 20.0
GONE_WITHIN_S = 15.0


@dataclass(frozen=True)
class RunInfo:
    """What a hub writes to `run.json` once it listens."""

    pid: int
    http: str
    zmq: str
    epoch: str


def clean_environment(**more: str) -> dict[str, str]:
    """An environment without anything of the caller's that mdhub would read."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MDHUB_", "SIMAPI_", "RUST_LOG"))}
    return {**kept, **more}


def mdhub(
    *words: str, stdin: str | None = None, within_s: float = 20.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end; `environment` adds to a clean one."""
    return subprocess.run(
        [str(MDHUB), *words],
        input="" if stdin is None else stdin,
        capture_output=True,
        text=True,
        timeout=within_s,
        env=clean_environment(**environment),
        check=False,
    )


class Hub:
    """One hub process and what it left on disk."""

    def __init__(self, data_dir: Path, words: list[str], **environment: str) -> None:
        """Starts `mdhub WORDS --data-dir DATA_DIR`; does not wait. `environment` adds to a clean one."""
        self.data_dir = data_dir
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        self.stdout_path = data_dir.with_name(f"{data_dir.name}.stdout")
        self.stderr_path = data_dir.with_name(f"{data_dir.name}.stderr")
        with self.stdout_path.open("ab") as out, self.stderr_path.open("ab") as err:
            self.started_mono = time.monotonic()
            self.process = subprocess.Popen(
                [str(MDHUB), *words, "--data-dir", str(data_dir)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=clean_environment(**environment),
            )

    @classmethod
    def demo(cls, data_dir: Path) -> Hub:
        """`mdhub demo` on free ports."""
        return cls(data_dir, ["demo", "--http", "127.0.0.1:0", "--zmq", "tcp://127.0.0.1:0"])

    @classmethod
    def run(cls, data_dir: Path, settings: Path, **environment: str) -> Hub:
        """`mdhub run` with a settings file."""
        return cls(data_dir, ["run", "--config", str(settings)], **environment)

    @property
    def pid(self) -> int:
        """The hub's process id."""
        return self.process.pid

    def _run_info(self) -> RunInfo | None:
        try:
            written = json.loads((self.data_dir / "run.json").read_text())
        except FileNotFoundError:
            return None
        info = RunInfo(**{field.name: written[field.name] for field in fields(RunInfo)})
        return info if info.pid == self.pid else None

    def listening(self) -> RunInfo:
        """Waits until both ports are open."""

        def look() -> RunInfo | None:
            code = self.process.poll()
            assert code is None, f"the hub left with {code} before it listened:\n{self.log()[-4000:]}"
            return self._run_info()

        return eventually(look, LISTENING_WITHIN_S, "run.json of the hub")

    def log(self) -> str:
        """Everything on stderr so far."""
        return self.stderr_path.read_text(errors="replace")

    def printed(self) -> str:
        """Everything on stdout so far."""
        return self.stdout_path.read_text(errors="replace")

    def health(self) -> tuple[int, Any]:
        """Status and body of `GET /health`."""
        with urllib.request.urlopen(f"{self.listening().http}/health", timeout=5) as answer:
            return answer.status, json.load(answer)

    def vitals(self) -> dict[str, Any]:
        """The feed's counters as last written: `{"published": n, "accounts": {id: {counter: n}}}`; empty before."""
        try:
            vitals: dict[str, Any] = json.loads((self.data_dir / "vitals.json").read_text())
        except FileNotFoundError:
            return {}
        return vitals

    def counter(self, account: str, name: str) -> int:
        """One counter of one account; 0 before it is known."""
        return int(self.vitals().get("accounts", {}).get(account, {}).get(name, 0))

    def workers(self) -> list[Worker]:
        """The gateway processes that run, by account."""
        return workers_of(self.pid)

    def worker(self, account: str) -> Worker | None:
        """The gateway process of this account. Two at once are never right."""
        found = [worker for worker in self.workers() if worker.account == account]
        assert len(found) <= 1, f"two processes for {account}: {found}"
        return found[0] if found else None

    def running(self, account: str, within_s: float = 10.0) -> Worker:
        """Waits until this account has a process."""
        return eventually(lambda: self.worker(account), within_s, f"a process for {account}")

    def replaced(self, old: Worker, within_s: float = 10.0) -> Worker:
        """Waits until another process has taken the place of `old`."""

        def look() -> Worker | None:
            now = self.worker(old.account)
            return now if now is not None and now.pid != old.pid else None

        return eventually(look, within_s, f"a new process for {old.account} in place of {old.pid}")

    def stopped(self, account: str, within_s: float = 10.0) -> None:
        """Waits until this account has no process."""
        eventually(lambda: self.worker(account) is None, within_s, f"no process for {account}")

    def stop(self) -> int:
        """Ends the hub as an operator would, and returns its exit code."""
        if self.process.poll() is None:
            eventually(lambda: not zombies_of(self.pid), 1.0, "dead workers to be waited for")
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(GONE_WITHIN_S)

    def kill(self) -> None:
        """Ends the hub as a crash would."""
        self.process.kill()
        self.process.wait(GONE_WITHIN_S)

    def clear_away(self) -> list[Worker]:
        """Ends what is left of hub and workers, and names the workers that had outlived their hub."""
        self.process.kill()
        self.process.wait(GONE_WITHIN_S)
        left = self.workers()
        for worker in left:
            try:
                os.kill(worker.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return left
