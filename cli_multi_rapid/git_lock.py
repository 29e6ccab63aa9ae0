"""Locks between threads and processes that a killed holder cannot leave behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock file until the block ends, waiting for its holder. The kernel frees it on any death.

    `shared`: beside others who share it.
    """
    with _opened(path) as handle:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock file until the block ends, unless somebody does; whether we hold it."""
    with _opened(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


class Presence:
    """The proof that this process is alive: a lock file that is held until `leave` or death."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._handle = _hold(path)
        while not _is_at(path, self._handle):  # `forget_absent` took the file before we held it
            os.close(self._handle)
            self._handle = _hold(path)

    def leave(self) -> None:
        """End it. Safe to call twice."""
        if self._handle >= 0:
            with suppress(OSError):  # read-only by now; the lock is what counts
                self.path.unlink()
            os.close(self._handle)
            self._handle = -1


def _hold(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def is_present(path: Path) -> bool:
    """Whether a living process holds the presence at this path."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _is_free(handle)
    finally:
        os.close(handle)


def forget_absent(folder: Path) -> None:
    """Remove what is left in a folder of presences of those who died without leaving."""
    for path in folder.glob("*"):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            # Whoever has just made it waits for our lock, and then sees that the file is gone.
            if _is_free(handle):
                path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _is_free(handle: int) -> bool:
    """Whether nobody holds it. We share its lock from then on."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
