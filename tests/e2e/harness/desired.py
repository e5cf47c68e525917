"""Desired state: accounts through `mdhub account`, and rows by hand through Python's own sqlite3."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from harness.hub import mdhub


def account(data_dir: Path, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """`mdhub account WORDS --data-dir DATA_DIR`, whatever comes of it."""
    return mdhub("account", *words, "--data-dir", str(data_dir), stdin=stdin)


def change(data_dir: Path, *words: str, stdin: str | None = None) -> str:
    """The same, and it must succeed; returns what it printed."""
    done = account(data_dir, *words, stdin=stdin)
    assert done.returncode == 0, f"account {' '.join(words)}: exit {done.returncode}: {done.stderr}"
    return done.stdout


def add(
    data_dir: Path,
    account_id: str,
    front: str,
    *,
    gateway: str = "ctp",
    library: str = "sim",
    priority: int = 1,
    password: str = "a-password",
    more: tuple[str, ...] = (),
) -> None:
    """Adds an account as an operator would."""
    words = ["add", "--id", account_id, "--gateway", gateway, "--md-address", front, "--library", library]
    words += ["--user-id", "user-1", "--broker-id", "9999", "--priority", str(priority), "--password-stdin", *more]
    change(data_dir, *words, stdin=f"{password}\n")


def listed(data_dir: Path) -> dict[str, dict[str, Any]]:
    """The accounts as `mdhub account list --json` shows them, by id."""
    return {row["id"]: row for row in json.loads(change(data_dir, "list", "--json"))}


def by_hand(data_dir: Path, statement: str, *values: object) -> int:
    """Runs one SQL statement on the hub's database, and returns how many rows it touched."""
    connection = sqlite3.connect(data_dir / "mdhub.db", timeout=5.0)
    try:
        with connection:
            return connection.execute(statement, values).rowcount
    finally:
        connection.close()


def column(data_dir: Path, account_id: str, name: str) -> Any:
    """One column of one account's row, read by plain SQL."""
    connection = sqlite3.connect(data_dir / "mdhub.db", timeout=5.0)
    try:
        row = connection.execute(f"SELECT {name} FROM accounts WHERE id = ?", (account_id,)).fetchone()
    finally:
        connection.close()
    assert row is not None, f"no row for {account_id}"
    return row[0]
