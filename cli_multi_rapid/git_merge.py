"""Merging and committing in memory: no work tree, no index, nobody's checkout.

Which `.gitattributes` count (`merge=union`, `binary`): those of `ours`, the target. Git 2.39 reads them from
the current work tree only (`GIT_ATTR_SOURCE` is younger), so the merge runs in an empty folder of ours first.
Git names every file whose content it had to merge; only when the target has attributes for one of those, the
merge is done again in a folder that holds these attribute files and nothing else.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from shutil import rmtree

from msgspec import Struct

from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.git_command import Git, git_failed, split
from cli_multi_rapid.git_history import read_blobs
from cli_multi_rapid.git_objects import NOBODY, commit

_ATTRIBUTES = ".gitattributes"
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Merged(Struct, frozen=True, kw_only=True):
    """A clean merge; its tree is in the object store."""

    tree: Tree


class Conflicted(Struct, frozen=True, kw_only=True):
    """The two sides contradict each other."""

    files: tuple[str, ...]
    messages: tuple[str, ...]
    """What git says about it, one line each."""


class _Attempt(Struct, frozen=True, kw_only=True):
    """One answer of `merge-tree`."""

    outcome: Merged | Conflicted
    content_merged: tuple[str, ...]
    """The files where attributes can have decided."""


def merge(git: Git, ours: Commit, theirs: Commit) -> Merged | Conflicted:
    """Merge two commits by their common history. Raises `EnvironmentFault` when one does not exist."""
    attempt = _merge_tree(git, ours, theirs)
    if not attempt.content_merged:
        return attempt.outcome
    attributes = _attributes(git, ours, attempt.content_merged)
    if not attributes:
        return attempt.outcome
    folder = _folder_with(attributes, git.work_tree.parent / "attributes")
    return _merge_tree(git.at(work_tree=folder, index=git.index), ours, theirs).outcome


def replay(git: Git, base: Tree, head: Tree, onto: Tree) -> Merged | Conflicted:
    """Apply the difference from `base` to `head` on `onto`, whatever their histories are.

    Git 2.39 has no `merge-tree --merge-base`: three commits that nobody else sees give the trees the history
    that the merge needs. There is nothing to search in that history, so this is also the quicker merge when
    the base is known: git walks all that landed since, commit by commit, to find it.
    """
    root = commit(git, base, (), "base", author=NOBODY, when=_LONG_AGO)
    ours = commit(git, onto, (root,), "onto", author=NOBODY, when=_LONG_AGO)
    theirs = commit(git, head, (root,), "head", author=NOBODY, when=_LONG_AGO)
    return merge(git, ours, theirs)


def _merge_tree(git: Git, ours: Commit, theirs: Commit) -> _Attempt:
    """Ask git. A bad commit also gives return code 1, without output: only an answer with a tree counts."""
    done = git.ask("merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs)
    if done.returncode == 128 and b"unrelated histories" in done.stderr:
        refusal = Conflicted(files=(), messages=("the two sides have no common history",))
        return _Attempt(outcome=refusal, content_merged=())
    fields = split(done.stdout)
    if done.returncode not in {0, 1} or not fields or len(fields[0]) not in {40, 64}:
        raise git_failed(done)
    rest = iter(fields[1:])
    files = tuple(iter(lambda: next(rest), ""))
    messages = list(_messages(rest))
    outcome: Merged | Conflicted = Merged(tree=Tree(fields[0]))
    if done.returncode == 1:
        said = (text.strip() for _, kind, text in messages if kind.startswith("CONFLICT"))
        outcome = Conflicted(files=files, messages=tuple(said))
    touched = {path for paths, _, _ in messages for path in paths} | set(files)
    return _Attempt(outcome=outcome, content_merged=tuple(sorted(touched)))


def _messages(fields: Iterable[str]) -> Iterable[tuple[tuple[str, ...], str, str]]:
    """Read the messages: how many paths, the paths, the kind, the text."""
    rest = iter(fields)
    for count in rest:
        paths = tuple(next(rest) for _ in range(int(count)))
        yield paths, next(rest), next(rest)


def _attributes(git: Git, target: Commit, paths: Iterable[str]) -> Mapping[str, bytes]:
    """The attribute files of a commit in the folders above these paths."""
    folders = {parent for path in paths for parent in PurePosixPath(path).parents}
    wanted = sorted(str(folder / _ATTRIBUTES) for folder in folders)
    entries = split(git.tell("ls-tree", "-z", "--full-tree", target, "--", *wanted).stdout)
    found = {}
    for entry in entries:
        facts, _, path = entry.partition("\t")
        mode, _, blob = facts.split(" ")
        if mode.startswith("100"):  # git follows no symlink here
            found[path] = blob
    contents = read_blobs(git, list(found.values())) if found else []
    return {path: content for path, content in zip(found, contents, strict=True) if content is not None}


def _folder_with(files: Mapping[str, bytes], room: Path) -> Path:
    """A folder of ours with exactly these files, made once per content."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode("utf-8", "surrogateescape")).hexdigest()
    folder = room / digest[:32]
    if folder.is_dir():
        return folder
    room.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=room))
    for name, content in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with suppress(OSError):  # another thread was faster: its folder has the same content
        fresh.replace(folder)
    rmtree(fresh, ignore_errors=True)
    return folder
