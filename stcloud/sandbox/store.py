"""Apps and their tokens in SQLite: what a method returns is committed."""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Token = dict[str, Any]

MAX_ID = 2**63 - 1

_MARK = 0x53544342  # marks our files among other programs' databases
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS app (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- no id is used twice
    app_id INTEGER NOT NULL REFERENCES app (id),
    name TEXT,
    value TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL DEFAULT 1,
    readable INTEGER NOT NULL,
    writeable INTEGER NOT NULL,
    created_at TEXT NOT NULL
);
INSERT INTO sqlite_sequence (name, seq) SELECT 'token', 1000  -- the first id is 1001
    WHERE NOT EXISTS (SELECT * FROM sqlite_sequence WHERE name = 'token');
COMMIT;
"""
_RESET = """
BEGIN IMMEDIATE;
DELETE FROM token;
DELETE FROM app;
UPDATE sqlite_sequence SET seq = 1000 WHERE name = 'token';
COMMIT;
"""


class TokenNotFoundError(Exception):
    """The app has no token with this id."""


class Store:
    """One connection for all threads; each statement is a transaction of its own."""

    def __init__(self, database: str | os.PathLike[str], clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        (mark,) = self._connection.execute("PRAGMA application_id").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and mark != _MARK:
            raise sqlite3.DatabaseError("it belongs to another program")
        self._connection.execute(f"PRAGMA application_id = {_MARK}")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database; in memory, it is gone."""
        self._connection.close()

    def reset(self) -> None:
        """Drop all apps and tokens, and restart the ids."""
        with self._lock:
            self._connection.executescript(_RESET)

    def add_app(self, app_id: int) -> None:
        """Let an app exist."""
        self._run("INSERT OR IGNORE INTO app VALUES (?)", app_id)

    def apps(self) -> list[int]:
        """Return the apps that exist."""
        return [row["id"] for row in self._run("SELECT id FROM app ORDER BY id")]

    def has_app(self, app_id: int) -> bool:
        """Return whether an app exists."""
        return bool(self._run("SELECT * FROM app WHERE id = ?", app_id))

    def tokens(self, app_id: int) -> list[Token]:
        """Return an app's tokens, the oldest first."""
        rows = self._run("SELECT * FROM token WHERE app_id = ? ORDER BY id", app_id)
        return [_token(row) for row in rows]

    def create(self, app_id: int, fields: Mapping[str, Any]) -> Token:
        """Add a token to an app."""
        now = self._clock().astimezone(UTC).isoformat(timespec="milliseconds")
        return self._one(
            "INSERT INTO token (app_id, value, created_at, name, readable, writeable)"
            " VALUES (?, ?, ?, ?, coalesce(?, 1), coalesce(?, 1)) RETURNING *",
            app_id,
            str(uuid.uuid4()),
            now.replace("+00:00", "Z"),
            *map(fields.get, ("name", "readable", "writeable")),
        )

    def update(self, app_id: int, token_id: int, fields: Mapping[str, Any]) -> Token:
        """Change the fields that are not None."""
        return self._one(
            "UPDATE token SET enabled = coalesce(?, enabled), name = coalesce(?, name)"
            " WHERE app_id = ? AND id = ? RETURNING *",
            *map(fields.get, ("enabled", "name")),
            app_id,
            token_id,
        )

    def regenerate(self, app_id: int, token_id: int) -> Token:
        """Replace a token's value."""
        return self._one(
            "UPDATE token SET value = ? WHERE app_id = ? AND id = ? RETURNING *",
            str(uuid.uuid4()),
            app_id,
            token_id,
        )

    def delete(self, app_id: int, token_id: int) -> None:
        """Remove a token."""
        self._one("DELETE FROM token WHERE app_id = ? AND id = ? RETURNING *", app_id, token_id)

    def _one(self, statement: str, *values: object) -> Token:
        rows = self._run(statement, *values)
        if not rows:
            raise TokenNotFoundError
        return _token(rows[0])

    def _run(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            # A statement with RETURNING ends, and is committed, once its rows are read.
            return self._connection.execute(statement, values).fetchall()


def _token(row: sqlite3.Row) -> Token:
    return {
        "id": row["id"],
        "name": row["name"],
        "token": row["value"],
        "enabled": bool(row["enabled"]),
        "readable": bool(row["readable"]),
        "writeable": bool(row["writeable"]),
        "createdAt": row["created_at"],
    }
