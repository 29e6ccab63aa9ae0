"""Undo a step forward of a checkout that the machine broke off half-way: a full disk, above all.

Git refuses before it writes anything when a file of the person is in the way, so what it has touched of the
step since it began is its own: old content there comes from the old commit, and new files are new by it.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.git_command import Git, joined, split
from cli_multi_rapid.git_history import changes

_TICK_NS: Final = 10_000_000
"""By which the times of files may lag behind the clock."""
_NOTHING_WRITTEN: Final = re.compile(r"Unable to create '.*index\.lock'")
"""Git takes this lock first: without it no file has changed."""


@contextmanager
def stepped_back(own: Git, old: Commit, new: Commit) -> Iterator[None]:
    """Show `old` again when the body, a step to `new`, ends by a fault of the machine."""
    began = time.time_ns() - _TICK_NS
    try:
        yield
    except EnvironmentFault as fault:
        if not _NOTHING_WRITTEN.search(fault.message):
            with suppress(EnvironmentFault, OSError):  # what is still in the way is named at the next landing
                _step_back(own, old, new, began)
        raise


def _step_back(own: Git, old: Commit, new: Commit, began_ns: int) -> None:
    if own.ask("diff-index", "--cached", "--quiet", new, "--").ok:
        own.tell("read-tree", "-m", "-u", new, old)  # it came as far as the index
        return
    step = changes(own, old, new)
    touched = {name for change in step for name in change.names if _is_fresh(own.work_tree / name, began_ns)}
    before = set(split(own.tell("ls-files", "-z", "--cached").stdout))
    for name in touched - before:
        (own.work_tree / name).unlink(missing_ok=True)  # first: it makes room
    kept = sorted(touched & before)
    if kept:
        own.tell("checkout-index", "--force", "-u", "-z", "--stdin", stdin=joined(kept))


def _is_fresh(path: Path, began_ns: int) -> bool:
    """Whether a file was made, changed or removed since then."""
    if os.path.lexists(path):
        return path.lstat().st_ctime_ns >= began_ns
    folder = next(folder for folder in path.parents if folder.is_dir())
    return folder.stat().st_mtime_ns >= began_ns
