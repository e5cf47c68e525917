"""When a worker gives up: a pure state. Each limit has an exit code of its own, and words with numbers in them. Times are
milliseconds of one clock that only goes forward."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from . import codes
from .codes import Leave
from .frames import Limits
from .session import Settled
from .words import seconds, shown

# Lost connections that are remembered at most, whatever the limit says.
LOSSES_MAX = 10_000
# A worker that had a tick so recently leaves its front in good standing.
WELL_MS = 10_000

# The vendor's reasons for a lost connection, as its headers have them.
_REASONS = {
    0x1001: "the network could not be read",
    0x1002: "the network could not be written",
    0x2001: "no heartbeat came in time",
    0x2002: "a heartbeat could not be sent",
    0x2003: "what came was no packet",
}


def reason_words(reason: int) -> str:
    """The vendor's reason for a lost connection."""
    return f"reason {reason:#06x}, {_REASONS.get(reason, 'a reason that is not documented')}"


class Front(Enum):
    """How far the connection has come."""

    DOWN = auto()
    CONNECTED = auto()
    LOGGED_IN = auto()


class Watchdog:
    """What is watched, from when the library begins to connect."""

    def __init__(self, limits: Limits, *, session_open: bool, now: int) -> None:
        self._limits = limits
        self._front, self._since = Front.DOWN, now
        self._losses: deque[int] = deque()
        self._lost = 0
        self._last_reason: int | None = None
        self._session_open_since = now if session_open else None
        self._subscribed_since: int | None = None
        self._received = 0
        self._ticked_at: int | None = None
        self._dropped = self._overflow_beats = 0

    def connected(self, now: int) -> None:
        """The front took the connection."""
        self._front, self._since = Front.CONNECTED, now

    def disconnected(self, reason: int, now: int) -> None:
        """The connection is gone, or an attempt at one failed: the vendor calls both the same. Leaves when there are too many."""
        # An attempt that fails does not begin the wait for a front anew.
        if self._front is not Front.DOWN:
            self._front, self._since = Front.DOWN, now
        self._subscribed_since = None
        self._lost, self._last_reason = self._lost + 1, reason
        most = min(self._limits.disconnects_max, LOSSES_MAX)
        self._losses.append(now)
        if len(self._losses) <= most:
            return
        took_ms = now - self._losses.popleft()
        if took_ms <= self._limits.disconnects_window_ms:
            raise Leave(
                codes.DISCONNECTS,
                f"the front's connection was lost {most + 1} times within {seconds(took_ms)}, the last time for "
                f"{reason_words(reason)}; at most {most} within {seconds(self._limits.disconnects_window_ms)} are borne",
            )

    def logged_in(self) -> None:
        """The front took the login."""
        self._front = Front.LOGGED_IN

    def settled(self, settled: Settled, received: int, now: int) -> None:
        """Every subscription was answered or counts as unanswered. Leaves when not one was answered, and no tick came."""
        self._look(received, now)
        if settled.unanswered > 0 and settled.accepted + settled.refused == 0 and self._ticked_at is None:
            raise Leave(
                codes.UNANSWERED,
                f"logged in, but none of {settled.unanswered} subscriptions was answered within "
                f"{seconds(self._limits.subscribe_timeout_ms)}: {shown(settled.first, settled.unanswered)}",
            )
        if settled.accepted == 0:
            self._subscribed_since = None
        elif self._subscribed_since is None:
            self._subscribed_since = now

    def session(self, *, is_open: bool, now: int) -> None:
        """The session opened or closed."""
        if not is_open:
            self._session_open_since = None
        elif self._session_open_since is None:
            self._session_open_since = now

    def beat(self, dropped: int) -> None:
        """Once a second: `dropped` ticks so far found the queue full. Leaves after too many consecutive such seconds."""
        self._overflow_beats = self._overflow_beats + 1 if dropped > self._dropped else 0
        self._dropped = dropped
        if self._overflow_beats >= max(1, self._limits.overflow_beats_max):
            raise Leave(
                codes.OVERFLOW,
                f"the ring dropped ticks in each of {self._overflow_beats} consecutive seconds, {dropped} in all: "
                "the hub does not keep up",
            )

    def check(self, received: int, now: int) -> None:
        """Leaves when something has lasted too long, with `received` ticks so far."""
        self._look(received, now)
        limits = self._limits
        if self._front is Front.DOWN and now >= self._since + limits.front_timeout_ms:
            tried = "the library said nothing at all"
            if self._last_reason is not None:
                tried = f"{self._lost} attempts failed, the last for {reason_words(self._last_reason)}"
            raise Leave(codes.NO_FRONT, f"no front answered within {seconds(limits.front_timeout_ms)}; {tried}")
        if self._front is Front.CONNECTED and now >= self._since + limits.login_timeout_ms:
            limit = seconds(limits.login_timeout_ms)
            raise Leave(codes.LOGIN_UNANSWERED, f"the front has not answered the login within {limit}")
        silent_at = self._silent_at()
        if self._front is Front.LOGGED_IN and silent_at is not None and now >= silent_at:
            ever = f"after {received}" if received else "ever since the subscription"
            limit = seconds(limits.silent_ms)
            raise Leave(codes.SILENT, f"not one tick came for {limit} in an open session, {ever}")

    def wake_at(self) -> int | None:
        """When `check` is due again, at the latest."""
        if self._front is Front.DOWN:
            return self._since + self._limits.front_timeout_ms
        if self._front is Front.CONNECTED:
            return self._since + self._limits.login_timeout_ms
        return self._silent_at()

    def is_well(self, received: int, now: int) -> bool:
        """Whether the front gives no reason to try another one next time: logged in, with a tick just now."""
        self._look(received, now)
        return self._front is Front.LOGGED_IN and self._ticked_at is not None and now < self._ticked_at + WELL_MS

    def _look(self, received: int, now: int) -> None:
        if received > self._received:
            self._received, self._ticked_at = received, now

    def _silent_at(self) -> int | None:
        """When it will have been silent for too long: counted from the last of tick, subscription and opening."""
        if self._session_open_since is None or self._subscribed_since is None:
            return None
        since = max(self._session_open_since, self._subscribed_since)
        return max(since, self._ticked_at or since) + self._limits.silent_ms
