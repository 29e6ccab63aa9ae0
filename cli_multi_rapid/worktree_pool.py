"""Used slots that wait for the next attempt: the folder without its `.git`, and its index."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.git_lock import locked, locked_if_free
from cli_multi_rapid.git_slot import SlotFiles
from cli_multi_rapid.worktree_trash import Trash


class Pool:
    """At most `size` folders, shared by all processes; a folder is claimed by a rename that only one wins.

    Folder and index move one after the other. Who moves them shares a lock, so that an index without its
    folder is known for a killed one's when nobody holds it.
    """

    def __init__(self, folder: Path, indexes: Path, trash: Trash, size: int) -> None:
        self._folder = folder
        self._indexes = indexes
        self._trash = trash
        self._size = size
        self._moving = indexes.with_name(f"{indexes.name}.lock")
        for room in (folder, indexes):
            room.mkdir(parents=True, exist_ok=True)

    def folders(self) -> tuple[Path, ...]:
        """What waits, by token."""
        return tuple(sorted(self._folder.iterdir()))

    def put(self, files: SlotFiles) -> bool:
        """Take a slot in; False when there is no room or the slot is no folder any more."""
        if len(self.folders()) >= self._size or not files.is_there():
            return False
        self._trash.throw(files.work_tree / ".git")
        token = token_hex(16)
        with locked(self._moving, shared=True):
            files.index.replace(self._indexes / token)
            files.work_tree.rename(self._folder / token)
        return True

    def take(self, files: SlotFiles, prepare: Callable[[SlotFiles], bool]) -> bool:
        """Move a folder out to `files` and prepare it; one that cannot be prepared goes to the trash."""
        for folder in self.folders():
            with locked(self._moving, shared=True):
                try:
                    folder.rename(files.work_tree)
                except FileNotFoundError:  # another process was faster
                    continue
                with suppress(FileNotFoundError):
                    (self._indexes / folder.name).replace(files.index)
            if self._prepared(files, prepare):
                return True
            self._trash.throw(files.work_tree)
            files.index.unlink(missing_ok=True)
        return False

    def _prepared(self, files: SlotFiles, prepare: Callable[[SlotFiles], bool]) -> bool:
        try:
            return files.index.exists() and prepare(files)
        except EnvironmentFault:
            return False

    def forget_halves(self) -> None:
        """Remove the indexes that killed processes have parted from their folders."""
        with locked_if_free(self._moving) as nobody_moves:
            whole = {folder.name for folder in self.folders()} if nobody_moves else set()
            for index in self._indexes.iterdir() if nobody_moves else ():
                if index.name not in whole:
                    index.unlink(missing_ok=True)

    def drain(self) -> tuple[str, ...]:
        """Throw everything away; the tokens."""
        folders = self.folders()
        for folder in folders:
            self._trash.throw(folder)
            (self._indexes / folder.name).unlink(missing_ok=True)
        return tuple(folder.name for folder in folders)
