"""Globs over the paths of a repository, as claims, scopes and inputs of checks use them.

A glob starts at the repository's root, separates parts by `/` and is case sensitive:

- `*`, `?` and `[...]` stay within one part: `core/part_patterns.py`.
- `**` is a whole part. In the middle it is any number of parts (`a/**/z` matches `a/z` and `a/b/z`), at the
  end one or more (`src/**` matches all below `src`, not a file `src`). A trailing `/` means `/**`.
- Refused, because people read them in two ways: `a**`, `{a,b}`, `[^a]`, `[[:alpha:]]`, a leading `!`.

Matching and overlap are exact. Inclusion is exact up to an effort that plans written by people do not need,
and "no" beyond it. One thing is simplified: when two globs are compared, `.` and `..` count as names, though
no path holds them. Texts may hold the lone surrogates of file names that are not UTF-8.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache, reduce
from itertools import chain
from operator import or_
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.part_patterns import (
    ANY_CHARACTER,
    ANY_PART,
    Ranges,
    characters,
    is_several,
    is_wild,
    literal_ends,
    part_follows,
    part_matches,
    parts_meet,
    passing_character,
)
from cli_multi_rapid.core.wildcards import (
    Automaton,
    Effort,
    Row,
    automaton_of,
    endings,
    follows,
    hardest,
    rows_meet,
    tidy,
)

LONGEST_GLOB: Final = 4096
"""Characters: as long as the longest path that Linux takes. It bounds the work on a hostile pattern."""

_INCLUSION_STEPS: Final = 50_000
"""About a tenth of a second."""

_BRACES: Final = re.compile(r"\{[^{},]*,[^{}]*\}")
_IN_NO_PATH: Final = frozenset(("", ".", ".."))


class InvalidGlob(ValueError):
    """A text that is no glob; `reason` says why and what to write instead."""

    def __init__(self, text: str, reason: str) -> None:
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(f"{shown!r} {reason}")
        self.reason = reason


class Glob(Struct, frozen=True, kw_only=True):
    """A parsed glob; made by `parse_glob` only."""

    text: str
    parts: Row[str]
    """Patterns of parts; None is any number of parts."""
    literal_prefix: tuple[str, ...]
    """The leading parts without wildcards: all that is matched lies at or below them."""
    head: str
    """What every matched path starts with."""
    tail: str
    """What every matched path ends with."""

    def __hash__(self) -> int:
        return hash(self.text)  # all else follows from it

    @property
    def is_path(self) -> bool:
        """Whether it has no wildcards, and so matches one path only."""
        return len(self.literal_prefix) == len(self.parts)

    def matches(self, path: str) -> bool:
        """Whether a path from the repository's root is covered. Nothing covers `./a`, `a//b` or `a/../b`."""
        if self.is_path:
            return path == self.text
        return path.startswith(self.head) and path.endswith(self.tail) and _reads(self.text, path.split("/"))

    def overlaps(self, other: "Glob") -> bool:
        """Whether some path is matched by both. Exact."""
        if not (self.head.startswith(other.head) or other.head.startswith(self.head)):
            return False
        if not (self.tail.endswith(other.tail) or other.tail.endswith(self.tail)):
            return False
        return _globs_meet(*sorted((self.text, other.text)))

    def contains(self, other: "Glob") -> bool:
        """Whether every path of the other glob is one of this. True is always right: see the module."""
        return is_inside(other.text, (self.text,))


@lru_cache(maxsize=16_384)
def parse_glob(text: str) -> Glob:
    """Read a glob; a plain path is one without wildcards. Raises `InvalidGlob`."""
    _refuse_bad_text(text)
    names = text.split("/")
    if names[-1] == "":
        names[-1] = "**"
    for name in names:
        _refuse_bad_part(text, name)
    row = [None if name == "**" else name for name in names]
    if row[-1] is None:
        row.append(ANY_PART)
    fixed = next((at for at, name in enumerate(row) if name is None or is_wild(name)), len(row))
    head, tail = literal_ends("/".join(names))
    return Glob(
        text=text,
        parts=tidy(row, ANY_PART),
        literal_prefix=tuple(names[:fixed]),
        head=head,
        tail=tail.removeprefix("/"),  # `**/z` matches `z` too
    )


def _refuse_bad_text(text: str) -> None:
    if not text:
        raise InvalidGlob(text, "is empty; write ** for the whole repository")
    if len(text) > LONGEST_GLOB:
        raise InvalidGlob(text, f"is longer than {LONGEST_GLOB} characters")
    if not text.isprintable() and any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text):
        raise InvalidGlob(text, "holds a control character")
    if "\\" in text:
        raise InvalidGlob(text, "holds a backslash; / separates parts, and [*] is a literal *")
    if text.startswith("/"):
        raise InvalidGlob(text, "starts with /; write it from the repository's root, without the /")
    if text.startswith("!"):
        raise InvalidGlob(text, "starts with !; nothing is negated here, so name what is meant")
    if _BRACES.search(text):
        raise InvalidGlob(text, "holds {...,...}, which is not expanded; write one for each")


def _refuse_bad_part(text: str, name: str) -> None:
    if name == "":
        raise InvalidGlob(text, "holds an empty part (//)")
    if name == ".":
        raise InvalidGlob(text, "holds a part `.`; leave it out, or write ** for the whole repository")
    if name == "..":
        raise InvalidGlob(text, "holds a part `..`; nothing outside the repository can be named")
    if name != "**" and is_wild(name):
        try:
            characters(name)
        except ValueError as error:
            raise InvalidGlob(text, str(error)) from None


@lru_cache(maxsize=4096)
def _automaton(glob: str) -> Automaton[str]:
    return automaton_of([parse_glob(glob).parts], is_wild)


def _reads(glob: str, path: Sequence[str]) -> bool:
    if not _IN_NO_PATH.isdisjoint(path):
        return False
    automaton = _automaton(glob)
    alive = automaton.begin()
    for part in path:
        passing = automaton.fixed.get(part, 0)
        for pattern, places in automaton.wild.items():
            if alive & places and part_matches(pattern, part):
                passing |= places
        alive = automaton.step(alive, passing)
        if not alive:
            return False
    return bool(alive & automaton.ends)


@lru_cache(maxsize=16_384)
def _globs_meet(one: str, other: str) -> bool:
    return rows_meet(parse_glob(one).parts, _automaton(other), is_wild, parts_meet)


@lru_cache(maxsize=16_384)
def is_inside(inner: str, outers: tuple[str, ...]) -> bool:
    """Whether every path of one glob is matched by one or other of several. Raises `InvalidGlob`."""
    glob = parse_glob(inner)
    near = [other for other in map(parse_glob, outers) if other.overlaps(glob)]
    if not near or glob.is_path:
        return bool(near)
    automaton = automaton_of([other.parts for other in near], is_wild)
    return follows(glob.parts, automaton, part_follows) or _Inclusion(automaton).holds_for(glob.parts)


class _Inclusion:
    """Looks for a path of a glob that some other globs do not match.

    The parts of the glob are tried by cases: which patterns of the other globs match them together. The cases
    are found in the same way one level down, where all these patterns are read at once, by characters.
    """

    __slots__ = ("_by_part", "_by_ranges", "_cuts", "_effort", "_globs", "_parts", "_places")

    def __init__(self, globs: Automaton[str]) -> None:
        self._globs = globs
        self._parts = automaton_of([characters(pattern) for pattern, _ in globs.symbols()], is_several)
        ends = [1 << at for at in range(self._parts.size) if self._parts.ends >> at & 1]
        self._places = list(zip(ends, (places for _, places in globs.symbols()), strict=True))
        # Between two cuts all characters are alike to every pattern.
        ranges = chain.from_iterable(ranges for ranges, _ in self._parts.symbols())
        self._cuts = sorted({cut for low, high in ranges for cut in (low, high + 1)})
        self._effort = Effort(_INCLUSION_STEPS)
        self._by_part: dict[str, list[int]] = {}
        self._by_ranges: dict[Ranges, list[int]] = {}

    def holds_for(self, row: Row[str]) -> bool:
        """Whether there is no such path; False also when telling would take too long."""
        return 0 not in endings(row, self._globs, ANY_PART, self._part_cases, self._effort)

    def _part_cases(self, pattern: str) -> Sequence[int]:
        if pattern not in self._by_part:
            ends = endings(
                characters(pattern), self._parts, ANY_CHARACTER, self._character_cases, self._effort
            )
            self._by_part[pattern] = hardest(map(self._passing, ends))
        return self._by_part[pattern]

    def _passing(self, ends: int) -> int:
        """The places in the globs of the patterns that came to their ends."""
        return reduce(or_, (places for end, places in self._places if ends & end), 0)

    def _character_cases(self, ranges: Ranges) -> Sequence[int]:
        if ranges not in self._by_ranges:
            codes = [
                code
                for low, high in ranges
                for code in (low, *self._cuts[bisect_right(self._cuts, low) : bisect_right(self._cuts, high)])
            ]
            self._by_ranges[ranges] = hardest(passing_character(self._parts, code) for code in codes)
        return self._by_ranges[ranges]
