"""The words of the slots' room: what a slot is, what state it is in, what became of it."""

import hashlib
import re
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.ids import Branch, Commit, NodeId, RunId

SLOT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


class Strategy(StrEnum):
    """How a slot relates to the person's repository."""

    ISOLATED = "isolated"
    """A repository of its own that borrows the objects: the default."""
    LINKED = "linked"
    """A `git worktree`: shares refs, config and hooks with the person."""


class SlotState(StrEnum):
    """What a slot is there for."""

    ACTIVE = "active"
    KEPT = "kept"
    POOLED = "pooled"
    ORPHANED = "orphaned"
    """Its process died; what is in it may be work."""


class Slot(Struct, frozen=True, kw_only=True):
    """A folder that is ready for an agent."""

    path: Path
    name: str
    base: Commit
    lane: Branch
    missing_links: tuple[str, ...] = ()
    """Configured links whose source the person does not have."""


class SlotInfo(Struct, frozen=True, kw_only=True):
    """A slot as a list shows it."""

    name: str
    path: Path
    base: Commit | None
    age_s: float
    state: SlotState


class Cleaned(Struct, frozen=True, kw_only=True):
    """What `clean` did."""

    removed: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    """Names with the reason why they are still there."""


class Sealed(Struct, frozen=True, kw_only=True):
    """The lane is at the snapshot."""

    commit: Commit


class SealRefused(Struct, frozen=True, kw_only=True):
    """The lane is not ours to move."""

    reason: str


def slot_name(run: RunId, node: NodeId, attempt: int) -> str:
    """A folder name for an attempt: readable, safe on every file system, never the same for two attempts."""
    digest = hashlib.sha256(f"{run}\0{node}\0{attempt}".encode("utf-8", "surrogateescape")).hexdigest()[:10]
    return f"{_slug(run, 40)}.{_slug(node, 40)}.{attempt}.{digest}"


def _slug(text: str, longest: int) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:longest].strip("-_") or "x"
