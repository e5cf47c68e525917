"""What the hub says about itself: status.json beside its database, and its events. Every wait has a deadline."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from harness.hub import Hub
from harness.waiting import eventually

Account = dict[str, Any]


def document(hub: Hub) -> dict[str, Any]:
    """status.json as last written; empty before there is anything to tell."""
    try:
        written: dict[str, Any] | None = json.loads((hub.data_dir / "status.json").read_text())
    except FileNotFoundError:
        return {}
    return written or {}


def of_account(hub: Hub, account: str) -> Account:
    """What an account is at; empty while the hub does not know it."""
    return dict(document(hub).get("accounts", {}).get(account, {}))


def routes(hub: Hub, vt_symbol: str) -> list[str]:
    """The accounts that may feed this contract, by priority."""
    return list(document(hub).get("routes", {}).get(vt_symbol, []))


def condition(hub: Hub, account: str, kind: str) -> dict[str, str]:
    """One condition of an account: type, status, reason, message; empty while the hub does not know it."""
    found = [c for c in of_account(hub, account).get("conditions", []) if c["type"] == kind]
    return dict(found[0]) if found else {}


def wait_for_phase(hub: Hub, account: str, *phases: str, within_s: float = 20.0) -> Account:
    """Waits until the account is in one of these phases."""

    def look() -> Account | None:
        now = of_account(hub, account)
        return now if now.get("phase") in phases else None

    try:
        return eventually(look, within_s, "")
    except AssertionError:
        now = of_account(hub, account)
        message = f"{account} is not {' or '.join(phases)} within {within_s} s: {now.get('phase')}, {now.get('why')}"
        raise AssertionError(message) from None


def wait_for_condition(  # noqa: PLR0913
    hub: Hub, account: str, kind: str, status: str, reason: str | None = None, within_s: float = 20.0
) -> dict[str, str]:
    """Waits until a condition has this status, and this reason if one is given."""

    def look() -> dict[str, str] | None:
        now = condition(hub, account, kind)
        return now if now.get("status") == status and reason in (None, now.get("reason")) else None

    try:
        return eventually(look, within_s, "")
    except AssertionError:
        wanted = f"{kind} {status} {reason or ''}"
        now = of_account(hub, account)
        raise AssertionError(f"{account}: no {wanted} within {within_s} s: {now}") from None


def events(hub: Hub, reason: str, account: str | None = None) -> list[str]:
    """The messages of all events with this reason, of this account or of none in particular, oldest first."""
    connection = sqlite3.connect(f"file:{hub.data_dir / 'mdhub.db'}?mode=ro", uri=True, timeout=5.0)
    try:
        rows = connection.execute(
            "SELECT message FROM events WHERE reason = ? AND account IS ? ORDER BY id", (reason, account)
        ).fetchall()
    finally:
        connection.close()
    return [row[0] for row in rows]
