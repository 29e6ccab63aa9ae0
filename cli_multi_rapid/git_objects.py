"""Commit objects made without starting a program: a long train is folded one small commit at a time.

A commit is a few lines of text under the hash of themselves; writing that file takes a tenth of what starting
`git commit-tree` takes. Only where git would treat new objects specially (`core.sharedRepository`,
`core.fsync…`) git itself has to write them.
"""

import hashlib
import os
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.git_command import Git


class Identity(Struct, frozen=True, kw_only=True):
    """Who a commit is from."""

    name: str
    mail: str


NOBODY = Identity(name="cli-orchestrator", mail="cli-orchestrator@localhost")
"""Who commits when the person has configured no name."""


def commit(
    git: Git,
    tree: Tree,
    parents: Sequence[Commit],
    message: str,
    *,
    author: Identity,
    when: datetime,
    committer: Identity | None = None,
) -> Commit:
    """Make a commit object; no ref moves. The same arguments give the same commit.

    Raises `EnvironmentFault` when the object store cannot be written.
    """
    stamp = f"{int(when.timestamp())} +0000"
    lines = [
        f"tree {tree}",
        *(f"parent {parent}" for parent in parents),
        f"author {_signature(author)} {stamp}",
        f"committer {_signature(committer or author)} {stamp}",
        "",
        message.replace("\0", "").removesuffix("\n") + "\n",
    ]
    body = "\n".join(lines).encode("utf-8", "replace")
    return Commit(write_object(git, "commit", body))


def _signature(identity: Identity) -> str:
    return f"{_plain(identity.name) or NOBODY.name} <{_plain(identity.mail) or NOBODY.mail}>"


def _plain(text: str) -> str:
    """A name without what would end a header line of a commit; empty when nothing but punctuation is left."""
    kept = "".join(letter for letter in text if letter >= " " and letter not in "<>").strip()
    return kept if any(letter not in " .,:;\"\\'" for letter in kept) else ""


def write_object(git: Git, kind: str, body: bytes) -> str:
    """Put an object of this kind into the store and return its id; writing it again changes nothing.

    Raises `EnvironmentFault` when the object store cannot be written.
    """
    if git.objects_by_hand:
        return _write_loose(git, _content(kind, body), hashed(git, kind, body).hexdigest())
    return git.tell("hash-object", "-t", kind, "-w", "--stdin", stdin=body).text


def hashed(git: Git, kind: str, body: bytes) -> "hashlib._Hash":
    """The hash that names an object."""
    algorithm = hashlib.sha256 if git.object_format == "sha256" else hashlib.sha1
    return algorithm(_content(kind, body), usedforsecurity=False)  # git's own ids


def _content(kind: str, body: bytes) -> bytes:
    return b"%s %d\0%s" % (kind.encode(), len(body), body)


def loose_object(git: Git, name: str) -> Path:
    """Where an object lies, or would lie, that is a file of its own."""
    return git.git_dir / "objects" / name[:2] / name[2:]


def _write_loose(git: Git, content: bytes, name: str) -> str:
    """Write a loose object as git does: a temporary file, read-only, renamed into place. Returns its id."""
    path = loose_object(git, name)
    if path.exists():
        return name
    try:
        path.parent.mkdir(exist_ok=True)
        handle, fresh = tempfile.mkstemp(prefix="tmp_obj_", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(zlib.compress(content, 1))
            Path(fresh).chmod(0o444)
            Path(fresh).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(fresh).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EnvironmentFault(
            f"{path.parent} cannot be written: {error.strerror}",
            hint="check the permissions and the free space",
        ) from error
    return name
