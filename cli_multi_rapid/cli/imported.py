"""Runs that were imported: to be looked at here, never to be driven. Their plans are another machine's."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.engine.home import Home

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records


@contextmanager
def marking_import(home: Home, run_id: RunId) -> Iterator[None]:
    """Mark a run while it is imported; the mark goes when that fails.

    The mark is there first: between two steps a run must not look like one of ours. It is a file beside the
    log, because the events of a run stay as they were exported.
    """
    mark = _mark(home, run_id)
    mark.parent.mkdir(parents=True, exist_ok=True)
    is_new = not mark.exists()
    mark.touch()
    try:
        yield
    except BaseException:
        if is_new:
            mark.unlink()
        raise


def is_imported(home: Home, run_id: RunId) -> bool:
    """Whether a run came from a file."""
    return _mark(home, run_id).exists()


def require_ours(records: "Records", run_id: RunId) -> None:
    """Raises `UserError` for a run that was imported: what it would do was never agreed to here."""
    if is_imported(records.home, run_id):
        raise UserError(
            f"run {run_id} was imported: it is here to be looked at, and its plan is not run here",
            hint=f"look at it: cli-orchestrator status {run_id}; to do the same work here, execute a plan of "
            "your own",
        )


def _mark(home: Home, run_id: RunId) -> Path:
    # Hashed: an id in a file that somebody else wrote may hold anything, and be of any length.
    return home.state / "imported" / sha256(run_id.encode("utf-8", "surrogateescape")).hexdigest()
