"""Refs: read them, and change several at once or none, each compared with what it should have been."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum, StrEnum

from msgspec import Struct

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.git_command import Git, blame_machine
from cli_multi_rapid.git_files import lies_in_file, refs_in_files
from cli_multi_rapid.git_history import missing
from cli_multi_rapid.git_names import checked_ref


class Whatever(Enum):
    """The one value of `RefChange.old` that compares with nothing."""

    ANY = "any"


ANY = Whatever.ANY


class RefChange(Struct, frozen=True, kw_only=True):
    """One ref's move. `old` None: it must not exist yet; `new` None: it goes away."""

    ref: str
    old: Commit | Whatever | None
    new: Commit | None


class RefUnchanged(Struct, frozen=True, kw_only=True):
    """A condition of a transaction: the ref is at this commit, or does not exist (None)."""

    ref: str
    at: Commit | None


class RefsUpdated(Struct, frozen=True, kw_only=True):
    """All refs moved."""


class Refusal(StrEnum):
    """Why no ref moved."""

    MOVED = "moved"
    """A ref is not where it was expected: somebody else was faster."""
    LOCKED = "locked"
    """Another process holds a ref's lock file, or a killed one left it behind."""
    NAME_TAKEN = "name_taken"
    """A ref `a` forbids a ref `a/b`, and the other way round."""
    OTHER = "other"


class RefsRefused(Struct, frozen=True, kw_only=True):
    """No ref moved."""

    kind: Refusal
    reason: str


_REFUSALS = (
    (Refusal.LOCKED, re.compile(r"Unable to create '.*\.lock'")),
    (Refusal.NAME_TAKEN, re.compile(r"exists; cannot create|cannot process .* and .* at the same time")),
    (
        Refusal.MOVED,
        re.compile(r"but expected|reference already exists|unable to resolve reference|reference is missing"),
    ),
)


def update_refs(
    git: Git, changes: Sequence[RefChange | RefUnchanged], *, reason: str = "cli-orchestrator"
) -> RefsUpdated | RefsRefused:
    """Make all changes in one ref transaction, or none.

    Git writes the refs one after the other in the order given, so a kill in the middle leaves a beginning of
    `changes`: put the evidence before what it is evidence for. `reason` goes to the reflog.
    """
    if not changes:
        return RefsUpdated()
    stdin = b"\0".join([b"start", *(_instruction(change) for change in changes), b"prepare", b"commit", b""])
    done = git.ask("update-ref", "-m", reason, "--stdin", "-z", stdin=stdin)
    blame_machine(done)
    return RefsUpdated() if done.ok else _refused(done.error_text)


def _instruction(change: RefChange | RefUnchanged) -> bytes:
    ref = checked_ref(change.ref)
    if isinstance(change, RefUnchanged):
        words = [f"verify {ref}", change.at or ""]
    elif change.new is None:
        if change.old is None:
            raise UserError(f"{ref} should not exist before and not after: nothing to change")
        words = [f"delete {ref}", _expected(change.old)]
    elif change.old is None:
        words = [f"create {ref}", change.new]
    else:
        words = [f"update {ref}", change.new, _expected(change.old)]
    return "\0".join(words).encode()


def _expected(old: Commit | Whatever) -> str:
    return "" if isinstance(old, Whatever) else old


def _refused(words: str) -> RefsRefused:
    first = (
        words.partition("\n")[0].removeprefix("fatal: ").removeprefix("prepare: ").removeprefix("commit: ")
    )
    kind = next((kind for kind, pattern in _REFUSALS if pattern.search(words)), Refusal.OTHER)
    return RefsRefused(kind=kind, reason=first or "git gave no reason")


def tip_of(git: Git, ref: str) -> Commit | None:
    """Where one ref is, None when there is none. Whether its commit is there is not looked at."""
    found = refs_in_files(git.git_dir, ref)
    return (read_refs(git, ref) if found is None else found).get(ref)


def drop_hollow(git: Git, folder: str) -> tuple[str, ...]:
    """Remove the branches below a folder of ours whose commit is gone, and name them.

    They come of a `git prune` between a commit and its ref. While they are there git lists no refs beside
    them and packs nothing.
    """
    found = refs_in_files(git.git_dir, folder)
    if found is None:
        form = "--format=%(objectname)%00%(refname)"
        listing = git.tell("for-each-ref", form, "--", checked_ref(folder)).text
        lines = (line.split("\0") for line in listing.split("\n") if line)
        found = {ref: Commit(at) for at, ref in lines}
    gone = missing(git, list(found.values()))
    hollow = [RefChange(ref=ref, old=at, new=None) for ref, at in found.items() if at in gone]
    if hollow:
        update_refs(git, hollow)
    return tuple(change.ref for change in hollow)


def read_refs(git: Git, *prefixes: str) -> Mapping[str, Commit]:
    """The refs with these full names or below these folders, each with the commit that it means.

    Raises `EnvironmentFault` when one of the commits is gone (a `git prune` came between).
    """
    found = refs_in_files(git.git_dir, *prefixes)
    if found is not None and all(lies_in_file(git, commit) for commit in found.values()):
        return found
    for prefix in prefixes:
        checked_ref(prefix + "x" if prefix.endswith("/") else prefix)
    form = "%(objectname)%00%(*objectname)%00%(refname)"
    listing = git.tell("for-each-ref", f"--format={form}", "--", *prefixes).text
    lines = (line.split("\0") for line in listing.split("\n") if line)
    return {name: Commit(peeled or direct) for direct, peeled, name in lines}
