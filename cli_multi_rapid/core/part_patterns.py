"""The pattern of one path part: `*`, `?`, `[a-z]`, `[!a]` and plain characters, as ranges of code points.

A leading dot is nothing special. `]` stands first in a class to mean itself; `[[]`, `[*]` and `[?]` are the
characters themselves. No part of a path is empty, so that `*` alone is at least one character.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.wildcards import Automaton, Row, automaton_of, follows, rows_meet, tidy

Ranges = tuple[tuple[int, int], ...]
"""A set of characters: sorted, disjoint ranges of code points, both ends included. Never holds a `/`."""

ANY_PART: Final = "*"
_SLASH: Final = ord("/")
_LAST: Final = 0x10FFFF
ANY_CHARACTER: Final[Ranges] = ((0, _SLASH - 1), (_SLASH + 1, _LAST))
_WILDCARDS: Final = frozenset("*?[")


def is_wild(pattern: str) -> bool:
    """Whether the text has wildcards at all."""
    return not _WILDCARDS.isdisjoint(pattern)


def literal_ends(pattern: str) -> tuple[str, str]:
    """The text before the first wildcard and the text after the last; all of it twice when there is none."""
    if not is_wild(pattern):
        return pattern, pattern
    head = min(at for at in map(pattern.find, _WILDCARDS) if at >= 0)
    tail = max(map(pattern.rfind, "*?]")) + 1
    return pattern[:head], pattern[tail:]


@lru_cache(maxsize=16_384)
def characters(pattern: str) -> Row[Ranges]:
    """The pattern as a row of characters. Raises `ValueError` with the reason when it is none."""
    row: list[Ranges | None] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            if row and row[-1] is None:
                raise ValueError("holds ** beside other characters; ** must be a whole part, as in a/**/b")
            row.append(None)
        elif char == "?":
            row.append(ANY_CHARACTER)
        elif char == "[":
            ranges, at = _read_class(pattern, at)
            row.append(ranges)
        else:
            row.append(((ord(char), ord(char)),))
    return tidy([ANY_CHARACTER, None] if row == [None] else row, ANY_CHARACTER)


def _read_class(pattern: str, at: int) -> tuple[Ranges, int]:
    """Read what follows the `[`: the characters, and the place after the `]`."""
    negated = pattern.startswith("!", at)
    at += negated
    end = pattern.find("]", at + 1)
    if end < 0:
        raise ValueError("holds [ without ] in the same part; write [[] for the character")
    body = pattern[at:end]
    if body.startswith("^") and not negated:
        raise ValueError("holds [^; write [!...] for all characters but these")
    if "[:" in body:
        raise ValueError("holds a named class ([:alpha:]), which is not known; write ranges such as [a-z]")
    ranges = list(_read_ranges(body))
    if not negated:
        ranges = list(_all_but(ranges))
    return _all_but([*ranges, (_SLASH, _SLASH)]), end + 1


def _read_ranges(body: str) -> Iterable[tuple[int, int]]:
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


def is_several(ranges: Ranges) -> bool:
    """Whether there is more than one character in the set."""
    return ranges[0][0] != ranges[-1][1]


def _share(one: Ranges, other: Ranges) -> bool:
    return any(low <= top and bottom <= high for low, high in one for bottom, top in other)


def _within(inner: Ranges, outer: Ranges) -> bool:
    return all(any(bottom <= low and high <= top for bottom, top in outer) for low, high in inner)


def passing_character(automaton: Automaton[Ranges], code: int) -> int:
    """The places that a character passes."""
    passing = automaton.fixed.get(((code, code),), 0)
    for ranges, places in automaton.wild.items():
        if any(low <= code <= high for low, high in ranges):
            passing |= places
    return passing


class _Shape(Struct, frozen=True, kw_only=True):
    """What is known of a pattern with wildcards before its automaton is run."""

    head: str
    tail: str
    one_gap: bool
    """`test_*.py`: whatever has the head and the tail is matched."""
    automaton: Automaton[Ranges]


@lru_cache(maxsize=4096)
def _shape(pattern: str) -> _Shape:
    head, tail = literal_ends(pattern)
    automaton = automaton_of([characters(pattern)], is_several)
    return _Shape(head=head, tail=tail, one_gap=pattern == f"{head}*{tail}", automaton=automaton)


def part_matches(pattern: str, part: str) -> bool:
    """Whether the pattern matches a part, which is not empty."""
    if not is_wild(pattern):
        return pattern == part
    shape = _shape(pattern)
    if not (part.startswith(shape.head) and part.endswith(shape.tail)):
        return False
    if shape.one_gap:
        return len(part) >= len(shape.head) + len(shape.tail)
    return _accepts(shape.automaton, part)


def _accepts(automaton: Automaton[Ranges], part: str) -> bool:
    passing: dict[str, int] = {}
    alive = automaton.begin()
    for char in part:
        if (places := passing.get(char)) is None:
            places = passing[char] = passing_character(automaton, ord(char))
        alive = automaton.step(alive, places)
        if not alive:
            return False
    return bool(alive & automaton.ends)


def parts_meet(one: str, other: str) -> bool:
    """Whether two patterns match a part in common."""
    if not is_wild(one):
        return part_matches(other, one)
    if not is_wild(other):
        return part_matches(one, other)
    return ANY_PART in (one, other) or _wild_parts_meet(one, other)


@lru_cache(maxsize=16_384)
def _wild_parts_meet(one: str, other: str) -> bool:
    return rows_meet(characters(one), _shape(other).automaton, is_several, _share)


@lru_cache(maxsize=16_384)
def part_follows(inner: str, outer: str) -> bool:
    """Whether every part that one pattern matches is plainly matched by the other; True is always right."""
    if not is_wild(inner):
        return part_matches(outer, inner)
    return outer == ANY_PART or follows(characters(inner), _shape(outer).automaton, _within)
