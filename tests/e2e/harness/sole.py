"""Whether an account ever has two processes at once: /proc is looked at all the time, by a thread of the test's own."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

# pid, account, start time in clock ticks.
Seen = tuple[int, str, str]


class SoleProcess:
    """Watches the workers of every hub that it is told of, until the block ends; then there must never have been two."""

    def __init__(self) -> None:
        """Watches nobody yet."""
        self._hubs: set[str] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.looks = 0
        self.doubles: list[tuple[Seen, ...]] = []

    def of(self, hub_pid: int) -> None:
        """Watches this hub's workers too, also after its own end."""
        self._hubs = self._hubs | {str(hub_pid)}

    def _watch(self) -> None:
        while not self._ending.is_set():
            self._look()
            self.looks += 1
            self._ending.wait(0.002)

    def _look(self) -> None:
        by_account: dict[str, list[Seen]] = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            seen = _worker(int(name), self._hubs)
            if seen is not None:
                by_account.setdefault(seen[1], []).append(seen)
        for workers in by_account.values():
            # The first was seen before the last: only who still lives now was there beside it.
            if len(workers) > 1 and all(_worker(pid, self._hubs) == (pid, *rest) for pid, *rest in workers):
                self.doubles.append(tuple(workers))

    def __enter__(self) -> SoleProcess:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join(10)
        if kind is None:
            assert self.looks > 5, f"it was looked {self.looks} times only"
            assert not self.doubles, f"two processes of one account: {self.doubles[:3]}"


def _worker(pid: int, hubs: set[str]) -> Seen | None:
    """The process, if it is a worker of one of these hubs. A dead one that nobody has waited for has no arguments."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        if "gateway" not in words or "--parent-pid" not in words:
            return None
        if words[words.index("--parent-pid") + 1] not in hubs:
            return None
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return (pid, words[words.index("--account") + 1], fields[19]) if fields[0] not in "ZX" else None
