"""Whether a hub lives: it says so once a second. A function of what came and when; who calls it brings the clock."""

from __future__ import annotations

from typing import Any

SILENT_S = 5.0


class Pulse:
    """What a hub's heartbeats and the lack of them tell, in words for people."""

    def __init__(self, now_s: float) -> None:
        """`now_s` is a monotonic clock's, as everywhere here."""
        self._heard_s = now_s
        self._epoch: int | None = None
        self._sources: list[str] | None = None
        self.is_silent = False
        self._was_heard = False

    def heard(self, now_s: float) -> list[str]:
        """Something came."""
        silence_s = now_s - self._heard_s
        self._heard_s = now_s
        if self._was_heard and not self.is_silent:
            return []
        news = [f"is back after {silence_s:.0f} s"] if self._was_heard else ["connected"]
        self._was_heard, self.is_silent = True, False
        return news

    def beat(self, beat: dict[str, Any]) -> list[str]:
        """A heartbeat."""
        news = []
        epoch, sources = beat["epoch"], list(beat["sources"])
        if self._epoch not in (None, epoch):
            news.append("was started anew: what was published while it was away is missing here")
        if sources != self._sources and (self._sources is not None or not sources):
            news.append(f"has the sources {', '.join(sources)}" if sources else "has no source: no ticks will come")
        self._epoch, self._sources = epoch, sources
        return news

    def look(self, now_s: float) -> list[str]:
        """Time has passed."""
        silence_s = now_s - self._heard_s
        if self.is_silent or silence_s < SILENT_S:
            return []
        self.is_silent = True
        return [f"is silent for {silence_s:.0f} s: its ticks are stale"]
