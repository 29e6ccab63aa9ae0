"""What the object store knows: commits, trees, files, and the changes between two commits."""

import operator
import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import dropwhile, takewhile

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.git_command import OBJECT_IS_GONE, Git, git_failed, joined, split
from cli_multi_rapid.git_files import commit_in_file, header_of, is_near_ancestor, refs_in_files
from cli_multi_rapid.git_names import HEADS, is_inside, is_ref

_LONGEST_START = 4096
"""Bytes of a message that are looked at for its subject: its author may name a very slow encoding."""

GITLINK = 0o160000
SYMLINK = 0o120000


class ChangeKind(StrEnum):
    """What happened to a file."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    RENAMED = "renamed"
    RETYPED = "retyped"
    """A file became a symlink or a submodule, or the other way round."""


_KINDS = {
    "A": ChangeKind.ADDED,
    "M": ChangeKind.MODIFIED,
    "D": ChangeKind.DELETED,
    "R": ChangeKind.RENAMED,
    "T": ChangeKind.RETYPED,
}


class FileChange(Struct, frozen=True, kw_only=True):
    """One file that differs between two commits. A rename has both names, and both count for claims."""

    path: str
    old_path: str | None
    """The former name of a renamed file, else None."""
    status: ChangeKind
    added: int
    removed: int
    """Lines; both 0 for a binary file."""
    mode: int
    """The new file mode, 0 for a deleted file."""
    blob: str
    """The id of the new content; all zeros for a deleted file."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that this change touches."""
        return (self.path,) if self.old_path is None else (self.old_path, self.path)


def resolve(git: Git, revision: str) -> Commit | None:
    """The commit that a branch, a tag or any revision means, a branch before a tag of the same name."""
    if not revision or any(letter < " " for letter in revision):
        return None
    branch = HEADS + revision
    tip = (refs_in_files(git.git_dir, branch) or {}).get(branch) if is_ref(branch) else None
    if tip is not None and commit_in_file(git, tip) is not None:
        return tip
    named = [f"{room}{revision}" for room in (HEADS, "refs/tags/") if is_ref(room + revision)]
    candidates = [*named, revision]
    return next((found for found in _commits(git, candidates) if found is not None), None)


def missing(git: Git, commits: Sequence[Commit]) -> set[Commit]:
    """Those of these commits that the object store does not have."""
    unclear = [commit for commit in commits if commit_in_file(git, commit) is None]
    found = _commits(git, unclear) if unclear else ()
    return {commit for commit, there in zip(unclear, found, strict=True) if there is None}


def _commits(git: Git, revisions: Sequence[str]) -> Iterator[Commit | None]:
    """The commit of each revision, asked on standard input, where nothing is an option."""
    questions = joined(f"{revision}^{{commit}}" for revision in revisions)
    answers = git.tell("cat-file", "--batch-check=%(objecttype) %(objectname)", "-z", stdin=questions).stdout
    for answer in answers.split(b"\n")[:-1]:
        is_commit = answer.startswith(b"commit ")
        yield Commit(answer.removeprefix(b"commit ").decode()) if is_commit else None


def tree_of(git: Git, commit: Commit) -> Tree:
    """The tree of a commit. Raises `EnvironmentFault` when there is no such commit."""
    if (body := commit_in_file(git, commit)) is not None:
        return _facts(body).tree
    answer = git.tell(
        "cat-file", "--batch-check=%(objecttype) %(objectname)", "-z", stdin=joined([f"{commit}^{{tree}}"])
    ).text
    if not answer.startswith("tree "):
        raise EnvironmentFault(f"the repository has no commit {commit}", hint=OBJECT_IS_GONE)
    return Tree(answer.removeprefix("tree "))


class CommitFacts(Struct, frozen=True, kw_only=True):
    """What a commit object itself says."""

    tree: Tree
    parents: tuple[Commit, ...]


def commit_facts(git: Git, commit: Commit) -> CommitFacts:
    """Read the commit object, not what we believe of it. Raises `EnvironmentFault` when there is none."""
    return _facts(_body_of(git, commit))


def subject_of(git: Git, commit: Commit) -> str:
    """The first paragraph of a commit's message as one line. Raises `EnvironmentFault` without the commit."""
    body = _body_of(git, commit)
    encoding = next((value for key, value in header_of(body) if key == "encoding"), "utf-8")
    text = _decoded(body.partition(b"\n\n")[2][:_LONGEST_START], encoding)
    lines = (line.rstrip(" \t\r") for line in text.split("\n"))
    return " ".join(takewhile(bool, dropwhile(operator.not_, lines)))


def _decoded(message: bytes, encoding: str) -> str:
    """The text of a message, whatever its author says that it is written in."""
    try:
        text = message.decode(encoding, "replace")
    except (LookupError, ValueError):  # a name that only git knows, or of something that decodes no such text
        text = message.decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode()  # without the half characters that some encodings allow


def _body_of(git: Git, commit: Commit) -> bytes:
    body = commit_in_file(git, commit)
    return git.tell("cat-file", "commit", commit).stdout if body is None else body


def _facts(body: bytes) -> CommitFacts:
    header = list(header_of(body))
    return CommitFacts(
        tree=next(Tree(value) for key, value in header if key == "tree"),
        parents=tuple(Commit(value) for key, value in header if key == "parent"),
    )


def is_ancestor(git: Git, ancestor: Commit, descendant: Commit) -> bool:
    """Whether `descendant` contains `ancestor`; a commit contains itself."""
    if ancestor == descendant or is_near_ancestor(git, ancestor, descendant):
        return True
    done = git.ask("merge-base", "--is-ancestor", "--end-of-options", ancestor, descendant)
    if done.returncode not in {0, 1}:
        raise git_failed(done)
    return done.ok


def merge_base(git: Git, one: Commit, other: Commit) -> Commit | None:
    """The newest commit that both contain; None when their histories have nothing in common."""
    done = git.ask("merge-base", "--end-of-options", one, other)
    if done.returncode not in {0, 1}:
        raise git_failed(done)
    return Commit(done.text) if done.ok else None


def changes(git: Git, base: Commit | Tree, head: Commit | Tree) -> tuple[FileChange, ...]:
    """The files that differ, with renames found; never an external diff or a text conversion."""
    done = git.tell(
        *(
            "diff-tree",
            "-r",
            "-z",
            "-M",
            "--raw",
            "--numstat",
            "--no-abbrev",
            "--no-ext-diff",
            "--no-textconv",
        ),
        *("--ignore-submodules=none", "--end-of-options", base, head),
    )
    return _parse_changes(split(done.stdout))


def patch(git: Git, base: Commit, head: Commit, paths: Sequence[str]) -> str:
    """The difference of some files for a person to read; bytes that are no text are replaced."""
    done = git.tell(
        *("diff-tree", "-r", "-p", "-M", "--no-color", "--no-ext-diff", "--no-textconv"),
        *("--ignore-submodules=none", "--end-of-options", base, head, "--", *paths),
        env={"GIT_LITERAL_PATHSPECS": "1"},
    )
    return done.stdout.decode("utf-8", "replace")


def _parse_changes(fields: Sequence[str]) -> tuple[FileChange, ...]:
    """Read the `--raw` part (`:modes ids status`, names) and behind it `--numstat` in the same order."""
    rest = iter(fields)
    raw: list[tuple[int, str, ChangeKind, str | None, str]] = []
    for word in rest:
        if not word.startswith(":"):
            numbers = _line_counts(word, rest)
            break
        _, mode, _, blob, status = word[1:].split(" ")
        kind = _KINDS[status[0]]
        old_path = next(rest) if kind is ChangeKind.RENAMED else None
        raw.append((int(mode, 8), blob, kind, old_path, next(rest)))
    else:
        numbers = iter(())
    return tuple(
        FileChange(
            path=path, old_path=old_path, status=kind, added=added, removed=removed, mode=mode, blob=blob
        )
        for (mode, blob, kind, old_path, path), (added, removed) in zip(raw, numbers, strict=True)
    )


def _line_counts(first: str, rest: Iterator[str]) -> Iterator[tuple[int, int]]:
    word: str | None = first
    while word is not None:
        added, removed, path = word.split("\t", 2)
        if not path:  # a rename: both names follow as fields of their own
            next(rest), next(rest)
        yield (0, 0) if added == "-" else (int(added), int(removed))
        word = next(rest, None)


def count_commits(git: Git, tip: Commit, without: Sequence[Commit]) -> int:
    """How many commits `tip` contains that none of the others contain. 0 when one of them is gone."""
    done = git.ask("rev-list", "--count", "--end-of-options", tip, *(f"^{commit}" for commit in without))
    return int(done.text) if done.ok else 0


def first_parents(git: Git, tip: Commit, without: Commit, limit: int) -> tuple[Commit, ...]:
    """The first-parent commits of `tip` that `without` does not contain, the oldest first; the newest few."""
    done = git.tell(
        *("rev-list", "--first-parent", "--reverse", f"--max-count={limit}"),
        *("--end-of-options", tip, f"^{without}"),
    )
    return tuple(Commit(line) for line in done.text.split())


def read_blobs(git: Git, names: Sequence[str]) -> list[bytes | None]:
    """The content of each blob (`commit:path` or an id); None where there is none."""
    output = git.tell("cat-file", "--batch=%(objecttype) %(objectsize)", "-z", stdin=joined(names)).stdout
    contents: list[bytes | None] = []
    place = 0
    for name in names:
        missing = os.fsencode(name) + b" missing\n"
        if output.startswith(missing, place):
            contents.append(None)
            place += len(missing)
            continue
        start = output.index(b"\n", place) + 1
        kind, _, size = output[place : start - 1].partition(b" ")
        contents.append(output[start : start + int(size)] if kind == b"blob" else None)
        place = start + int(size) + 1
    return contents


def read_file(git: Git, commit: Commit, path: str) -> bytes | None:
    """The content of a file in a commit (of a symlink: its target); None when there is no such file."""
    return read_blobs(git, [f"{commit}:{path}"])[0] if is_inside(path) else None


def list_files(git: Git, commit: Commit, prefix: str = "") -> tuple[str, ...]:
    """The names of all files of a commit, or of those in the folder `prefix`."""
    folder = prefix.rstrip("/")
    if folder and not is_inside(folder):
        return ()
    below = [f"{folder}/"] if folder else []
    return tuple(
        split(git.tell("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--", *below).stdout)
    )
