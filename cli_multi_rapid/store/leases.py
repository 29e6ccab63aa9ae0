"""Leases by file locks: held by a living process, freed by the kernel when it dies."""

import fcntl
import os
import re
import time
from pathlib import Path

from cli_multi_rapid.ports import Clock
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.envelope import utc_text
from cli_multi_rapid.store.folder_lock import hold_folder, unusable

_TAKE = """
    INSERT INTO leases (name, token, holder, acquired_at) VALUES (?, 1, ?, ?)
    ON CONFLICT (name) DO UPDATE
    SET token = token + 1, holder = excluded.holder, acquired_at = excluded.acquired_at
    RETURNING token
"""
_UNSAFE = re.compile(rb"[^A-Za-z0-9._-]")
_DYING_LOOKS = 100
_DYING_LOOK_S = 0.02
"""How often, and how many seconds apart, we look whether the last child of a killed holder let go."""

_LONGEST_NAME = 200
"""Bytes of a file name, well below the 255 of every file system."""


class FileLeases:
    """Leases among the processes of one machine, each with a lock file and a fencing token in the database.

    The lock says who may decide; the token stops a holder that has lost its lock file (somebody removed the
    folder) from writing. A lock file that is left behind means nothing: only the lock on it does.
    Raises `EnvironmentFault` when the folder or the database cannot be used.
    """

    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self._folder = folder
        self._database = database
        self._clock = clock

    def acquire(self, name: str) -> "FileLease | None":
        """The lease, or None when a living process (or another part of this one) holds it."""
        now = utc_text(self._clock.now())
        who = f"pid {os.getpid()} on {os.uname().nodename} since {now[:19]}Z"
        handle = self._lock(name)
        for _ in range(_DYING_LOOKS):
            if handle is not None or not self._holder_is_dead(name):
                break
            time.sleep(_DYING_LOOK_S)
            handle = self._lock(name)
        if handle is None:
            return None
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{who}\n".encode(), 0)
            with self._database.transaction() as connection:
                token: int = connection.execute(_TAKE, (name, who, now)).fetchone()[0]
        except OSError as error:
            os.close(handle)
            raise unusable(self._folder, error) from error
        except BaseException:
            os.close(handle)
            raise
        return FileLease(name=name, fence=token, handle=handle)

    def holder(self, name: str) -> str | None:
        """Who holds it, like `pid 123 on host since 2026-11-20T09:46:12Z`; None when nobody does."""
        if not self._folder.is_dir():
            return None
        with hold_folder(self._folder):
            try:
                handle = os.open(self._path(name), os.O_RDONLY)
            except FileNotFoundError:
                return None
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return os.pread(handle, 1000, 0).decode("utf-8", "replace").strip() or "another process"
            finally:
                os.close(handle)
        return None

    def _holder_is_dead(self, name: str) -> bool:
        """Whether the process that took the lock is gone: only a child of it, before its exec, has it."""
        who = self.holder(name)
        if who is None:
            return True  # it let go between our two looks
        words = who.split()
        if len(words) < 2 or not words[1].isdigit():  # not `pid 123 on …`
            return False
        try:
            os.kill(int(words[1]), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def _lock(self, name: str) -> int | None:
        # Under the folder's lock, so that a look at the holder is never mistaken for one. A lock belongs to
        # an open file, not to a process (flock(2)): each acquisition opens its own, and so they exclude each
        # other inside one process too. Programs that we start do not inherit the handle (PEP 446).
        with hold_folder(self._folder):
            try:
                handle = os.open(self._path(name), os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise unusable(self._folder, error) from error
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return None
            return handle

    def _path(self, name: str) -> Path:
        return self._folder / f"{safe_name(name)}.lock"


class FileLease:
    """A holding; see `ports.Lease`."""

    def __init__(self, *, name: str, fence: int, handle: int) -> None:
        self.name = name
        self.fence = fence
        self._handle: int | None = handle

    def release(self) -> None:
        """Give it back; safe to call twice."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            os.ftruncate(handle, 0)
            # Not only closed: a child between fork and exec may hold a copy of the handle for a moment.
            fcntl.flock(handle, fcntl.LOCK_UN)
        finally:
            os.close(handle)


def safe_name(name: str) -> str:
    """A file name for any text: unusual bytes as %XX, and a digest in place of a very long rest."""
    quoted = _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], name.encode("utf-8", "surrogateescape"))
    text = quoted.decode("ascii")
    if len(text) <= _LONGEST_NAME:
        return text
    from hashlib import sha256  # noqa: PLC0415  # 2 ms for names that are hardly ever so long

    return f"{text[: _LONGEST_NAME - 33]}-{sha256(quoted).hexdigest()[:32]}"
