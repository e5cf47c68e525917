"""Reports to the hub, on descriptor 3. It never waits for the hub: what the pipe does not take is kept, for so long and no
longer."""

from __future__ import annotations

import os
import select
from typing import Any

from . import codes
from .codes import Leave
from .frames import report_frame
from .words import NAME_BYTES_MAX, clean

# Bytes of reports that may wait for the hub. The answers to 20,000 subscriptions fit.
PENDING_BYTES_MAX = 4 * 1024 * 1024
# While reports wait, the pipe is looked at so often.
LOOK_MS = 20
# The last report is waited for so long.
LAST_WAIT_MS = 500


class Reports:
    """Writes reports to a pipe that does not block. Times are milliseconds of one clock that only goes forward."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._pending = bytearray()
        self._stuck_since: int | None = None

    def hello(self, account: str, incarnation: tuple[int, int], protocol_version: int) -> None:
        """The worker's first word."""
        epoch, counter = incarnation
        life = {"epoch": epoch, "counter": counter}
        self._send("Hello", {"protocol_version": protocol_version, "account": account, "incarnation": life})

    def library_loaded(self, version: str, *, is_known: bool) -> None:
        """The gateway's class, and the vendor's library beneath it, were loaded."""
        self._send("LibraryLoaded", {"version": clean(version, NAME_BYTES_MAX), "known": is_known})

    def front_connected(self) -> None:
        """The front took the connection."""
        self._send("FrontConnected", None)

    def front_disconnected(self, reason: int) -> None:
        """The front went away."""
        self._send("FrontDisconnected", {"reason": reason})

    def logged_in(self, trading_day: str) -> None:
        """The front took the login."""
        self._send("LoggedIn", {"trading_day": clean(trading_day, NAME_BYTES_MAX)})

    def login_refused(self, code: int, message: str) -> None:
        """The front refused the login."""
        self._send("LoginRefused", {"code": code, "message": clean(message)})

    def subscribe_ack(self, symbol: str, refused: tuple[int, str] | None) -> None:
        """The front answered one subscription."""
        answer = None if refused is None else [refused[0], clean(refused[1])]
        self._send("SubscribeAck", {"symbol": clean(symbol, NAME_BYTES_MAX), "refused": answer})

    def ready(self, accepted: int) -> None:
        """Every subscription was answered, or its time to be answered is up."""
        self._send("Ready", {"accepted": accepted})

    def unanswered(self, count: int, first: list[str]) -> None:
        """So many subscriptions stay without an answer."""
        self._send("Unanswered", {"count": count, "first": [clean(name, NAME_BYTES_MAX) for name in first]})

    def heartbeat(self, received: int, ring_dropped: int) -> None:
        """Once a second."""
        self._send("Heartbeat", {"received": received, "ring_dropped": ring_dropped})

    def bye(self, code: int, reason: str) -> None:
        """The last word: it is waited for, but not for long, since the pipe may be what broke."""
        try:
            self._send("Bye", {"code": code, "reason": clean(reason)})
            while self._pending and select.select([], [self._pipe], [], LAST_WAIT_MS / 1000)[1]:
                self._flush()
        except (Leave, OSError, ValueError):
            return

    @property
    def is_waiting(self) -> bool:
        """Whether reports wait."""
        return bool(self._pending)

    def look(self, limit_ms: int, now: int) -> None:
        """Writes what waits; leaves where nothing could be for `limit_ms`."""
        before = len(self._pending)
        self._flush()
        after = len(self._pending)
        if after == 0:
            self._stuck_since = None
        elif self._stuck_since is None or after != before:
            self._stuck_since = now
        if self._stuck_since is not None and now - self._stuck_since >= limit_ms:
            stuck_ms = now - self._stuck_since
            text = f"the hub has read no report for {stuck_ms} ms, {after} bytes wait"
            raise Leave(codes.REPORTS_UNREAD, text)

    def _send(self, name: str, fields: dict[str, Any] | None) -> None:
        report: Any = name if fields is None else {name: fields}
        self._pending += report_frame(report)
        self._flush()
        if len(self._pending) > PENDING_BYTES_MAX:
            text = f"{len(self._pending)} bytes of reports wait for the hub to read them"
            raise Leave(codes.REPORTS_UNREAD, text)

    def _flush(self) -> None:
        while self._pending:
            try:
                written = os.write(self._pipe, self._pending)
            except BlockingIOError:
                return
            except OSError as why:
                raise Leave(codes.PIPE, f"control pipe: {why}") from None
            del self._pending[:written]
