"""What to type when the disk was full while a run was driven: the run itself is where its events left it."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.reports import commands

_GITS_WORDS = "No space left on device"


@contextmanager
def told_to_resume(run_id: RunId) -> Iterator[None]:
    """Have a fault of a full disk end with the command that goes on; other faults pass as they are."""
    try:
        yield
    except (OSError, EnvironmentFault) as error:
        if not is_disk_full(error):
            raise
        what = error.message if isinstance(error, EnvironmentFault) else _words(error)
        hint = f"free space, then: {commands.resume(run_id)}"
        raise EnvironmentFault(what, hint=hint) from error


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is that of a full disk or quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        if isinstance(error, EnvironmentFault) and _GITS_WORDS in error.message:
            return True
        error = error.__cause__ or error.__context__
    return False


def _words(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
