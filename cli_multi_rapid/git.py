"""The person's git repository: what can be asked of it, and the few things that we change in it.

This is the room's front door; the `git_*` modules behind it each do one part. Nothing here touches the
person's checkout, index or files, except `land` with `update_checkout`.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, Commit, Tree
from cli_multi_rapid.core.verdicts import TreeFile
from cli_multi_rapid.git_checkout import (
    Busy,
    CheckedOut,
    Checkout,
    FastForwarded,
    FastForwardRefused,
    NotCheckedOut,
    checkout_of,
    fast_forward,
    head_branch,
)
from cli_multi_rapid.git_command import Git, git_environment
from cli_multi_rapid.git_config import (
    Setting,
    has_plain_objects,
    identity,
    is_on,
    is_partial_clone,
    read_settings,
    value_of,
)
from cli_multi_rapid.git_discovery import Found, find_git, find_repository
from cli_multi_rapid.git_fold import Fold, Folded
from cli_multi_rapid.git_history import (
    ChangeKind,
    CommitFacts,
    FileChange,
    changes,
    commit_facts,
    count_commits,
    first_parents,
    is_ancestor,
    list_files,
    merge_base,
    missing,
    patch,
    read_file,
    resolve,
    subject_of,
    tree_of,
)
from cli_multi_rapid.git_landing import (
    AlreadyLanded,
    Landed,
    LandingEvidence,
    LandingOutcome,
    LandingRefused,
    LandingRequest,
    LandingSite,
    TargetMoved,
    land,
    landing_evidence,
)
from cli_multi_rapid.git_lock import locked
from cli_multi_rapid.git_merge import Conflicted, Merged, merge, replay
from cli_multi_rapid.git_names import HEADS, OURS, branch_ref, is_branch
from cli_multi_rapid.git_objects import Identity, commit
from cli_multi_rapid.git_push_landing import (
    InStep,
    LandedThereOnly,
    OutOfStep,
    PushedLandingOutcome,
    RemoteRefused,
    RemoteSite,
    follow,
    land_and_push,
    landed_there,
)
from cli_multi_rapid.git_refs import (
    ANY,
    RefChange,
    RefsRefused,
    RefsUpdated,
    RefUnchanged,
    Refusal,
    drop_hollow,
    read_refs,
    tip_of,
    update_refs,
)
from cli_multi_rapid.git_remote import quiet, require_remote
from cli_multi_rapid.git_tree import changed_paths, make_tree, tree_files

if TYPE_CHECKING:
    from cli_multi_rapid.git_agent import Origin

__all__ = [
    "ANY", "HEADS", "OURS", "AlreadyLanded", "Busy", "ChangeKind", "CheckedOut", "Checkout", "Conflicted",
    "FastForwardRefused", "FastForwarded", "FileChange", "Fold", "Folded", "Identity", "InStep", "Landed",
    "LandedThereOnly", "LandingEvidence", "LandingOutcome", "LandingRefused", "LandingRequest",
    "Merged", "NotCheckedOut", "OutOfStep", "PushedLandingOutcome", "RefChange",
    "RefUnchanged", "RefsRefused", "RefsUpdated", "Refusal", "RemoteRefused", "Repository", "TargetMoved",
    "follow", "is_branch", "land_and_push", "landed_there", "open_repository",
]  # fmt: skip


def open_repository(path: Path, scratch: Path) -> "Repository":
    """The repository that a folder of the person belongs to; `scratch` is a folder of ours.

    A bare repository is fine. Raises `EnvironmentFault` without git or a repository, `UserError` for a
    repository without any commit.
    """
    environment = git_environment(os.environ)
    program = find_git(environment)
    found = find_repository(program, path, environment)
    # An empty work tree, whose attributes decide nothing, and no index: for commands that need no files.
    nothing = scratch.absolute() / "empty"
    nothing.mkdir(parents=True, exist_ok=True)
    git = Git(
        git_dir=found.common_dir,
        work_tree=nothing,
        index=nothing.with_name("no-index"),
        environment=environment,
        program=program,
        object_format=found.object_format,
    )
    if not _has_commits(git, found.own_dir):
        raise UserError(
            f"{found.root} has no commit yet", hint="make a first one: git commit --allow-empty -m start"
        )
    return Repository(git, found)


def _has_commits(git: Git, own_dir: Path) -> bool:
    """Whether there is anything to work on: a branch, or a HEAD without one."""
    if is_branch(current := head_branch(own_dir) or Branch("")) and tip_of(git, branch_ref(current)):
        return True
    if git.tell("for-each-ref", "--count=1", "--format=x", HEADS).text:
        return True
    return resolve(git.at(git_dir=own_dir, work_tree=git.work_tree, index=git.index), "HEAD") is not None


class Repository:
    """One repository, found once; safe to use from several threads."""

    def __init__(self, git: Git, found: Found) -> None:
        self._git = git
        self.root = found.root
        """The top of the person's work tree; of a bare repository its git dir."""
        self.git_dir = found.common_dir
        """The git dir that all work trees share."""
        self.object_format = found.object_format
        self.is_shallow = found.is_shallow
        self.is_bare = found.is_bare
        self.scratch = git.work_tree.parent
        self._own_dir = found.own_dir
        self._trees: dict[Commit, Tree] = {}
        self._parents: dict[Commit, tuple[Commit, ...]] = {}

    # --- what it knows ---

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The person's configuration, read once."""
        return read_settings(self._git)

    @cached_property
    def plumbing(self) -> Git:
        """Git for what makes objects, also in the slots' room."""
        return replace(self._git, objects_by_hand=has_plain_objects(self.settings))

    def identity(self) -> Identity:
        """The name and mail that the person has configured, or a stand-in."""
        return identity(self.settings)

    def is_partial_clone(self) -> bool:
        """Whether objects may be missing until git fetches them."""
        return is_partial_clone(self.settings)

    def ignores_case(self) -> bool:
        """Whether the person's file system takes `a` and `A` for one name."""
        return is_on(self.settings, "core.ignorecase")

    def origin(self) -> "Origin":
        """What an agent's own repository needs to know of this one."""
        from cli_multi_rapid.git_agent import Origin  # noqa: PLC0415  # not for those who only look

        return Origin(
            common_dir=self.git_dir,
            object_format=self.object_format,
            settings=self.settings,
            identity=self.identity(),
        )

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a branch, tag or id means (a branch before a tag of the same name), or None."""
        return resolve(self._git, revision)

    def missing(self, commits: Sequence[Commit]) -> set[Commit]:
        """Those of these commits that are not in the repository (any more)."""
        return missing(self._git, commits)

    def branch_tip(self, branch: Branch) -> Commit | None:
        """The commit of a branch, or None when there is no such branch."""
        return tip_of(self._git, branch_ref(branch))

    def default_branch(self) -> Branch:
        """The branch that the person is on; on a detached HEAD `main` or `master`, whichever is there.

        Raises `UserError` when neither is.
        """
        if current := head_branch(self._own_dir):
            return current
        for name in ("main", "master"):
            if self.branch_tip(Branch(name)):
                return Branch(name)
        raise UserError(
            "HEAD is detached and there is no branch main", hint="name the target branch in the plan"
        )

    def tree_of(self, commit: Commit) -> Tree:
        """The tree of a commit. Raises `EnvironmentFault` when there is no such commit."""
        if commit not in self._trees:
            self._trees[commit] = tree_of(self._git, commit)
        return self._trees[commit]

    def learn_tree(self, commit: Commit, tree: Tree) -> None:
        """Take note of a commit that was made elsewhere in this process, so that git need not be asked."""
        self._trees[commit] = tree

    def commit_facts(self, commit: Commit) -> CommitFacts:
        """The tree and the parents of a commit, read from its object. `EnvironmentFault` without one."""
        return commit_facts(self.plumbing, commit)

    def is_ancestor(self, ancestor: Commit, descendant: Commit) -> bool:
        """Whether `descendant` contains `ancestor`; a commit contains itself."""
        return is_ancestor(self._git, ancestor, descendant)

    def merge_base(self, one: Commit, other: Commit) -> Commit | None:
        """The newest commit that both contain; None when their histories have nothing in common."""
        return merge_base(self.plumbing, one, other)

    def changes(self, base: Commit | Tree, head: Commit | Tree) -> tuple[FileChange, ...]:
        """The files that differ, renames with both names."""
        return changes(self._git, base, head)

    def patch(self, base: Commit, head: Commit, paths: Sequence[str]) -> str:
        """The difference of some files, as people read it."""
        return patch(self._git, base, head, paths)

    def count_commits(self, tip: Commit, without: Sequence[Commit]) -> int:
        """How many commits `tip` contains that none of the others contain; 0 when one of them is gone."""
        return count_commits(self._git, tip, without)

    def subject(self, commit: Commit) -> str:
        """The first paragraph of a commit's message, as one line."""
        return subject_of(self._git, commit)

    def first_parents(self, tip: Commit, *, without: Commit, limit: int) -> tuple[Commit, ...]:
        """The commits from `tip` along the first parents that `without` does not contain, the oldest first.

        Of more than `limit`, the newest.
        """
        return first_parents(self._git, tip, without, limit)

    def read_file(self, commit: Commit, path: str) -> bytes | None:
        """The content of a file in a commit; None when there is no such file."""
        return read_file(self._git, commit, path)

    def list_files(self, commit: Commit, prefix: str = "") -> tuple[str, ...]:
        """The names of all files of a commit, or of those in the folder `prefix`."""
        return list_files(self._git, commit, prefix)

    def tree_files(self, tree: Tree) -> tuple[TreeFile, ...]:
        """Every file of a tree with its mode and the id of its content."""
        return tree_files(self._git, tree)

    def changed_paths(self, one: Tree, other: Tree) -> Sequence[str] | None:
        """The names of what differs between two trees; None when one of them is not there."""
        return changed_paths(self._git, one, other)

    # --- making objects ---

    def merge(self, ours: Commit, theirs: Commit) -> Merged | Conflicted:
        """Merge in memory; the attributes of `ours` count."""
        return merge(self.plumbing, ours, theirs)

    def fold_onto(self, tip: Commit) -> Fold:
        """What can be laid over a commit without merging branch by branch."""
        return Fold(self.plumbing, tip, self.tree_of(tip))

    def replay(self, base: Commit, head: Commit, onto: Commit) -> Merged | Conflicted:
        """Apply the difference from `base` to `head` on `onto`, in memory.

        For a lane whose base is known this gives what `merge` gives, however long the history is.
        """
        return replay(self.plumbing, self.tree_of(base), self.tree_of(head), self.tree_of(onto))

    def commit(
        self,
        tree: Tree,
        parents: Sequence[Commit],
        message: str,
        *,
        when: datetime,
        author: Identity | None = None,
        committer: Identity | None = None,
    ) -> Commit:
        """Make a commit that no ref names yet, by the person unless somebody else is named."""
        author = author or self.identity()
        made = commit(self.plumbing, tree, parents, message, author=author, committer=committer, when=when)
        self._trees[made] = tree
        self._parents[made] = tuple(parents)
        return made

    def make_tree(self, files: Iterable[TreeFile]) -> Tree:
        """A tree of these files of other trees."""
        return make_tree(self._git, files)

    # --- refs ---

    def refs(self, prefix: str) -> Mapping[str, Commit]:
        """The refs with this full name or below this folder, by full name."""
        return read_refs(self._git, prefix)

    def drop_hollow(self, folder: str) -> tuple[str, ...]:
        """Remove the branches below a folder of ours whose commit is gone (a `git prune` came between)."""
        return drop_hollow(self._git, folder)

    def update_refs(
        self, changes: Sequence[RefChange | RefUnchanged], *, reason: str = "cli-orchestrator"
    ) -> RefsUpdated | RefsRefused:
        """Make all changes in one ref transaction, or none. What is checked out must be landed instead."""
        return update_refs(self._git, changes, reason=reason)

    def checkout_of(self, branch: Branch) -> Checkout:
        """Which work tree shows a branch, or is in the middle of something with it."""
        return checkout_of(self.git_dir, self._main_work_tree, branch)

    def fast_forward(
        self, checkout: CheckedOut, branch: Branch, old: Commit, new: Commit
    ) -> FastForwarded | FastForwardRefused:
        """Move a checked-out branch forward together with its files, or change nothing."""
        with self._landing_lock():
            return fast_forward(self._git, checkout, branch, old, new)

    def land(self, request: LandingRequest) -> LandingOutcome:
        """Move the target and set the markers. Idempotent: the same request finishes a half landing."""
        with self._landing_lock():
            known_child = request.expected in self._parents.get(request.new, ())
            return land(self._site, request, known_child=known_child)

    def remote(self, name: str) -> RemoteSite:
        """This repository and a remote, for `land_and_push`, `follow` and `landed_there`."""
        return RemoteSite(here=self._site, remote=name, git=self._network_git, land=self.land)

    def require_remote(self, name: str) -> None:
        """Raise `UserError` unless landings can be pushed to a remote of this name. Asks nobody outside."""
        require_remote(self._git, self.settings, name)

    def landing_evidence(self, request: LandingRequest) -> LandingEvidence:
        """What the refs say about a landing whose end is not recorded."""
        return landing_evidence(self._git, request)

    @property
    def _site(self) -> LandingSite:
        return LandingSite(
            git=self._git, common_dir=self.git_dir, root=self.root, main_work_tree=self._main_work_tree
        )

    @cached_property
    def _network_git(self) -> Git:
        """Git in the person's folder, which a remote's relative address starts from."""
        return quiet(self._git.at(work_tree=self.root, index=self._git.index), self.settings)

    def _landing_lock(self) -> AbstractContextManager[None]:
        return locked(self.scratch / "landing.lock")

    @cached_property
    def _main_work_tree(self) -> Path | None:
        """The work tree beside the shared git dir, which is not ours when we were opened in a linked one.

        The git dir itself stands for a work tree that git has no record of (`--separate-git-dir`).
        """
        if self._own_dir == self.git_dir:
            return None if self.is_bare else self.root
        if configured := value_of(self.settings, "core.worktree"):
            return (self.git_dir / configured).resolve()
        if is_on(self.settings, "core.bare"):
            return None
        return self.git_dir.parent if self.git_dir.name == ".git" else self.git_dir
