"""What git keeps in plain files, read without starting a program: loose and packed refs, loose commits.

Every question to git costs the start of a process, and most are about one ref or about a commit that was made
a moment ago. Each function here answers only what the files say beyond doubt; otherwise its answer is None,
and git itself has to be asked. The formats are those of gitrepository-layout(5) and of git's "pack-refs".
"""

import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.git_command import Git
from cli_multi_rapid.git_names import HEADS, OURS, checked_ref, is_ref
from cli_multi_rapid.git_objects import hashed, loose_object

_OBJECT_ID: Final = re.compile(rb"[0-9a-f]{40}([0-9a-f]{24})?")
_NOTHING: Final = re.compile(rb"0+")
_REPLACEMENTS: Final = "refs/replace/"

_LONGEST_COMMIT: Final = 1 << 16
"""Bytes of a commit that is read here. A longer one, or a big file's content, is left to git."""

_SETTLED_NS: Final = 3 * 10**9
"""The age of a file that tells its versions apart: some file systems keep whole seconds, FAT every other."""

_NEAR: Final = 8
"""Commits that are looked at for a near ancestor; for a far one git is asked."""


class _Unclear(Exception):  # no error: somebody else has to answer
    """The files do not tell."""


# --- refs ---------------------------------------------------------------------------------------------------


def refs_in_files(git_dir: Path, *prefixes: str) -> Mapping[str, Commit] | None:
    """The branches and refs of ours with these full names or below these folders.

    None when git has to be asked: another kind of ref storage, a symbolic ref, something unreadable, or refs
    that may name what is no commit. Whether the commits are there is not looked at.
    """
    wanted = [checked_ref(prefix + "x" if prefix.endswith("/") else prefix) and prefix for prefix in prefixes]
    if not wanted or not all(prefix.startswith((HEADS, OURS)) for prefix in wanted):
        return None
    try:
        return _read(git_dir, wanted)
    except (_Unclear, OSError):
        return None


def _read(git_dir: Path, prefixes: list[str]) -> dict[str, Commit]:
    # The loose ones first: what is packed meanwhile is then found in the other place.
    loose = {name: at for prefix in prefixes for name, at in _loose(git_dir, prefix)}
    packed = {name: at for prefix in prefixes for name, at in _packed(git_dir, prefix)}
    # Looked at last: a move to another storage empties these places first. That leaves a file `refs/heads`.
    if not (git_dir / HEADS).is_dir() or (git_dir / "reftable").exists():
        raise _Unclear
    return dict(sorted({**packed, **loose}.items()))


def _loose(git_dir: Path, prefix: str) -> Iterator[tuple[str, Commit]]:
    try:
        if prefix.endswith("/"):
            yield from _loose_below(git_dir, prefix.rstrip("/"))
        else:
            yield prefix, _commit_id((git_dir / prefix).read_bytes().rstrip())
    except IsADirectoryError:
        yield from _loose_below(git_dir, prefix)
    except (FileNotFoundError, NotADirectoryError):
        return


def _loose_below(git_dir: Path, folder: str) -> Iterator[tuple[str, Commit]]:
    with os.scandir(git_dir / folder) as entries:
        inside = list(entries)
    for entry in inside:
        if entry.name.startswith(".") or entry.name.endswith(".lock"):
            continue  # git looks over these too
        name = f"{folder}/{entry.name}"
        if entry.is_symlink() or not is_ref(name):  # git may know a name that we would not accept
            raise _Unclear
        yield from _loose(git_dir, name)


def _packed(git_dir: Path, prefix: str) -> Iterator[tuple[str, Commit]]:
    """Lines are `<id> <ref>`; a line `^<id>` below an annotated tag is none of ours."""
    content = _packed_refs(git_dir)
    needle = b" " + os.fsencode(prefix)
    place = content.find(needle)
    while place >= 0:
        end = content.index(b"\n", place)
        name = os.fsdecode(content[place + 1 : end])
        if name == prefix or name.startswith(prefix.rstrip("/") + "/"):
            yield name, _commit_id(content[content.rfind(b"\n", 0, place) + 1 : place])
        place = content.find(needle, end)


def _packed_refs(git_dir: Path) -> bytes:
    path = git_dir / "packed-refs"
    try:
        now = path.stat()
    except FileNotFoundError:
        return b""
    if time.time_ns() - now.st_mtime_ns < _SETTLED_NS:
        return _whole(path)
    return _kept(path, now.st_ino, now.st_mtime_ns, now.st_size)


@lru_cache(maxsize=4)
def _kept(path: Path, *_identity: int) -> bytes:
    """Git replaces the whole file, so that its identity tells when to read it again.

    Not at once: the inode of the last version but one is free for the next, which may come in the same tick.
    """
    return _whole(path)


def _whole(path: Path) -> bytes:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):  # cut off: git refuses such a file
        raise _Unclear
    return content


def _commit_id(content: bytes) -> Commit:
    if _OBJECT_ID.fullmatch(content) is None or _NOTHING.fullmatch(content) is not None:
        raise _Unclear
    return Commit(content.decode())


# --- commits ------------------------------------------------------------------------------------------------


def commit_in_file(git: Git, commit: Commit) -> bytes | None:
    """The content of a commit that lies in a file of its own and is what its name says.

    None when git has to be asked: it is packed, in another store, replaced, not there, or no commit.
    """
    if _OBJECT_ID.fullmatch(os.fsencode(commit)) is None:
        return None
    try:
        compressed = loose_object(git, commit).read_bytes()
        unpacking = zlib.decompressobj()
        head, _, body = unpacking.decompress(compressed, _LONGEST_COMMIT).partition(b"\0")
        is_whole = unpacking.eof and head == b"commit %d" % len(body)
        is_itself = is_whole and hashed(git, "commit", body).hexdigest() == commit
        return body if is_itself and not _has_replacements(git.git_dir) else None
    except (OSError, zlib.error, _Unclear):
        return None


def lies_in_file(git: Git, commit: Commit) -> bool:
    """Whether an object of this id lies in a file of its own; if not, git has to be asked for it."""
    return loose_object(git, commit).is_file()


def _has_replacements(git_dir: Path) -> bool:
    """Whether git would show some objects in the place of others (git-replace(1))."""
    if b" " + _REPLACEMENTS.encode() in _packed_refs(git_dir) or (git_dir / "reftable").exists():
        return True
    try:
        with os.scandir(git_dir / _REPLACEMENTS) as entries:
            return any(entries)
    except FileNotFoundError:
        return False


def header_of(body: bytes) -> Iterator[tuple[str, str]]:
    """The lines above a commit's message, as key and value: `tree`, `parent`, `author` and others."""
    for line in body.partition(b"\n\n")[0].decode("ascii", "replace").split("\n"):
        key, _, value = line.partition(" ")
        yield key, value


def is_near_ancestor(git: Git, ancestor: Commit, descendant: Commit) -> bool:
    """Whether `ancestor` is found a few steps above `descendant`; if not, git has to be asked."""
    if any((git.git_dir / name).exists() for name in ("shallow", "info/grafts")):
        return False  # commits name parents there that do not count
    line = [descendant]
    for place in range(_NEAR):
        body = commit_in_file(git, line[place]) if place < len(line) else None
        if body is None:
            return False
        parents = [Commit(value) for key, value in header_of(body) if key == "parent"]
        if ancestor in parents:
            return True
        line += parents
    return False
