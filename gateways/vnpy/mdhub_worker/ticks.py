"""The way of ticks to the hub. The vendor's thread writes a tick itself where nothing waits; what the pipe does not take waits
in a bounded queue, which gives up its oldest, and is written by a thread of its own. A tick frame is shorter than what a pipe
takes whole or not at all, so that no frame is ever torn."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from .record import TICK_FRAME_BYTES

# As many as the native worker keeps.
RING_TICKS = 16_384
# What a pipe takes whole or not at all (PIPE_BUF).
_FRAMES_AT_ONCE = 4_096 // TICK_FRAME_BYTES


class TickPipe:
    """One thread pushes, one writes what waits."""

    def __init__(self, waiting: int, direct: int, broken: Callable[[str], None]) -> None:
        """The same pipe twice: a write to `waiting` waits, one to `direct` does not. `broken` is told once, of its end."""
        self.received = 0
        self.dropped = 0
        self._waiting, self._direct, self._broken = waiting, direct, broken
        self._queue: deque[bytes] = deque()
        self._change = threading.Condition()
        # Whether the writer has the pipe. Only `push` sets it, only the writer takes it back.
        self._is_queued = False
        threading.Thread(target=self._write, name="ticks", daemon=True).start()

    def push(self, frame: bytes) -> None:
        """Takes a tick frame; never waits for the hub. Called by one thread alone."""
        self.received += 1
        if not self._is_queued:
            try:
                os.write(self._direct, frame)
                return
            except BlockingIOError:
                pass
            except OSError as why:
                self._broken(str(why))
                return
        with self._change:
            if len(self._queue) >= RING_TICKS:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(frame)
            if not self._is_queued:
                self._is_queued = True
                self._change.notify()

    def _write(self) -> None:
        while True:
            with self._change:
                if not self._queue:
                    self._is_queued = False
                while not self._queue:
                    self._change.wait()
                frames = [self._queue.popleft() for _ in range(min(_FRAMES_AT_ONCE, len(self._queue)))]
            try:
                os.write(self._waiting, b"".join(frames))
            except OSError as why:
                self._broken(str(why))
                return
