"""A short exclusive hold on a folder, for what must not be done by two processes at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli_multi_rapid.core.errors import EnvironmentFault


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Make the folder when needed, and wait until nobody else holds it.

    The folder itself is locked, so nothing is left behind, and the kernel ends the hold with the process.
    Not for nesting. Raises `EnvironmentFault` when the folder cannot be made or locked.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise unusable(folder, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise unusable(folder, error) from error
        yield
    finally:
        os.close(handle)


def unusable(folder: Path, error: OSError) -> EnvironmentFault:
    """The error for a folder in which nothing can be kept."""
    return EnvironmentFault(
        f"the folder {folder} cannot be used: {error.strerror}",
        hint="it must be writable and lie on a local disk; --home names another place",
    )
