"""What happens to the main thread: one bounded queue of news, from the hub, the gateway and the process."""

from __future__ import annotations

import queue
from typing import Any

# News that may wait for the main thread. The answers to 20,000 subscriptions fit.
NEWS_MAX = 32_768

News = tuple[Any, ...]


class Inbox:
    """News are tuples: the name of a method of the main loop, and what it is called with."""

    def __init__(self) -> None:
        self._news: queue.Queue[News] = queue.Queue(NEWS_MAX)
        self.lost = 0

    def tell(self, name: str, *what: Any) -> None:
        """Takes news; never waits."""
        try:
            self._news.put_nowait((name, *what))
        except queue.Full:
            self.lost += 1

    def put(self, name: str, *what: Any) -> None:
        """Takes news, and waits while the main thread is busy: for commands, which the hub can keep."""
        self._news.put((name, *what))

    def take(self, wait_ms: int) -> News | None:
        """The next news; None when there are none for so long."""
        try:
            return self._news.get(timeout=max(0, wait_ms) / 1000)
        except queue.Empty:
            return None
