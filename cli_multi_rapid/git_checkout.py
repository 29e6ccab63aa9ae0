"""The person's own checkouts: who has a branch checked out, and the one careful step forward we take there.

Where a branch is checked out is read from git's own files, so no git ever runs by discovery in a folder that
we have not made. The step forward is `merge --ff-only`, never `update-ref` (which would show everything as
reverted) and never stash or reset: git refuses by itself when a staged, unstaged, untracked or ignored file
is in the way.
"""

import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git_command import Git, blame_machine, joined, split
from cli_multi_rapid.git_history import GITLINK, SYMLINK, ChangeKind, FileChange, changes, read_blobs
from cli_multi_rapid.git_names import branch_ref
from cli_multi_rapid.git_refs import tip_of
from cli_multi_rapid.git_step_back import stepped_back

_WAITS_FOR_INDEX_LOCK_S = (0.05, 0.2, 0.5, 1.0)
"""A `git status` of the person holds the index for a moment; a lock that stays is theirs to look at."""


class NotCheckedOut(Struct, frozen=True, kw_only=True):
    """No work tree shows the branch: its ref may move."""


class CheckedOut(Struct, frozen=True, kw_only=True):
    """One work tree shows the branch and is in the middle of nothing."""

    path: Path
    git_dir: Path
    """The private git dir of that work tree."""


class Busy(Struct, frozen=True, kw_only=True):
    """A work tree is in the middle of something that needs the branch where it is."""

    path: Path
    operation: str


Checkout = NotCheckedOut | CheckedOut | Busy


class FastForwarded(Struct, frozen=True, kw_only=True):
    """Branch, index and files show the new commit; the person's edits elsewhere are untouched."""


class FastForwardRefused(Struct, frozen=True, kw_only=True):
    """Nothing changed. `files` are in the way, when git named them."""

    reason: str
    files: tuple[str, ...] = ()


def checkout_of(common_dir: Path, main_work_tree: Path | None, branch: Branch) -> Checkout:
    """Which work tree of a repository shows a branch, or is rebasing or bisecting it."""
    ref = branch_ref(branch)
    shown: list[CheckedOut] = []
    for path, git_dir in _work_trees(common_dir, main_work_tree):
        if not path.is_dir():
            if (git_dir / "locked").exists() and _read(git_dir / "HEAD") == f"ref: {ref}":
                return Busy(path=path, operation="a locked worktree that is not there now")
            continue
        if path == git_dir and _read(git_dir / "HEAD") == f"ref: {ref}":
            return Busy(path=path, operation="a work tree that this repository cannot name")
        if operation := _operation(git_dir, ref):
            return Busy(path=path, operation=operation)
        if _read(git_dir / "HEAD") == f"ref: {ref}":
            shown.append(CheckedOut(path=path, git_dir=git_dir))
    if len(shown) > 1:
        return Busy(path=shown[1].path, operation=f"also checked out in {shown[0].path}")
    return shown[0] if shown else NotCheckedOut()


def _work_trees(common_dir: Path, main_work_tree: Path | None) -> Iterator[tuple[Path, Path]]:
    if main_work_tree is not None:
        yield main_work_tree, common_dir
    for git_dir in sorted(common_dir.glob("worktrees/*/")):
        if gitfile := _read(git_dir / "gitdir"):
            yield (git_dir / gitfile).parent, git_dir


def _operation(git_dir: Path, ref: str) -> str:
    """What a work tree is doing with the ref: a rebase or bisect of it, or a merge and the like on it."""
    if ref in {_read(git_dir / room / "head-name") for room in ("rebase-merge", "rebase-apply")}:
        return "rebase"
    if ref in _read(git_dir / "rebase-merge" / "update-refs").split("\n"):
        return "rebase --update-refs"
    if _read(git_dir / "BISECT_START") in {ref, ref.removeprefix("refs/heads/")}:
        return "bisect"
    if _read(git_dir / "HEAD") != f"ref: {ref}":
        return ""
    files = {"MERGE_HEAD": "merge", "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert"}
    return next((operation for name, operation in files.items() if (git_dir / name).exists()), "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").removesuffix("\n")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def head_branch(git_dir: Path) -> Branch | None:
    """The branch that a work tree is on, by its private git dir; None when its HEAD is detached."""
    head = _read(git_dir / "HEAD")
    return Branch(head.removeprefix("ref: refs/heads/")) if head.startswith("ref: refs/heads/") else None


def fast_forward(
    git: Git, checkout: CheckedOut, branch: Branch, old: Commit, new: Commit
) -> FastForwarded | FastForwardRefused:
    """Move a checked-out branch from `old` to `new` with its files, or change nothing.

    The person's filters and attributes apply: it is their checkout. Their hooks do not run: a hook that fails
    or asks a question after the files have changed would leave a half landing.
    """
    own = _in_checkout(git, checkout)
    if _read(checkout.git_dir / "HEAD") != f"ref: {branch_ref(branch)}":
        return FastForwardRefused(reason=f"{checkout.path} no longer has {branch} checked out")
    tip = tip_of(git, branch_ref(branch))
    if tip == new:
        return FastForwarded()
    if tip != old:
        return FastForwardRefused(reason=f"{branch} is at {tip}, not at {old}")
    with stepped_back(own, old, new):
        words = _merge(own, new)
    tip = tip_of(git, branch_ref(branch))
    if not words and tip == new and _read(checkout.git_dir / "HEAD") == f"ref: {branch_ref(branch)}":
        return FastForwarded()
    return FastForwardRefused(
        reason=words.partition("\n")[0].removeprefix("error: ").removeprefix("fatal: ")
        or f"{branch} is at {tip} afterwards",
        files=tuple(re.findall(r"^\t(.+)$", words, re.MULTILINE)),
    )


def files_in_the_way(git: Git, checkout: CheckedOut, old: Commit, new: Commit) -> tuple[str, ...]:
    """The person's files that a step from `old` to `new` would have to overwrite.

    A look only, and stricter than git, which steps over an edit that happens to be what `new` has.
    """
    own = _in_checkout(git, checkout)
    status = own.tell("status", "--porcelain", "-z", "--untracked-files=no", "--no-renames").stdout
    edited = {entry[3:] for entry in split(status)}
    step = changes(git, old, new)
    appearing = {change.path for change in step if change.status in {ChangeKind.ADDED, ChangeKind.RENAMED}}
    there = {name for name in appearing if os.path.lexists(checkout.path / name)}
    return tuple(sorted(there | edited & {name for change in step for name in change.names}))


def adopt_written_files(
    git: Git, checkout: CheckedOut, old: Commit, new: Commit, blockers: tuple[str, ...]
) -> bool:
    """Tell the index of files that a killed fast-forward has written already; True when nothing else blocks.

    Such a file holds exactly what `new` has, while nothing about it is staged. No file changes here; with one
    blocker that somebody edited, the index does not change either.
    """
    own = _in_checkout(git, checkout)
    staged = set(split(own.tell("diff-index", "--cached", "--name-only", "-z", old).stdout))
    written = [
        change
        for change in changes(git, old, new)
        if change.path not in staged and _holds(own, checkout.path / change.path, change)
    ]
    if not blockers or not set(blockers) <= {change.path for change in written}:
        return False
    entries = joined(f"{change.mode:o} {change.blob}\t{change.path}" for change in written)
    return own.ask("update-index", "-z", "--index-info", stdin=entries).ok


def _holds(own: Git, path: Path, change: FileChange) -> bool:
    """Whether a file on disk is what the change makes of it."""
    try:
        kind = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISLNK(kind) and change.mode == SYMLINK:
        return [os.fsencode(path.readlink())] == read_blobs(own, [change.blob])
    if not stat.S_ISREG(kind) or change.mode in {SYMLINK, GITLINK}:
        return False
    named = own.ask("hash-object", f"--path={change.path}", "--", str(path))
    return named.ok and named.text == change.blob


def _in_checkout(git: Git, checkout: CheckedOut) -> Git:
    return git.at(git_dir=checkout.git_dir, work_tree=checkout.path, index=checkout.git_dir / "index")


def _merge(own: Git, new: Commit) -> str:
    """Let git step forward; empty when it did, else its words. A held index lock is worth another try."""
    options = ("--ff-only", "--no-overwrite-ignore", "--no-autostash", "--no-verify-signatures", "--no-stat")
    words = ""
    for wait in (0.0, *_WAITS_FOR_INDEX_LOCK_S):
        time.sleep(wait)
        done = own.ask("merge", "--quiet", *options, new, env={"GIT_REFLOG_ACTION": "cli-orchestrator: land"})
        blame_machine(done)
        if done.ok:
            return ""
        words = done.error_text or done.text or f"return code {done.returncode}"
        if "index.lock" not in words:
            break
    return words
