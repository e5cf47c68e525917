"""How a worker leaves. The codes are those of mdhub's `spec::process`."""

from __future__ import annotations

ASKED = 0
START = 2
LIBRARY = 3
PIPE = 4
PROTOCOL = 5
LOGIN_REFUSED = 6
INTERNAL = 7
NO_FRONT = 8
DISCONNECTS = 9
LOGIN_UNANSWERED = 10
UNANSWERED = 11
SILENT = 12
OVERFLOW = 13
REPORTS_UNREAD = 14


class Leave(Exception):
    """The worker leaves with this code, for this reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
