"""A desk of vnpy's as a real process: see desk.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from harness.places import REPOSITORY
from harness.waiting import eventually

PACKAGE = REPOSITORY / "examples" / "vnpy"
VENV = REPOSITORY / "target" / "vnpy-desk"
# vnpy_ctp and vnpy_sopt are compiled, for minutes: they come from a virtual environment that has them already.
_TRADING = Path(os.environ.get("MDHUB_VNPY_VENV", REPOSITORY / "target" / "vnpy-venv"))
_SITE = "lib/python*/site-packages"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def prepare() -> None:
    """Makes the desk's virtual environment, once for each state of the requirements."""
    base = _TRADING / "bin" / "python"
    python = str(base.resolve()) if base.exists() else sys.executable
    wanted, done = f"{python}\n{_REQUIREMENTS.read_text()}", VENV / "done.txt"
    if done.is_file() and done.read_text() == wanted:
        return
    # vnpy's own requirements would bring its windows along.
    fill = ["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    fill += ["-r", str(_REQUIREMENTS)]
    for command in ([python, "-m", "venv", "--clear", str(VENV)], [str(VENV / "bin" / "python"), "-m", *fill]):
        made = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert made.returncode == 0, f"{command}: {made.stderr}"
    done.write_text(wanted)


def prepare_trading() -> None:
    """That, and the gateways that trade."""
    prepare()
    missing = [name for name in ("vnpy_ctp", "vnpy_sopt") if not list(_TRADING.glob(f"{_SITE}/{name}"))]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not in {_TRADING}; MDHUB_VNPY_VENV names another virtual environment")


class Desk:
    """One desk, and what its strategies and its log got."""

    def __init__(
        self,
        directory: Path,
        gateway: str,
        setting: dict[str, Any],
        contracts: list[str],
        *,
        instruments: list[dict[str, Any]] | None = None,
    ) -> None:
        """Starts it; does not wait. `instruments`: what a trading front would tell of contracts."""
        directory.mkdir(parents=True)
        # vnpy keeps its files here when there is such a folder, else in the user's home.
        (directory / ".vntrader").mkdir()
        self._ticks, self._logs, self._err = (directory / name for name in ("ticks", "logs", "stderr"))
        document = {"gateway": gateway, "setting": setting, "contracts": contracts, "instruments": instruments or []}
        files = {"ticks": str(self._ticks), "logs": str(self._logs)}
        (directory / "desk.json").write_text(json.dumps({**document, **files}))
        sites = [site for venv in (VENV, _TRADING) for site in venv.glob(_SITE)]
        paths = {"PYTHONPATH": ":".join(map(str, [PACKAGE, *sites])), "HOME": str(directory)}
        with self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [str(VENV / "bin" / "python"), str(Path(__file__).with_name("desk.py")), "desk.json"],
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=err,
                stderr=err,
                env={**os.environ, **paths},
            )

    def ticks(self) -> list[dict[str, Any]]:
        """What the strategies' `on_tick` got so far, in order."""
        return self._lines(self._ticks)

    def logs(self) -> list[str]:
        """What stands in vnpy's log so far."""
        return [text for _, text in self._lines(self._logs)]

    def told(self, part: str, within_s: float = 30.0) -> str:
        """Waits for a line of the log that says so."""

        def look() -> str | None:
            assert self.process.poll() is None, f"the desk left:\n{self._err.read_text()}"
            return next((line for line in self.logs() if part in line), None)

        try:
            return eventually(look, within_s, f"a log that says {part!r}", poll_s=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}\n{self._err.read_text()}") from None

    def _lines(self, path: Path) -> list[Any]:
        whole = path.read_text().rpartition("\n")[0] if path.is_file() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
