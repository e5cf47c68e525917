"""The log: plain text on descriptor 2, the level first. The gateway manager reads it.

A line that finds the pipe full is dropped and counted: no thread ever waits for somebody to read the log.
"""

from __future__ import annotations

import os
import time

from .words import clean

# Bytes of a line. A pipe takes so many at once or not at all.
LINE_BYTES_MAX = 4_000
# Lines of vnpy and the vendor's library that reach the log in one second; the first line of a flood says enough.
OTHERS_PER_SECOND_MAX = 10

_sink = 2
_dropped = 0


def never_wait() -> None:
    """From here on no line waits."""
    global _sink  # noqa: PLW0603
    _sink = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)


def error(text: str) -> None:
    """Something that people should look at."""
    _line("error", text)


def warn(text: str) -> None:
    """Something that may become an error."""
    _line("warn", text)


def info(text: str) -> None:
    """A change of state."""
    _line("info", text)


def _line(level: str, text: str) -> None:
    global _dropped  # noqa: PLW0603
    dropped = _dropped
    lost = f"warn {dropped} log lines were dropped: the hub did not read\n" if dropped else ""
    try:
        os.write(_sink, f"{lost}{level} {clean(text, LINE_BYTES_MAX)}\n".encode(errors="replace"))
        _dropped -= dropped
    except OSError:
        _dropped += 1


class Gate:
    """Lets so many lines a second pass, and counts the others."""

    def __init__(self, whose: str) -> None:
        self.whose = whose
        self._second = 0
        self._seen = 0

    def pass_line(self, line: str, now_s: float) -> list[str]:
        """What to log for a line: at most the line, after what the seconds before have lost."""
        out = []
        if int(now_s) != self._second:
            dropped = self._seen - OTHERS_PER_SECOND_MAX
            if dropped > 0:
                out.append(f"{self.whose} {dropped} more lines in one second")
            self._second, self._seen = int(now_s), 0
        self._seen += 1
        if self._seen <= OTHERS_PER_SECOND_MAX and line:
            out.append(f"{self.whose}: {line}")
        return out

    def tell(self, line: str) -> None:
        """Logs a line, unless there were too many in this second."""
        for passed in self.pass_line(line, time.monotonic()):
            info(passed)
