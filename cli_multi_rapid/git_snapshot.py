"""The snapshot of a finished attempt: one commit on its base with what the work tree holds, or why not.

The files decide, not what the agent committed in its own git. Refused is what would harm somebody who checks
the commit out elsewhere: repositories inside the repository, symlinks that lead out of it, names that
collide.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.git_command import Git, split
from cli_multi_rapid.git_history import GITLINK, SYMLINK, FileChange, changes, read_blobs
from cli_multi_rapid.git_names import is_inside
from cli_multi_rapid.git_objects import Identity, commit
from cli_multi_rapid.git_slot import (
    Gitlink,
    SlotFiles,
    StagingRefused,
    add,
    scratch_index,
    stage,
    without,
    write_tree,
)


class Snapshot(Struct, frozen=True, kw_only=True):
    """A sealed piece of work: a commit in the person's object store that no ref names yet."""

    commit: Commit
    tree: Tree
    base: Commit
    changes: tuple[FileChange, ...]
    """The difference from the base."""


class NothingChanged(Struct, frozen=True, kw_only=True):
    """The slot shows its base."""


class SnapshotRefused(Struct, frozen=True, kw_only=True):
    """The slot holds what must not become a commit."""

    reason: str
    paths: tuple[str, ...] = ()


class SnapshotOrder(Struct, frozen=True, kw_only=True):
    """What to take a snapshot of, and how."""

    files: SlotFiles
    base: Commit
    message: str
    author: Identity
    when: datetime
    gitlinks: Sequence[Gitlink] = ()
    """The submodules of the base."""
    left_out: Sequence[str] = ()
    """Exact paths that are never part of the work: the links that we put there."""
    litter: Sequence[str] = ()
    """Globs (`**` crosses folders) of what a tool leaves behind; never part of the work."""
    declared: Sequence[str] = ()
    """Exact paths of outputs that the node declares: part of the work even where `.gitignore` hides them."""
    ignores_case: bool = False
    """Whether the person's file system takes `a` and `A` for one name."""


def take_snapshot(git: Git, order: SnapshotOrder) -> Snapshot | NothingChanged | SnapshotRefused:
    """Commit what the slot shows. Can be repeated; no ref moves and the slot stays as it is."""
    if not order.files.is_there():
        return SnapshotRefused(reason=f"the slot {order.files.work_tree} is gone")
    excluded = without(order.left_out, order.litter)
    with scratch_index(order.files) as index:
        staged = stage(git, order.files, index, order.gitlinks, excluded)
        if isinstance(staged, StagingRefused):
            return SnapshotRefused(reason=staged.reason, paths=staged.paths)
        return _judge(git, order, index, staged.tree)


def _judge(
    git: Git, order: SnapshotOrder, index: Path, tree: Tree
) -> Snapshot | NothingChanged | SnapshotRefused:
    found = changes(git, order.base, tree)
    hidden = _hidden_outputs(order, found)
    if hidden:
        ours = git.for_slot(work_tree=order.files.work_tree, index=index)
        if refusal := add(ours, [f":(top,literal){path}" for path in hidden], force=True):
            return SnapshotRefused(reason=refusal.reason, paths=refusal.paths or tuple(hidden))
        tree = write_tree(ours)
        found = changes(git, order.base, tree)
    if not found:
        return NothingChanged()
    if refused := _refusal(git, order, tree, found):
        return refused
    made = commit(git, tree, (order.base,), order.message, author=order.author, when=order.when)
    return Snapshot(commit=made, tree=tree, base=order.base, changes=found)


def _hidden_outputs(order: SnapshotOrder, found: Sequence[FileChange]) -> list[str]:
    """Declared outputs that lie in the slot but not among the changes: ignored, or simply unchanged."""
    known = {change.path for change in found} | set(order.left_out)
    return [
        path
        for path in (output.rstrip("/") for output in order.declared)
        if path not in known and is_inside(path) and os.path.lexists(order.files.work_tree / path)
    ]


def _refusal(
    git: Git, order: SnapshotOrder, tree: Tree, found: Sequence[FileChange]
) -> SnapshotRefused | None:
    repositories = [change.path for change in found if change.mode == GITLINK]
    if repositories:
        return SnapshotRefused(reason="a git repository inside the work tree", paths=tuple(repositories))
    links = [change for change in found if change.mode == SYMLINK]
    targets = read_blobs(git, [link.blob for link in links]) if links else []
    escaping = [
        link.path
        for link, target in zip(links, targets, strict=True)
        if target is None or not stays_inside(link.path, os.fsdecode(target))
    ]
    if escaping:
        return SnapshotRefused(reason="a symlink that leads out of the work tree", paths=tuple(escaping))
    if order.ignores_case and (colliding := _colliding(git, tree, found)):
        return SnapshotRefused(reason="names that differ only in upper and lower case", paths=colliding)
    return None


def stays_inside(path: str, target: str) -> bool:
    """Whether a symlink at `path` of a tree can only lead into that tree, wherever it is checked out.

    A `..` after a name is refused even where it adds up: the name may itself be a symlink to somewhere else.
    """
    parts = [part for part in target.split("/") if part not in {"", "."}]
    climbs = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    descent = parts[climbs:]
    return (
        not target.startswith("/")
        and climbs <= path.count("/")
        and not any(part == ".." or part.lower() == ".git" for part in descent)
    )


def _colliding(git: Git, tree: Tree, found: Iterable[FileChange]) -> tuple[str, ...]:
    names = split(git.tell("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree).stdout)
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(name.casefold(), []).append(name)
    mine = {change.path.casefold() for change in found}
    return tuple(name for key in sorted(mine) if len(seen.get(key, ())) > 1 for name in seen[key])
