"""The ticks that a strategy is to see, of one hub or of several: what a gateway of vnpy stands on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from mdhub_vnpy.merge import Merge
from mdhub_vnpy.sections import Snapshots, is_wanted
from mdhub_vnpy.sequence import Tick
from mdhub_vnpy.stream import Hub, HubStream


class HubFeed:
    """Of each tick the first copy, whichever hub brings it."""

    def __init__(
        self,
        hubs: list[Hub],
        on_tick: Callable[[Tick], None],
        on_news: Callable[[str], None],
        *,
        snapshots: Snapshots = Snapshots.SECTION,
        settlement: bool = False,
    ) -> None:
        """`on_tick` and `on_news` are called on threads of the feed's, `on_tick` one tick at a time. `settlement`:
        ticks after the close count, too."""
        self.merge = Merge(on_tick)
        self._snapshots = snapshots
        self._settlement = settlement
        self._streams = [HubStream(hub, self._take, on_news) for hub in hubs]

    def start(self) -> None:
        """Connects to every hub."""
        for stream in self._streams:
            stream.start()

    def subscribe(self, vt_symbol: str) -> None:
        """Follows a contract at every hub."""
        for stream in self._streams:
            stream.subscribe(vt_symbol)

    def unsubscribe(self, vt_symbol: str) -> None:
        """Follows it no longer."""
        for stream in self._streams:
            stream.unsubscribe(vt_symbol)
        self.merge.forget(vt_symbol)

    def close(self) -> None:
        """Disconnects from all of them."""
        for stream in self._streams:
            stream.close()

    def _take(self, tick: Tick) -> None:
        if is_wanted(tick, datetime.now(timezone.utc), self._snapshots, self._settlement):
            self.merge.take(tick)
