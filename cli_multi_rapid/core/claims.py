"""Path claims: what a node may write, and which nodes may therefore not run side by side.

A claim is a glob (`core/globs.py` has the rules) and a mode. Two nodes conflict when both may write, at
least one of them exclusively, and some path is claimed by both. Every function here raises `InvalidGlob` for
a claim whose text is no glob.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import reduce
from operator import or_

from msgspec import Struct

from cli_multi_rapid.core.globs import Glob, InvalidGlob, is_inside, parse_glob
from cli_multi_rapid.core.ids import NodeId

__all__ = [
    "ClaimMode",
    "Glob",
    "InvalidGlob",
    "Overlap",
    "PathClaim",
    "conflict",
    "covered",
    "find_overlaps",
    "first_conflict",
    "parse_glob",
    "paths_outside",
    "suggest_claim",
]


class ClaimMode(StrEnum):
    """What a node does with the paths it claims."""

    EXCLUSIVE = "exclusive"
    """Writes them, and nobody else may at the same time."""
    SHARED = "shared"
    """Writes them beside others that share them."""
    READ = "read"
    """Reads them on its own snapshot: blocks nobody."""


class PathClaim(Struct, frozen=True, kw_only=True):
    """A glob and a mode. The text is parsed when it is used; ask `parse_glob` first whether it is one."""

    path: str
    mode: ClaimMode = ClaimMode.EXCLUSIVE

    @property
    def writes(self) -> bool:
        """Whether the node may change the claimed paths."""
        return self.mode is not ClaimMode.READ


class Overlap(Struct, frozen=True, kw_only=True):
    """Two nodes that may not run side by side, and the first pair of their claims that says so."""

    first: NodeId
    second: NodeId
    first_claim: PathClaim
    second_claim: PathClaim


def conflict(a: PathClaim, b: PathClaim) -> bool:
    """Whether two nodes with these claims may not run side by side."""
    if not (a.writes and b.writes) or a.mode is b.mode is ClaimMode.SHARED:
        return False
    return parse_glob(a.path).overlaps(parse_glob(b.path))


def first_conflict(a: Sequence[PathClaim], b: Sequence[PathClaim]) -> tuple[PathClaim, PathClaim] | None:
    """The first conflicting pair, in the order of `a`, then of `b`."""
    return next(((one, other) for one in a for other in b if conflict(one, other)), None)


def find_overlaps(claims: Mapping[NodeId, Sequence[PathClaim]]) -> list[Overlap]:
    """Every pair of nodes that may not run side by side, once, in the mapping's order.

    Each pair comes with its `first_conflict`.
    """
    nodes = list(claims)
    written = [tuple(claim for claim in held if claim.writes) for held in claims.values()]
    holders: dict[PathClaim, int] = {}  # bit i: node i holds the claim
    for at, held in enumerate(written):
        for claim in held:
            holders[claim] = holders.get(claim, 0) | 1 << at
    rivals = _rivals(holders)
    beside = {claim: _union(holders[rival] for rival in rivals[claim]) for claim in holders}
    found: list[Overlap] = []
    for at, held in enumerate(written):
        reasons: dict[tuple[PathClaim, ...], tuple[PathClaim, PathClaim]] = {}
        for other in _bits(_union(beside[claim] for claim in held) >> (at + 1)):
            theirs = written[at + 1 + other]
            reason = reasons.get(theirs)
            if reason is None:
                reason = reasons[theirs] = next((c, d) for c in held for d in theirs if d in rivals[c])
            found.append(
                Overlap(
                    first=nodes[at],
                    second=nodes[at + 1 + other],
                    first_claim=reason[0],
                    second_claim=reason[1],
                )
            )
    return found


def _rivals(claims: Iterable[PathClaim]) -> dict[PathClaim, set[PathClaim]]:
    """What each of the (distinct, writing) claims conflicts with, which may include itself.

    Sorted by the text before the first wildcard, all that can overlap a claim and is not before it follows it
    directly. So claims on different folders are never compared.
    """
    ordered = sorted(claims, key=lambda claim: parse_glob(claim.path).head)
    heads = [parse_glob(claim.path).head for claim in ordered]
    rivals: dict[PathClaim, set[PathClaim]] = {claim: set() for claim in ordered}
    for at, claim in enumerate(ordered):
        for place in range(at, len(ordered)):
            if not heads[place].startswith(heads[at]):
                break
            if conflict(claim, ordered[place]):
                rivals[claim].add(ordered[place])
                rivals[ordered[place]].add(claim)
    return rivals


def _union(masks: Iterable[int]) -> int:
    return reduce(or_, masks, 0)


def _bits(mask: int) -> Iterable[int]:
    while mask:
        lowest = mask & -mask
        mask ^= lowest
        yield lowest.bit_length() - 1


def paths_outside(paths: Iterable[str], claims: Sequence[PathClaim]) -> list[str]:
    """The paths, in their order, that no writing claim matches: the audit of a diff."""
    globs = [parse_glob(claim.path) for claim in claims if claim.writes]
    return [path for path in paths if not any(glob.matches(path) for glob in globs)]


def covered(output: str, claims: Sequence[PathClaim]) -> bool:
    """Whether all that an output (a path or a glob) names lies inside the writing claims, taken together."""
    return is_inside(output, tuple(claim.path for claim in claims if claim.writes))


def suggest_claim(output: str) -> str:
    """The claim to add so that an output is covered: all of its folder, or itself at the root."""
    glob = parse_glob(output)
    folder = glob.literal_prefix[:-1] if glob.is_path else glob.literal_prefix
    return "/".join((*folder, "**")) if folder else output
