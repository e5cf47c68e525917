"""Waiting for a condition, never for luck: every wait has a deadline and says what it waited for."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.01


def eventually(condition: Callable[[], T | None], within_s: float, what: str, poll_s: float = _POLL_S) -> T:
    """The first truthy value of `condition`, which is asked every `poll_s` seconds.

    Raises AssertionError with `what` and the last value when none came within `within_s` seconds.
    """
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s} s: {what} (last seen: {value!r})")
        time.sleep(poll_s)


def always(condition: Callable[[], object], for_s: float, what: str) -> None:
    """Holds `condition` to be truthy for `for_s` seconds; raises AssertionError with `what` as soon as it is not."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        value = condition()
        if not value:
            raise AssertionError(f"did not hold for {for_s} s: {what} (seen: {value!r})")
        time.sleep(_POLL_S)


def lines_of(command: list[str], count: int, within_s: float, env: dict[str, str] | None = None) -> list[str]:
    """The first `count` lines that `command` prints, which is ended then.

    Raises AssertionError with its output and errors when fewer came within `within_s` seconds.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    lines: list[str] = []
    enough = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if len(lines) >= count:
                break
        enough.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    came = enough.wait(within_s) and len(lines) >= count
    process.kill()
    reader.join(5)
    if process.stdout is not None:
        process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(5)
    assert came, f"{command[0]} printed {len(lines)} of {count} lines within {within_s} s: {lines}\n{errors}"
    return lines[:count]
