"""Which faults are the machine's: no node is to blame, every other one would meet them too, and they pass."""

import errno
import re
from typing import Final

from cli_multi_rapid.core.errors import EnvironmentFault

_FREE_SPACE: Final = "free space"
_MORE_FILES: Final = "raise the limit of open files (ulimit -n) or work with fewer --workers"
_MORE_MEMORY: Final = "free memory, raise the limits (ulimit -v, -u) or work with fewer --workers"
_WRITABLE: Final = "make the disk writable again"
_WHOLE: Final = "check the disk"

_BY_NUMBER: Final = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EMFILE: _MORE_FILES,
    errno.ENFILE: _MORE_FILES,
    errno.ENOMEM: _MORE_MEMORY,
    errno.EROFS: _WRITABLE,
    errno.EIO: _WHOLE,
}
_BY_SQLITE: Final = {13: _FREE_SPACE, 7: _MORE_MEMORY}
"""SQLITE_FULL and SQLITE_NOMEM (sqlite.org/rescode.html): a command without a database does not import it."""
_BY_WORDS: Final = tuple(
    # Only as the last words of a line, where the system's are: a file of an agent may have any name.
    (re.compile(rf"(?m)(?:^|[:.] )(?:{words})$"), remedy)
    for words, remedy in (
        ("No space left on device|Disk quota exceeded", _FREE_SPACE),
        ("Out of diskspace|unable to write (?:new index )?file.*", _FREE_SPACE),
        ("Too many open files(?: in system)?", _MORE_FILES),
        ("Cannot allocate memory|[Oo]ut of memory.*|Resource temporarily unavailable", _MORE_MEMORY),
        ("can't start new thread", _MORE_MEMORY),
        ("Read-only file system", _WRITABLE),
        ("Input/output error", _WHOLE),
    )
)
"""How git, the C library and Python say the same. Only for words about our own acts, never a tool's."""


def remedy_of(error: BaseException | None) -> str | None:
    """What helps against a fault of the machine, in words that `then ...` can follow; None for any other.

    An error counts for those that it led to.
    """
    while error is not None:
        if remedy := _own_remedy(error):
            return remedy
        error = error.__cause__ or error.__context__
    return None


def remedy_in(words: str) -> str | None:
    """The same for what git says."""
    return next((remedy for pattern, remedy in _BY_WORDS if pattern.search(words)), None)


def machine_fault(error: BaseException) -> EnvironmentFault | None:
    """The error to tell in place of one that the machine is to blame for; None for any other."""
    remedy = remedy_of(error)
    if remedy is None:
        return None
    return EnvironmentFault(words_of(error), hint=f"{remedy}, then try again")


def words_of(error: BaseException) -> str:
    """What happened, for a person."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error)


def _own_remedy(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return _MORE_MEMORY
    if isinstance(error, OSError):
        return _BY_NUMBER.get(error.errno or 0)
    if isinstance(error, EnvironmentFault | RuntimeError):  # "can't start new thread" is a RuntimeError
        return remedy_in(str(error))
    return _BY_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
