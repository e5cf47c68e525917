"""When a login may be sent: a pure state. Fronts refuse more than one a second from a session."""

from __future__ import annotations

# From one login to the next.
SPACING_MS = 1_000


class LoginPace:
    """Paces logins across reconnects. Times are milliseconds of one clock that only goes forward."""

    def __init__(self) -> None:
        self._is_wanted = False
        self._not_before = 0

    def connected(self) -> None:
        """A connection stands, and wants a login."""
        self._is_wanted = True

    def disconnected(self) -> None:
        """There is no connection to log in on."""
        self._is_wanted = False

    def due_at(self) -> int | None:
        """When the next login is to be sent, if one is."""
        return self._not_before if self._is_wanted else None

    def tried(self, *, is_sent: bool, now: int) -> None:
        """A login went out, or could not: then it stays due."""
        self._not_before = now + SPACING_MS
        self._is_wanted = not is_sent
