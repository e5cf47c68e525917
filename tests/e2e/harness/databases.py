"""Real databases for a hub, edited as a person with a shell edits them: sqlite3, PyMySQL, pymongo."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pymongo
import pymysql
from pymongo.errors import PyMongoError

from harness.places import REPOSITORY
from harness.waiting import eventually

PASSWORD = "db-hunter2-secret"
READY_WITHIN_S = 30.0
NOT_INSTALLED = 3


class Server:
    """A server that `tests/servers/serve.py` runs, and ends when this process ends."""

    def __init__(self, kind: str) -> None:
        """Starts it; `port` is 0 where it is not installed."""
        self.process = subprocess.Popen(
            [sys.executable, str(REPOSITORY / "tests" / "servers" / "serve.py"), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = self._told()
        if self.port == 0:
            assert self.process.wait() == NOT_INSTALLED, f"{kind} does not start"

    def _told(self) -> int:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return int(json.loads(line)["port"]) if line else 0

    def tell(self, order: str) -> None:
        """`kill` or `start`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        assert self._told() == self.port, order

    def end(self) -> None:
        """Ends it and removes its files."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(READY_WITHIN_S)


class Database(ABC):
    """One database of one hub."""

    url: str

    @abstractmethod
    def add(self, account: str, settings: dict[str, Any], password: str) -> None:
        """Adds an account by hand, its password in plain text."""

    @abstractmethod
    def enable(self, account: str, enabled: bool) -> None:
        """Sets `is_enabled`, and nothing else."""

    @abstractmethod
    def password(self, account: str, password: str) -> None:
        """Writes another password, in plain text."""

    @abstractmethod
    def spoil(self, account: str) -> None:
        """Gives the account a gateway that there is not."""

    @abstractmethod
    def empty(self) -> None:
        """Removes every account."""

    @abstractmethod
    def dump(self) -> str:
        """Everything in it."""


class Sqlite(Database):
    """A file."""

    def __init__(self, file: Path) -> None:
        """The hub makes the file."""
        self.file = file
        self.url = f"sqlite://{file}"

    def _do(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self.file, timeout=5.0)
        try:
            with connection:
                connection.execute(statement, values)
        finally:
            connection.close()

    def add(self, account: str, settings: dict[str, Any], password: str) -> None:
        """By INSERT."""
        secrets = json.dumps({"password": password})
        self._do(
            "INSERT INTO accounts (id, gateway, settings, secrets) VALUES (?, 'ctp', ?, ?)",
            account,
            json.dumps(settings),
            secrets,
        )

    def enable(self, account: str, enabled: bool) -> None:
        """By UPDATE."""
        self._do("UPDATE accounts SET is_enabled = ? WHERE id = ?", int(enabled), account)

    def password(self, account: str, password: str) -> None:
        """By UPDATE."""
        self._do("UPDATE accounts SET secrets = ? WHERE id = ?", json.dumps({"password": password}), account)

    def spoil(self, account: str) -> None:
        """By UPDATE."""
        self._do("UPDATE accounts SET gateway = 'xtp' WHERE id = ?", account)

    def empty(self) -> None:
        """By DELETE."""
        self._do("DELETE FROM accounts")

    def dump(self) -> str:
        """The bytes of its files."""
        files = [self.file, self.file.with_name(f"{self.file.name}-wal")]
        return "".join(file.read_bytes().decode("latin-1") for file in files if file.exists())


class Mariadb(Database):
    """A database on the server, of a user who owns it."""

    def __init__(self, server: Server, name: str) -> None:
        """Makes both."""
        self.name = name
        self.port = server.port
        self.url = f"mysql://{name}:{PASSWORD}@127.0.0.1:{server.port}/{name}"
        for statement in (
            f"CREATE DATABASE {name}",
            f"CREATE USER '{name}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT ALL ON {name}.* TO '{name}'@'127.0.0.1'",
        ):
            self._do(statement, database=None)

    def _do(self, statement: str, *values: object, database: str | None = "") -> list[Any]:
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=self.name if database == "" else None, autocommit=True
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def add(self, account: str, settings: dict[str, Any], password: str) -> None:
        """By INSERT."""
        secrets = json.dumps({"password": password})
        self._do(
            "INSERT INTO accounts (id, gateway, settings, secrets) VALUES (%s, 'ctp', %s, %s)",
            account,
            json.dumps(settings),
            secrets,
        )

    def enable(self, account: str, enabled: bool) -> None:
        """By UPDATE."""
        self._do("UPDATE accounts SET is_enabled = %s WHERE id = %s", enabled, account)

    def password(self, account: str, password: str) -> None:
        """By UPDATE."""
        self._do("UPDATE accounts SET secrets = %s WHERE id = %s", json.dumps({"password": password}), account)

    def spoil(self, account: str) -> None:
        """By UPDATE."""
        self._do("UPDATE accounts SET gateway = 'xtp' WHERE id = %s", account)

    def empty(self) -> None:
        """By TRUNCATE."""
        self._do("TRUNCATE accounts")

    def dump(self) -> str:
        """Every row of both tables."""
        return repr(self._do("SELECT * FROM accounts") + self._do("SELECT * FROM events"))


class Mongo(Database):
    """A database on a replica set."""

    def __init__(self, server: Server, name: str) -> None:
        """The server makes it when the hub first writes."""
        self.url = f"mongodb://127.0.0.1:{server.port}/{name}?replicaSet=rs0"
        self.client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            "127.0.0.1", server.port, directConnection=True, serverSelectionTimeoutMS=2_000
        )
        self.database = self.client[name]
        member = {"_id": 0, "host": f"127.0.0.1:{server.port}"}
        try:
            self.client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        except PyMongoError as error:
            assert "already initialized" in str(error), error
        self.primary()

    def primary(self) -> None:
        """Waits until it takes writes."""

        def look() -> bool:
            try:
                return bool(self.client.admin.command("hello")["isWritablePrimary"])
            except PyMongoError:
                return False

        eventually(look, READY_WITHIN_S, "a primary")

    def add(self, account: str, settings: dict[str, Any], password: str) -> None:
        """By insertOne, with what a person would write and no more."""
        self.database.accounts.insert_one(
            {"id": account, "gateway": "ctp", "settings": settings, "secrets": {"password": password}}
        )

    def enable(self, account: str, enabled: bool) -> None:
        """By updateOne."""
        self.primary()
        assert self.database.accounts.update_one({"id": account}, {"$set": {"is_enabled": enabled}}).matched_count == 1

    def password(self, account: str, password: str) -> None:
        """By updateOne."""
        self.database.accounts.update_one({"id": account}, {"$set": {"secrets": {"password": password}}})

    def spoil(self, account: str) -> None:
        """By updateOne."""
        self.database.accounts.update_one({"id": account}, {"$set": {"gateway": "xtp"}})

    def empty(self) -> None:
        """By deleteMany."""
        self.database.accounts.delete_many({})

    def dump(self) -> str:
        """Every document."""
        return repr([list(self.database[name].find()) for name in self.database.list_collection_names()])
