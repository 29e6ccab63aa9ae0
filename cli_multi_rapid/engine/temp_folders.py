"""The private temporary folder of an attempt or a check: beside those of others, where paths are short.

Sockets that tools put into `$TMPDIR` may have about a hundred characters, so it does not lie in `state/`. Its
name tells whose it is, so that a process that takes over after a `kill -9` finds it.
"""

import shutil
import tempfile
from hashlib import sha256
from pathlib import Path


def make_temp_folder(slot_name: str) -> Path:
    """A new, empty folder that only the user can enter."""
    return Path(tempfile.mkdtemp(prefix=_prefix(slot_name)))


def find_temp_folders(slot_name: str) -> tuple[Path, ...]:
    """The folders of a slot's work that are still there."""
    prefix = _prefix(slot_name)
    return tuple(path for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith(prefix))


def remove_temp_folders(slot_name: str) -> None:
    """Remove what a dead process left of a slot's work; what belongs to another user stays."""
    for folder in find_temp_folders(slot_name):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix(slot_name: str) -> str:
    return f"cli-orchestrator-{sha256(slot_name.encode()).hexdigest()[:12]}-"
