"""One SQLite file and this process's connection to it."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.store.faults import fault_of, moved, too_new
from cli_multi_rapid.store.folder_lock import hold_folder, unusable
from cli_multi_rapid.store.migrations import LATEST, migrate, version_of

BUSY_TIMEOUT_S = 5.0
"""How long to wait for another process's transaction before giving up."""


class Database:
    """The state database, at the newest layout. Its threads take turns on one connection.

    Commits survive a killed process (`synchronous = NORMAL`); those that are asked to be durable also survive
    a power cut (`FULL`). Turns are enough: one thread per run appends, and a read takes microseconds.
    Every method raises `EnvironmentFault` when the file, the disk or another program is in the way.
    """

    def __init__(self, path: Path, *, timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self._file = str(path)
        self._timeout_s = timeout_s
        self._turn = threading.Lock()
        self._full = False
        self._connection = self._open()
        self._identity = self._found_identity()

    def connect(self) -> sqlite3.Connection:
        """One more connection to the same file, in autocommit mode, for the caller to close."""
        connection = sqlite3.connect(
            self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of one SELECT, a consistent moment of the file."""
        with self._turn:
            self._check_in_place()
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise fault_of(error, self.path) from error

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """The only writer of the file for the length of the block; an exception takes everything back.

        `durable`: on disk, with all commits before it, when the block ends.
        """
        with self._turn:
            connection = self._connection
            self._check_in_place()
            try:
                self._sync_fully(durable)
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._take_back()
                raise fault_of(error, self.path) from error
            except BaseException:
                self._take_back()
                raise

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        with self._turn:
            self._connection.close()

    def _check_in_place(self) -> None:
        # SQLite goes on in a file that somebody deleted (`git clean -fdx`), where nobody finds the events.
        if self._found_identity() != self._identity:
            raise moved(self.path)

    def _found_identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._file)  # noqa: PTH116 - on the way of every append; Path.stat takes 4 x as long
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _sync_fully(self, full: bool) -> None:
        # Outside of a transaction: inside, SQLite ignores the pragma without a word.
        if full != self._full:
            self._connection.execute("PRAGMA synchronous = FULL" if full else "PRAGMA synchronous = NORMAL")
            self._full = full

    def _take_back(self) -> None:
        # SQLite may have rolled back already (a full disk); the first error is the one to tell.
        with suppress(sqlite3.Error):
            self._connection.rollback()

    def _open(self) -> sqlite3.Connection:
        if not self.path.exists():
            self._create()
        connection = None
        try:
            connection = self.connect()
            found = version_of(connection)
            if found > LATEST:
                raise too_new(self.path, found, LATEST)
            if found < LATEST:
                self._migrate(connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.Error):
                raise fault_of(error, self.path) from error
            raise
        return connection

    def _create(self) -> None:
        """An empty file for the owner's eyes only; SQLite gives its `-wal` and `-shm` files the same mode."""
        with hold_folder(self.path.parent), suppress(FileExistsError):
            # O_EXCL: a file that SQLite may hold is never opened, as closing it would drop our locks on it.
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except (PermissionError, NotADirectoryError) as error:
                raise unusable(self.path.parent, error) from error

    def _migrate(self, connection: sqlite3.Connection) -> None:
        # The change to WAL does not wait for others as transactions do, hence the folder's lock.
        with hold_folder(self.path.parent):
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if mode != "wal":
                raise EnvironmentFault(
                    f"{self.path} lies on a file system without shared memory (journal mode {mode})",
                    hint="put the state folder on a local disk; --home names another place",
                )
            migrate(connection)
