"""What went wrong with the database file, said to the person who can do something about it."""

import sqlite3
from pathlib import Path

from cli_multi_rapid.core.errors import EnvironmentFault, InternalError, OrchestratorError

_PRIMARY = 0xFF
"""The low byte of an extended result code is its primary code (sqlite.org/rescode.html)."""

_NOT_OURS = "move it away (the run's branches stay in git), or put back a backup"
_LOCKED = (
    "{path} has been locked by another program for too long",
    "close backups or database browsers that hold it, then try again",
)

_FAULTS = {
    sqlite3.SQLITE_FULL: (
        "the disk is full: nothing was recorded in {path}",
        "free some space, then try again",
    ),
    sqlite3.SQLITE_READONLY: ("{path} cannot be written", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("{path} cannot be opened", "check that its folder exists and can be written"),
    sqlite3.SQLITE_PERM: ("{path} cannot be opened", "check the permissions of the file and its folder"),
    sqlite3.SQLITE_CORRUPT: ("{path} is damaged", _NOT_OURS),
    sqlite3.SQLITE_NOTADB: ("{path} is not a database, or it is damaged", _NOT_OURS),
    sqlite3.SQLITE_IOERR: (
        "{path} could not be read or written",
        "check the disk and its free space; the state folder must lie on a local disk",
    ),
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
}


def fault_of(error: sqlite3.Error, path: Path) -> OrchestratorError:
    """The error to raise in place of SQLite's: the surroundings are wrong, or else this program is."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or code & _PRIMARY not in _FAULTS:
        return InternalError(f"{path}: {error}")
    message, hint = _FAULTS[code & _PRIMARY]
    return EnvironmentFault(f"{message.format(path=path)} ({error})", hint=hint)


def damaged(path: Path, what: str) -> EnvironmentFault:
    """The error for a row that was read but makes no sense."""
    return EnvironmentFault(f"{path} is damaged: {what}", hint=_NOT_OURS)


def too_new(path: Path, found: int, known: int) -> EnvironmentFault:
    """The error for a file that a later release has changed."""
    return EnvironmentFault(
        f"{path} was written by a newer release (version {found}, this one knows up to {known})",
        hint="upgrade cli-orchestrator, or give this release another folder with --home",
    )


def moved(path: Path) -> EnvironmentFault:
    """The error for a file that was deleted or replaced under a living process."""
    return EnvironmentFault(
        f"{path} was removed or replaced while it was in use: this process stops",
        hint="finished work is kept on its branches: git branch --list 'lane/*'",
    )
