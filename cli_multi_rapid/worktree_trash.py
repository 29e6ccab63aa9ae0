"""Folders on their way out: renamed away at once, deleted later when nobody waits."""

import os
import shutil
import stat
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from secrets import token_hex


class Trash:
    """A folder beside the worktrees, on the same file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pending: SimpleQueue[Path | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def throw(self, path: Path) -> None:
        """Rename a file, folder or symlink away and delete it in the background; nothing there is fine."""
        if not os.path.lexists(path):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        grave = self.folder / token_hex(16)
        if path.is_dir() and not path.is_symlink():
            _make_writable(path)  # only the owner of a writable folder may move it
        path.rename(grave)
        self._pending.put(grave)
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._reap, name="trash", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Let the thread end when it has deleted what was thrown; nobody waits for it."""
        with self._starting:
            if self._thread is not None:
                self._pending.put(None)
                self._thread = None

    def empty(self) -> int:
        """Delete everything that is left, also from earlier processes; the number of things deleted."""
        if not self.folder.is_dir():
            return 0
        graves = list(self.folder.iterdir())
        for grave in graves:
            delete(grave)
        return len(graves)

    def _reap(self) -> None:
        """Delete what was thrown, at the lowest priority where a thread can have its own (Linux).

        What processes left that ended before they had deleted all of theirs comes first.
        """
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        with suppress(OSError):
            self.empty()
        while (grave := self._pending.get()) is not None:
            with suppress(OSError):  # `empty` tries again, and says why it cannot
                delete(grave)


def delete(path: Path) -> None:
    """Delete a file or a folder, also where an agent took the permissions away. No error if it is gone."""
    while os.path.lexists(path):
        # Another thread or process may delete the same: then a part is gone between our look and our step.
        with suppress(FileNotFoundError):
            _delete(path)


def _delete(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder, _, _ in os.walk(path):
            _make_writable(Path(folder))
        shutil.rmtree(path)


def _make_writable(folder: Path) -> None:
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(mode | stat.S_IRWXU)
