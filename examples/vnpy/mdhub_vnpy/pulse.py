"""Whether a hub lives: it says so once a second. A function of what came and when; who calls it brings the clock."""

from __future__ import annotations

SILENT_S = 5.0


class Pulse:
    """What a hub's heartbeats and the lack of them tell, in words for people."""

    def __init__(self, now_s: float) -> None:
        """`now_s` is a monotonic clock's, as everywhere here."""
        self._heard_s = now_s
        self._epoch: int | None = None
        self._sources: list[str] | None = None
        self.is_silent = False

    def heard(self, now_s: float, epoch: int) -> list[str]:
        """A message came; whatever it is, it names the hub's start."""
        silence_s = now_s - self._heard_s
        self._heard_s = now_s
        news = []
        if self._epoch is None:
            news.append("connected")
        elif self.is_silent:
            news.append(f"is back after {silence_s:.0f} s")
        if self._epoch not in (None, epoch):
            news.append("was started anew: it has no ticks of the time in between")
        self._epoch, self.is_silent = epoch, False
        return news

    def beat(self, sources: list[str]) -> list[str]:
        """A heartbeat; it names the sources that the hub has."""
        news = []
        if sources != self._sources and (self._sources is not None or not sources):
            news.append(f"has the sources {', '.join(sources)}" if sources else "has no source: no ticks will come")
        self._sources = sources
        return news

    def look(self, now_s: float) -> list[str]:
        """Time has passed."""
        silence_s = now_s - self._heard_s
        if self.is_silent or silence_s < SILENT_S:
            return []
        self.is_silent = True
        return [f"is silent for {silence_s:.0f} s: its ticks are stale"]
