"""Several hubs as one stream: of each tick the first copy, whichever hub brings it.

Hubs number ticks each by itself, but a tick's `tid` follows from what the exchange said: it is the same at all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock

from mdhub_vnpy.sequence import FLAG_SNAPSHOT, Tick

# Of one contract: 17 minutes at two ticks a second. A hub that is further behind has been cut off long ago.
WINDOW = 2_048


@dataclass
class _Seen:
    """The last ticks of a contract: their identities, and how far its time and volume have come."""

    order: deque[int] = field(default_factory=deque)
    tids: set[int] = field(default_factory=set)
    newest: tuple[datetime, int] | None = None

    def add(self, tid: int) -> bool:
        """Whether it is new."""
        if tid in self.tids:
            return False
        if len(self.order) >= WINDOW:
            self.tids.discard(self.order.popleft())
        self.order.append(tid)
        self.tids.add(tid)
        return True


class Merge:
    """Passes each tick on once, in the order of its contract's time. Many threads may call it."""

    def __init__(self, deliver: Callable[[Tick], None]) -> None:
        """`deliver` is called under a lock, one tick at a time: it must be quick."""
        self._deliver = deliver
        # A strategy may stop following a contract while it is given a tick.
        self._lock = RLock()
        self._contracts: dict[str, _Seen] = {}
        self.delivered = 0
        self.duplicate = 0
        # Ticks that only a slower hub had, when later ones had been passed on already.
        self.late = 0

    def take(self, tick: Tick) -> None:
        """A tick of one of the hubs."""
        with self._lock:
            if self._is_next(tick):
                self.delivered += 1
                self._deliver(tick)

    def forget(self, vt_symbol: str) -> None:
        """A contract that nobody follows any more."""
        with self._lock:
            self._contracts.pop(vt_symbol, None)

    def _is_next(self, tick: Tick) -> bool:
        seen = self._contracts.setdefault(tick["vt_symbol"], _Seen())
        if not seen.add(tick["tid"]):
            self.duplicate += 1
            return False
        at = (tick["datetime"], tick["volume"])
        if seen.newest is not None and at < seen.newest:
            self.late += not tick["flags"] & FLAG_SNAPSHOT
            return False
        seen.newest = at
        return True
