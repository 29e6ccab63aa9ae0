"""Path claims: which paths a node may write, and which nodes may therefore not run side by side.

A claim is a glob from the repository's root, case sensitive. Its words:

- `*`, `?` and `[...]` stay within one path part; a leading dot is nothing special. `[!...]` negates, `]`
  stands first to mean itself, `[[]`, `[*]` and `[?]` are the characters themselves.
- `**` is a whole part. In the middle it is any number of parts (`a/**/z` matches `a/z` and `a/b/z`), at the
  end one or more (`src/**` matches all below `src`, not a file `src`). A trailing `/` means `/**`.
- Refused, because people read them in two ways: `a**`, `{a,b}`, `[^a]`, `[[:alpha:]]`, a leading `!`.

A glob is a language over parts, a part a language over characters, and both have the same form: a row of
symbols and gaps ("any run"). One bitset automaton serves both levels, so that matching and overlap are exact
and take polynomial time. Inclusion is exact within a fixed effort and says "no" beyond it. Only the universe
is simplified: `.` and `..`, which no path holds, count as names when two globs are compared.

Texts may hold the lone surrogates of undecodable file names.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, reduce
from itertools import chain
from operator import or_
from typing import Final, Generic, TypeVar

from cli_multi_rapid.core.ids import NodeId

LONGEST_GLOB: Final = 4096
"""Characters. As long as the longest path that Linux takes; it bounds the work on a hostile pattern."""

_EFFORT: Final = 50_000
"""Steps of one inclusion search, about 0.1 s: inclusion may need exponentially many."""

S = TypeVar("S", bound=Hashable)
Ranges = tuple[tuple[int, int], ...]  # characters: sorted, disjoint ranges of code points, both ends included
Row = tuple[S | None, ...]  # symbols; None is a gap: any run of letters, also none. Never two gaps in a row.

_SLASH: Final = ord("/")
_LAST: Final = 0x10FFFF
_ANY_CHARACTER: Final[Ranges] = ((0, _SLASH - 1), (_SLASH + 1, _LAST))
_ANY_PART: Final = "*"
_WILDCARDS: Final = frozenset("*?[")
_BRACES: Final = re.compile(r"\{[^{},]*,[^{}]*\}")
_NO_PARTS: Final = frozenset(("", ".", ".."))


class ClaimMode(StrEnum):
    """What a node does with the paths it claims."""

    EXCLUSIVE = "exclusive"
    """Writes them, and nobody else may at the same time."""
    SHARED = "shared"
    """Writes them beside others that share them."""
    READ = "read"
    """Reads them on its own snapshot: blocks nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathClaim:
    """A glob and a mode. The text is parsed when it is used; ask `parse_glob` first whether it is one."""

    path: str
    mode: ClaimMode = ClaimMode.EXCLUSIVE

    @property
    def writes(self) -> bool:
        """Whether the node may change the claimed paths."""
        return self.mode is not ClaimMode.READ


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two nodes that may not run side by side, and the first pair of their claims that says so."""

    first: NodeId
    second: NodeId
    first_claim: PathClaim
    second_claim: PathClaim


class InvalidGlob(ValueError):
    """A text that is no glob; `reason` says why and what to write instead."""

    def __init__(self, text: str, reason: str) -> None:
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(f"{shown!r}: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """A parsed glob; made by `parse_glob` only."""

    text: str
    literal_prefix: tuple[str, ...] = field(compare=False)
    """The leading parts without wildcards. All that it matches lies at or below them."""
    parts: Row[str] = field(compare=False, repr=False)

    def matches(self, path: str) -> bool:
        """Whether a path from the repository's root is covered. Nothing covers `./a`, `a//b` or `a/../b`."""
        fixed = len(self.literal_prefix)
        if fixed == len(self.parts):
            return path == self.text
        letters = path.split("/")
        if tuple(letters[:fixed]) != self.literal_prefix or not _NO_PARTS.isdisjoint(letters):
            return False
        return _path_matches(self.text, letters)

    def overlaps(self, other: "Glob") -> bool:
        """Whether some path is matched by both. Exact."""
        common = min(len(self.literal_prefix), len(other.literal_prefix))
        if self.literal_prefix[:common] != other.literal_prefix[:common]:
            return False
        return _globs_meet(*sorted((self.text, other.text)))

    def contains(self, other: "Glob") -> bool:
        """Whether every path of the other glob is one of this. True is always right: see the module."""
        return _is_inside(other.text, (self.text,))


# Reading globs ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=16_384)
def parse_glob(text: str) -> Glob:
    """Read a glob; a plain path is one without wildcards. Raises `InvalidGlob`."""
    _refuse_bad_text(text)
    names = text.split("/")
    if names[-1] == "":
        names[-1] = "**"
    for name in names:
        _refuse_bad_part(text, name)
    row: list[str | None] = [None if name == "**" else name for name in names]
    if row[-1] is None:
        row.append(_ANY_PART)
    fixed = next((at for at, name in enumerate(row) if name is None or _is_wild(name)), len(row))
    return Glob(text=text, literal_prefix=tuple(names[:fixed]), parts=_gaps_last(row, _ANY_PART))


def _refuse_bad_text(text: str) -> None:
    if not text:
        raise InvalidGlob(text, "is empty; write ** for the whole repository")
    if len(text) > LONGEST_GLOB:
        raise InvalidGlob(text, f"is longer than {LONGEST_GLOB} characters")
    if not text.isprintable() and any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text):
        raise InvalidGlob(text, "holds a control character")
    if "\\" in text:
        raise InvalidGlob(text, "holds a backslash; parts are separated by / and [*] is a literal *")
    if text.startswith("/"):
        raise InvalidGlob(text, "starts with /; write it from the repository's root, without the /")
    if text.startswith("!"):
        raise InvalidGlob(text, "starts with !; claims are not negated, so name what is claimed")
    if _BRACES.search(text):
        raise InvalidGlob(text, "holds {...,...}, which is not expanded; write one claim for each")


def _refuse_bad_part(text: str, name: str) -> None:
    if name == "":
        raise InvalidGlob(text, "holds an empty part (//)")
    if name == ".":
        raise InvalidGlob(text, "holds a part `.`; leave it out, or write ** for the whole repository")
    if name == "..":
        raise InvalidGlob(text, "holds a part `..`; claims stay below the repository's root")
    if name != "**" and _is_wild(name):
        try:
            _characters(name)
        except ValueError as error:
            raise InvalidGlob(text, str(error)) from None


def _is_wild(part: str) -> bool:
    return not _WILDCARDS.isdisjoint(part)


def _gaps_last(row: Sequence[S | None], anything: S) -> Row[S]:
    """The same language in one form: in a run of gaps and any-symbols first the symbols, then one gap."""
    ordered: list[S | None] = []
    for symbol in row:
        after_gap = bool(ordered) and ordered[-1] is None
        if after_gap and symbol == anything:
            ordered.insert(-1, symbol)
        elif not (after_gap and symbol is None):
            ordered.append(symbol)
    return tuple(ordered)


@lru_cache(maxsize=16_384)
def _characters(part: str) -> Row[Ranges]:
    """A part as a row of character ranges. Raises `ValueError` with the reason when it is none."""
    row: list[Ranges | None] = []
    at = 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            if row and row[-1] is None:
                raise ValueError("holds ** beside other characters; ** must be a whole part, as in a/**/b")
            row.append(None)
        elif char == "?":
            row.append(_ANY_CHARACTER)
        elif char == "[":
            ranges, at = _character_class(part, at)
            row.append(ranges)
        else:
            row.append(((ord(char), ord(char)),))
    # No part of a path is empty, so that `*` alone is at least one character.
    return _gaps_last([_ANY_CHARACTER, None] if row == [None] else row, _ANY_CHARACTER)


def _character_class(part: str, at: int) -> tuple[Ranges, int]:
    """Read what follows `[` at `at`; the ranges, and where the class ends."""
    negated = part.startswith("!", at)
    at += negated
    end = part.find("]", at + 1)
    if end < 0:
        raise ValueError("holds [ without ] in the same part; write [[] for the character")
    body = part[at:end]
    if body.startswith("^") and not negated:
        raise ValueError("holds [^; write [!...] for all characters but these")
    if "[:" in body:
        raise ValueError("holds a named class ([:alpha:]), which is not known; write ranges such as [a-z]")
    ranges = list(_ranges(body))
    slash = (_SLASH, _SLASH)
    outside = _all_but([*ranges, slash])
    return (outside if negated else _all_but([*_all_but(ranges), slash])), end + 1


def _ranges(body: str) -> Iterable[tuple[int, int]]:
    at = 0
    while at < len(body):
        width = 3 if body[at + 1 : at + 2] == "-" and at + 2 < len(body) else 1
        low, high = ord(body[at]), ord(body[at + width - 1])
        if low > high:
            raise ValueError(f"holds the range {body[at : at + width]}, whose ends are the wrong way round")
        yield low, high
        at += width


def _all_but(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The complement, as sorted and disjoint ranges."""
    rest: list[tuple[int, int]] = []
    free = 0
    for low, high in sorted(ranges):
        if low > free:
            rest.append((free, low - 1))
        free = max(free, high + 1)
    return (*rest, (free, _LAST)) if free <= _LAST else tuple(rest)


# The automaton of both levels -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Automaton(Generic[S]):
    """Rows read at once: bit i of `alive` is set when the letters read so far can lead to place i.

    Each row has a place per symbol or gap and one at its end, which is its bit of `ends`.
    """

    fixed: Mapping[S, int]
    """The places of the symbols that are one letter."""
    wild: Mapping[S, int]
    """The places of the symbols that are several."""
    gaps: int
    start: int
    ends: int

    def step(self, alive: int, passing: int) -> int:
        """Read one letter, which the symbols at the places `passing` accept."""
        return self._over_gaps(((alive & passing) << 1) | (alive & self.gaps))

    def _over_gaps(self, alive: int) -> int:
        return alive | ((alive & self.gaps) << 1)

    def begin(self) -> int:
        return self._over_gaps(self.start)

    def places(self) -> Iterable[tuple[S, int]]:
        return chain(self.fixed.items(), self.wild.items())


def _automaton(rows: Iterable[Row[S]], is_wild: Callable[[S], bool]) -> _Automaton[S]:
    fixed: dict[S, int] = {}
    wild: dict[S, int] = {}
    start = gaps = ends = 0
    bit = 1
    for row in rows:
        start |= bit
        for symbol in row:
            if symbol is None:
                gaps |= bit
            else:
                group = wild if is_wild(symbol) else fixed
                group[symbol] = group.get(symbol, 0) | bit
            bit <<= 1
        ends |= bit
        bit <<= 1
    return _Automaton(fixed=fixed, wild=wild, gaps=gaps, start=start, ends=ends)


def _several(ranges: Ranges) -> bool:
    return len(ranges) > 1 or ranges[0][0] != ranges[0][1]


@lru_cache(maxsize=4096)
def _of_part(part: str) -> _Automaton[Ranges]:
    return _automaton([_characters(part)], _several)


@lru_cache(maxsize=4096)
def _of_glob(text: str) -> _Automaton[str]:
    return _automaton([parse_glob(text).parts], _is_wild)


def _has(ranges: Ranges, code: int) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _share(one: Ranges, other: Ranges) -> bool:
    return any(low <= top and bottom <= high for low, high in one for bottom, top in other)


def _within(inner: Ranges, outer: Ranges) -> bool:
    return all(any(bottom <= low and high <= top for bottom, top in outer) for low, high in inner)


# Matching ---------------------------------------------------------------------------------------------------


def _path_matches(glob: str, parts: Sequence[str]) -> bool:
    automaton = _of_glob(glob)
    alive = automaton.begin()
    for part in parts:
        passing = automaton.fixed.get(part, 0)
        for pattern, places in automaton.wild.items():
            if alive & places and _part_matches(pattern, part):
                passing |= places
        alive = automaton.step(alive, passing)
        if not alive:
            return False
    return bool(alive & automaton.ends)


def _part_matches(pattern: str, part: str) -> bool:
    """Whether a part (not empty) is matched."""
    if pattern == _ANY_PART:
        return True
    if not _is_wild(pattern):
        return pattern == part
    automaton = _of_part(pattern)
    passing: dict[str, int] = {}
    alive = automaton.begin()
    for char in part:
        if (places := passing.get(char)) is None:
            places = passing[char] = _passing_character(automaton, ord(char))
        alive = automaton.step(alive, places)
        if not alive:
            return False
    return bool(alive & automaton.ends)


def _passing_character(automaton: _Automaton[Ranges], code: int) -> int:
    passing = automaton.fixed.get(((code, code),), 0)
    for ranges, places in automaton.wild.items():
        if _has(ranges, code):
            passing |= places
    return passing


# Overlap ----------------------------------------------------------------------------------------------------


def _rows_meet(
    row: Row[S], automaton: _Automaton[S], is_wild: Callable[[S], bool], meet: Callable[[S, S], bool]
) -> bool:
    """Whether the row and the automaton's one row share a word: their product, all places at a time."""
    alive = automaton.begin()
    for symbol in row:
        if symbol is None:
            # The gap reads whatever leads the other row on: all places from the first one alive.
            alive = -(alive & -alive) & (2 * automaton.ends - 1)
            continue
        passing = automaton.fixed.get(symbol, 0)
        for other, places in automaton.places() if is_wild(symbol) else automaton.wild.items():
            if alive & places & ~passing and meet(symbol, other):
                passing |= places
        alive = automaton.step(alive, passing)
        if not alive:
            return False
    return bool(alive & automaton.ends)


@lru_cache(maxsize=65_536)
def _globs_meet(one: str, other: str) -> bool:
    return _rows_meet(parse_glob(one).parts, _of_glob(other), _is_wild, _parts_meet)


def _parts_meet(one: str, other: str) -> bool:
    if not _is_wild(one):
        return _part_matches(other, one)
    if not _is_wild(other):
        return _part_matches(one, other)
    return _ANY_PART in (one, other) or _wild_parts_meet(one, other)


@lru_cache(maxsize=65_536)
def _wild_parts_meet(one: str, other: str) -> bool:
    return _rows_meet(_characters(one), _of_part(other), _several, _share)


# Inclusion --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16_384)
def _is_inside(inner: str, outers: tuple[str, ...]) -> bool:
    """Whether every path of one glob is matched by one or other of several."""
    glob = parse_glob(inner)
    near = [other for other in map(parse_glob, outers) if other.overlaps(glob)]
    if not near or len(glob.literal_prefix) == len(glob.parts):
        return bool(near)
    automaton = _automaton([other.parts for other in near], _is_wild)
    return _follows(glob.parts, automaton, _part_follows) or _Inclusion(automaton).holds_for(glob.parts)


def _follows(row: Row[S], automaton: _Automaton[S], within: Callable[[S, S], bool]) -> bool:
    """Whether gaps of the row fit in gaps, symbols in symbols or gaps: a quick proof of most inclusions."""
    alive = automaton.begin()
    for symbol in row:
        passing = 0
        if symbol is not None:
            for other, places in automaton.places():
                if alive & places and within(symbol, other):
                    passing |= places
        alive = automaton.step(alive, passing)
        if not alive:
            return False
    return bool(alive & automaton.ends)


@lru_cache(maxsize=16_384)
def _part_follows(inner: str, outer: str) -> bool:
    if not _is_wild(inner):
        return _part_matches(outer, inner)
    return outer == _ANY_PART or _follows(_characters(inner), _of_part(outer), _within)


class _Inclusion:
    """Looks for a word of a row that an automaton does not accept: all words at once, as sets of live places.

    Two letters that the same symbols accept are one case, and a letter that fewer symbols accept is the
    harder case, so that only the hardest are tried. What a part means to the rows of parts is found in the
    same way, one level down, with the patterns of all parts read at once.
    """

    __slots__ = ("_cuts", "_left", "_parts", "_path", "_places", "_seen_characters", "_seen_parts")

    def __init__(self, path: _Automaton[str]) -> None:
        self._path = path
        patterns = [_characters(name) for name, _ in path.places()]
        self._parts = _automaton(patterns, _several)
        ends = [1 << at for at in range(self._parts.ends.bit_length()) if self._parts.ends >> at & 1]
        self._places = list(zip(ends, (places for _, places in path.places()), strict=True))
        # Between two cuts all characters are alike to every pattern.
        ranges = chain.from_iterable(ranges for ranges, _ in self._parts.places())
        self._cuts = sorted({cut for low, high in ranges for cut in (low, high + 1)})
        self._left = _EFFORT
        self._seen_parts: dict[str, list[int]] = {}
        self._seen_characters: dict[Ranges, list[int]] = {}

    def holds_for(self, row: Row[str]) -> bool:
        """Whether the automaton accepts every word of the row; False when telling would take too long."""
        return 0 not in self._endings(row, self._path, _ANY_PART, self._part_cases)

    def _endings(
        self, row: Row[S], automaton: _Automaton[S], anything: S, cases: Callable[[S], Sequence[int]]
    ) -> set[int]:
        """The sets of ends that words of the row reach; {0} when one reaches none or it takes too long."""
        found: set[int] = set()
        seen = {(0, automaton.begin())}
        todo = list(seen)
        while todo:
            at, alive = todo.pop()
            if at == len(row):
                found.add(alive & automaton.ends)
                continue
            symbol = row[at]
            after = at if symbol is None else at + 1
            passings = cases(anything if symbol is None else symbol)
            reached = {(after, automaton.step(alive, passing)) for passing in passings}
            if symbol is None:
                reached.add((at + 1, alive))
            self._left -= len(reached)
            if self._left < 0 or any(not places for _, places in reached):
                return {0}
            todo.extend(reached - seen)
            seen |= reached
        return found

    def _part_cases(self, part: str) -> Sequence[int]:
        """The places of the path's automaton that a part described by a pattern passes: the hardest cases."""
        if part not in self._seen_parts:
            endings = self._endings(_characters(part), self._parts, _ANY_CHARACTER, self._character_cases)
            self._seen_parts[part] = _smallest(self._passing(ending) for ending in endings)
        return self._seen_parts[part]

    def _passing(self, ending: int) -> int:
        """The places in the path's automaton of the patterns that ended."""
        return reduce(or_, (places for end, places in self._places if ending & end), 0)

    def _character_cases(self, ranges: Ranges) -> Sequence[int]:
        """The places of the patterns that a character of some ranges passes: the hardest cases."""
        if ranges not in self._seen_characters:
            codes = [
                code
                for low, high in ranges
                for code in (low, *self._cuts[bisect_right(self._cuts, low) : bisect_right(self._cuts, high)])
            ]
            self._seen_characters[ranges] = _smallest(_passing_character(self._parts, code) for code in codes)
        return self._seen_characters[ranges]


def _smallest(masks: Iterable[int]) -> list[int]:
    """The masks that hold no other of them; all, where sorting that out would cost more than it saves."""
    distinct = sorted(set(masks), key=int.bit_count)
    if len(distinct) > 512:
        return distinct
    kept: list[int] = []
    for mask in distinct:
        if all(smaller & ~mask for smaller in kept):
            kept.append(mask)
    return kept


# Claims -----------------------------------------------------------------------------------------------------


def conflict(a: PathClaim, b: PathClaim) -> bool:
    """Whether two nodes with these claims may not run side by side. Raises `InvalidGlob`.

    Both may write, at least one wants to be alone, and some path is claimed by both.
    """
    if not (a.writes and b.writes) or a.mode is b.mode is ClaimMode.SHARED:
        return False
    return parse_glob(a.path).overlaps(parse_glob(b.path))


def first_conflict(a: Sequence[PathClaim], b: Sequence[PathClaim]) -> tuple[PathClaim, PathClaim] | None:
    """The first conflicting pair, in the order of `a`, then of `b`. Raises `InvalidGlob`."""
    return next(((one, other) for one in a for other in b if conflict(one, other)), None)


def find_overlaps(claims: Mapping[NodeId, Sequence[PathClaim]]) -> list[Overlap]:
    """Every pair of nodes that may not run side by side, once, in the mapping's order. Raises `InvalidGlob`.

    Each pair comes with its `first_conflict`. Claims whose literal prefixes part are never compared.
    """
    nodes = list(claims)
    holders: dict[PathClaim, int] = {}  # bit i: node i holds the claim
    for at, held in enumerate(claims.values()):
        for claim in held:
            if claim.writes:
                holders[claim] = holders.get(claim, 0) | 1 << at
    rivals = _rivals(list(holders))
    beside = {claim: reduce(or_, (holders[rival] for rival in rivals[claim]), 0) for claim in holders}
    found: list[Overlap] = []
    for at, node in enumerate(nodes):
        mine = [claim for claim in claims[node] if claim.writes]
        later = reduce(or_, (beside[claim] for claim in mine), 0) >> (at + 1)
        while later:
            lowest = later & -later
            later ^= lowest
            other = nodes[at + lowest.bit_length()]
            one, rival = next((c, d) for c in mine for d in claims[other] if d in rivals[c])
            found.append(Overlap(first=node, second=other, first_claim=one, second_claim=rival))
    return found


class _Folder:
    """A node of the trie of literal prefixes: what is claimed exactly here, and the folders below."""

    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.here: list[PathClaim] = []
        self.below: dict[str, _Folder] = {}

    def all_below(self) -> Iterable[PathClaim]:
        todo = list(self.below.values())
        while todo:
            folder = todo.pop()
            yield from folder.here
            todo.extend(folder.below.values())


def _rivals(claims: Sequence[PathClaim]) -> dict[PathClaim, set[PathClaim]]:
    """What each of the (distinct, writing) claims conflicts with, itself included."""
    rivals: dict[PathClaim, set[PathClaim]] = {claim: set() for claim in claims}
    root = _Folder()
    for claim in claims:
        folder = root
        near = [*root.here]
        for name in parse_glob(claim.path).literal_prefix:
            folder = folder.below.setdefault(name, _Folder())
            near += folder.here
        near.extend(folder.all_below())
        folder.here.append(claim)
        for other in (*near, claim):
            if conflict(claim, other):
                rivals[claim].add(other)
                rivals[other].add(claim)
    return rivals


def paths_outside(paths: Iterable[str], claims: Sequence[PathClaim]) -> list[str]:
    """The paths, in their order, that no writing claim matches: the audit of a diff. Raises `InvalidGlob`."""
    globs = [parse_glob(claim.path) for claim in claims if claim.writes]
    return [path for path in paths if not any(glob.matches(path) for glob in globs)]


def covered(output: str, claims: Sequence[PathClaim]) -> bool:
    """Whether all that an output (a path or a glob) names lies inside the writing claims, taken together.

    Raises `InvalidGlob`, also for the output.
    """
    parse_glob(output)
    return _is_inside(output, tuple(claim.path for claim in claims if claim.writes))


def suggest_claim(output: str) -> str:
    """The claim to add so that an output is covered: all of its folder, or itself at the root.

    Raises `InvalidGlob`.
    """
    glob = parse_glob(output)
    is_path = len(glob.literal_prefix) == len(glob.parts)
    folder = glob.literal_prefix[:-1] if is_path else glob.literal_prefix
    return "/".join((*folder, "**")) if folder else output
