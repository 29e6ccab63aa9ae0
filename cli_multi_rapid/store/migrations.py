"""The numbered steps from an empty file to the newest layout of the database.

A step that was released is never changed: another one follows it. `PRAGMA user_version` holds the last step
that was taken. The tables of the projections are no part of this; they are dropped and built again at will.
"""

import sqlite3

from msgspec import Struct


class Migration(Struct, frozen=True, kw_only=True):
    """One step, taken completely or not at all."""

    version: int
    reason: str
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration(
        version=1,
        reason="the log and the fencing tokens of its writers",
        statements=(
            """
            CREATE TABLE events (
                run_id TEXT NOT NULL,
                seq INTEGER NOT NULL,
                id TEXT NOT NULL UNIQUE,
                type TEXT NOT NULL,
                version INTEGER NOT NULL,
                time TEXT NOT NULL,
                source TEXT NOT NULL,
                causation_id TEXT,
                correlation_id TEXT,
                data TEXT NOT NULL,
                PRIMARY KEY (run_id, seq)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE leases (
                name TEXT NOT NULL PRIMARY KEY,
                token INTEGER NOT NULL,
                holder TEXT NOT NULL,
                acquired_at TEXT NOT NULL
            ) WITHOUT ROWID
            """,
        ),
    ),
    Migration(
        version=2,
        reason="which streams there are, without reading every event",
        statements=(
            """
            CREATE TABLE streams (
                place INTEGER PRIMARY KEY,
                run_id TEXT NOT NULL UNIQUE,
                started_at TEXT NOT NULL
            )
            """,
            "CREATE INDEX streams_by_start ON streams (started_at, place)",
            """
            INSERT INTO streams (run_id, started_at)
            SELECT run_id, time FROM events WHERE seq = 1 ORDER BY time, id
            """,
        ),
    ),
    Migration(
        version=3,
        reason="what was spent today, without reading every event",
        statements=("CREATE INDEX settled_by_time ON events (time) WHERE type = 'budget.settled'",),
    ),
)

LATEST = MIGRATIONS[-1].version


def version_of(connection: sqlite3.Connection) -> int:
    """The last step that this file has taken; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, to_version: int = LATEST) -> None:
    """Take the missing steps, all in one transaction. The file is locked for everybody else meanwhile."""
    connection.execute("BEGIN EXCLUSIVE")
    try:
        found = version_of(connection)  # again, under the lock: another process may have been quicker
        for step in MIGRATIONS:
            if found < step.version <= to_version:
                for statement in step.statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {step.version:d}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
