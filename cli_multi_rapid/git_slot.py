"""Our own view of a slot: its files with our git dir, index and settings, never with the agent's `.git`.

Two files decide what a slot's content is: the work tree, and the index that we wrote when we filled it (the
pristine index, kept outside the slot). The objects of a snapshot go straight into the person's object store:
a separate store would have to be copied for every attempt that succeeds, and what a failed attempt leaves
there is garbage that `git gc` removes after its grace period, like that of any aborted `git add`.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.git_command import Git, blame_machine, joined, split

_GITLINK_MODE = b"\x00\x00\xe0\x00"
"""0160000 as an index stores it. Also found by chance elsewhere, so it only says when to look closer."""


_GLOB_STARTS = ("*", "?", "[", "\\")


class Gitlink(Struct, frozen=True, kw_only=True):
    """A submodule: the path where it belongs and the commit of the other repository."""

    path: str
    commit: Commit


class SlotFiles(Struct, frozen=True, kw_only=True):
    """Where a slot is."""

    work_tree: Path
    index: Path
    """The pristine index: what `base` looked like on disk."""

    def is_there(self) -> bool:
        """Whether the folder is still one: an agent may have deleted it, or put a symlink in its place."""
        try:
            return stat.S_ISDIR(self.work_tree.lstat().st_mode) and self.index.is_file()
        except (FileNotFoundError, NotADirectoryError):
            return False


@contextmanager
def scratch_index(files: SlotFiles) -> Iterator[Path]:
    """The name of an index for one look at a slot; nothing of it is left at the end.

    Never used twice: git's lock beside the index of a look whose process was killed, or a git that outlived
    that process, is in nobody's way. What a death leaves goes with the slot (`scratch_remains`).
    """
    index = files.index.with_name(f"{files.index.stem}~{token_hex(6)}")
    try:
        yield index
    finally:
        for path in (index, index.with_name(f"{index.name}.lock")):
            path.unlink(missing_ok=True)


def scratch_remains(index: Path) -> list[Path]:
    """What killed processes left beside a slot's pristine index: their scratch files, and git's locks.

    `~` is in no slot's name, so that these are this very slot's.
    """
    # No glob: each pattern would stay in the cache of `re`, and be compiled for one look.
    remains = [path for path in index.parent.iterdir() if path.name.startswith(f"{index.stem}~")]
    return [*remains, index.with_name(f"{index.name}.lock")]


def fill(git: Git, files: SlotFiles, base: Commit) -> None:
    """Make the slot show `base`, whatever it showed before; submodules stay empty.

    Reuses what the index says is there already; ignored and untracked files stay (see `sweep`).
    """
    ours = git.for_slot(work_tree=files.work_tree, index=files.index)
    ours.tell("read-tree", "--reset", "-u", base)


def sweep(git: Git, files: SlotFiles) -> bool:
    """Remove everything from the slot that is not in its index; False when something resists."""
    ours = git.for_slot(work_tree=files.work_tree, index=files.index)
    return ours.ask("clean", "-ffdxq").ok


def modified(git: Git, files: SlotFiles) -> tuple[str, ...]:
    """The tracked files that no longer are what the slot was filled with. New files do not count."""
    ours = git.for_slot(work_tree=files.work_tree, index=files.index)
    done = ours.tell("diff", "--name-only", "-z", "--no-ext-diff", "--no-textconv", "--ignore-submodules")
    return tuple(split(done.stdout))


def freeze_gitlinks(git: Git, files: SlotFiles) -> tuple[Gitlink, ...]:
    """Keep git out of the submodules, and return them.

    `git add` runs `git status` in a submodule's folder, with the filters of a config planted there.
    """
    if not files.index.is_file() or _GITLINK_MODE not in files.index.read_bytes():
        return ()
    ours = git.for_slot(work_tree=files.work_tree, index=files.index)
    entries = (entry.partition("\t") for entry in split(ours.tell("ls-files", "--stage", "-z").stdout))
    found = tuple(
        Gitlink(path=path, commit=Commit(facts.split(" ")[1]))
        for facts, _, path in entries
        if facts.startswith("160000 ")
    )
    if found:
        names = joined(link.path for link in found)
        ours.tell("update-index", "-z", "--skip-worktree", "--stdin", stdin=names)
    return found


class Staged(Struct, frozen=True, kw_only=True):
    """What the slot holds now, as a tree in the object store."""

    tree: Tree


class StagingRefused(Struct, frozen=True, kw_only=True):
    """Git cannot take all files of the slot."""

    reason: str
    paths: tuple[str, ...] = ()


def stage(
    git: Git, files: SlotFiles, index: Path, gitlinks: Sequence[Gitlink], excluded: Sequence[str]
) -> Staged | StagingRefused:
    """Add everything that is not ignored to a copy of the pristine index, at `index`, and write its tree.

    Always from the pristine index: an embedded repository that an earlier attempt added would be a submodule
    in the next, and git would run in it. `excluded` are pathspecs with magic. `.gitignore` files count as
    they are in the slot now, so that an agent may ignore its own build output; the person's own excludes
    count too.
    """
    shutil.copy2(files.index, index)  # with its time stamp, by which git knows which files to read again
    ours = git.for_slot(work_tree=files.work_tree, index=index)
    if refusal := _settle_gitlinks(ours, gitlinks):
        return refusal
    return add(ours, [".", *excluded]) or Staged(tree=write_tree(ours))


def without(paths: Sequence[str], globs: Sequence[str] = ()) -> list[str]:
    """The pathspecs that leave out exact paths and globs, each with everything below it.

    Git takes an excluded path that `.gitignore` names too for a mistake and fails (2.39), but only where the
    pathspec begins like the path: so each one begins with a needless backslash.
    """
    exact = [re.sub(r"[*?\[\\]", r"\\\g<0>", path) for path in paths]
    patterns = [pattern.rstrip("/") for pattern in (*exact, *globs) if pattern.rstrip("/")]
    disguised = [pattern if pattern.startswith(_GLOB_STARTS) else f"\\{pattern}" for pattern in patterns]
    return [f":(top,exclude,glob){pattern}{below}" for pattern in disguised for below in ("", "/**")]


def add(ours: Git, pathspecs: Sequence[str], *, force: bool = False) -> StagingRefused | None:
    """Add, change and remove in the index what these pathspecs match in the work tree."""
    options = ["--all", "--pathspec-from-file=-", "--pathspec-file-nul", *(["--force"] if force else [])]
    settings = ("-c", "add.ignoreErrors=false", "-c", "advice.addEmbeddedRepo=false")
    done = ours.ask(*settings, "add", *options, stdin=joined(pathspecs))
    blame_machine(done)
    unseen = [line for line in done.error_text.split("\n") if "could not open directory" in line]
    if done.ok and not unseen:
        return None
    lines = unseen or [line for line in done.error_text.split("\n") if line.startswith(("error:", "fatal:"))]
    reason = lines[0].partition(": ")[2] if lines else f"git add ended with {done.returncode}"
    quoted = reason.split("'")[1:2] or reason.split('"')[1:2]
    return StagingRefused(reason=reason, paths=tuple(name.rstrip("/") for name in quoted))


def write_tree(ours: Git) -> Tree:
    """The tree of an index."""
    return Tree(ours.tell("write-tree").text)


def _settle_gitlinks(ours: Git, gitlinks: Sequence[Gitlink]) -> StagingRefused | None:
    """A deleted submodule leaves the index; a filled or moved one is not ours to judge."""
    folders = {link.path: ours.work_tree / link.path for link in gitlinks}
    gone = [path for path, folder in folders.items() if not os.path.lexists(folder)]
    if gone:
        ours.tell("update-index", "-z", "--force-remove", "--stdin", stdin=joined(gone))
    moved = [link.path for link in gitlinks if not _is_unmoved(folders[link.path], link.commit)]
    if moved:
        return StagingRefused(reason="a submodule was changed", paths=tuple(moved))
    return None


def _is_unmoved(folder: Path, commit: Commit) -> bool:
    """Whether a submodule's folder is missing, empty, or at the commit; read without running git."""
    if not os.path.lexists(folder):
        return True
    if folder.is_symlink() or not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    git_dir = folder / ".git"
    if git_dir.is_file():
        git_dir = folder / _first_line(git_dir).removeprefix("gitdir: ")
    head = _first_line(git_dir / "HEAD")
    return commit in {head, _first_line(git_dir / head.removeprefix("ref: "))}


def _first_line(path: Path) -> str:
    """The start of a small file; empty when it is no plain file (a planted pipe would never end)."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(4096).strip()
