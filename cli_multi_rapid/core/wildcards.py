"""Wildcard patterns over any alphabet: rows of symbols and gaps, and the bitset automaton that reads them.

A row is a pattern: each symbol stands for one letter out of a set, a gap for any run of letters, also none.
The same code reads characters (the pattern of one path part) and parts (a glob): the caller says which
symbols are several letters, which of them meet, and which lie within which.

Reading and meeting take polynomial time, as all places of a row are followed at once in the bits of an int.
Inclusion may need exponentially many sets of places: it comes as a quick proof that most inclusions have, and
as an exact search with a limit.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

from msgspec import Struct

S = TypeVar("S", bound=Hashable)

Row = tuple[S | None, ...]
"""Symbols in order; None is a gap. Never two gaps side by side, and no gap before an any-symbol: `tidy`."""


def tidy(row: Sequence[S | None], anything: S) -> Row[S]:
    """The same language in one form: in a run of gaps and any-symbols first the symbols, then one gap."""
    ordered: list[S | None] = []
    for symbol in row:
        after_gap = bool(ordered) and ordered[-1] is None
        if after_gap and symbol == anything:
            ordered.insert(-1, symbol)
        elif not (after_gap and symbol is None):
            ordered.append(symbol)
    return tuple(ordered)


class Automaton(Struct, Generic[S], frozen=True, kw_only=True):
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

    @property
    def size(self) -> int:
        """The number of places."""
        return self.ends.bit_length()

    def begin(self) -> int:
        """The places alive before the first letter."""
        return self._over_gaps(self.start)

    def step(self, alive: int, passing: int) -> int:
        """Read one letter, which the symbols at the places `passing` accept."""
        return self._over_gaps(((alive & passing) << 1) | (alive & self.gaps))

    def _over_gaps(self, alive: int) -> int:
        return alive | ((alive & self.gaps) << 1)

    def symbols(self) -> Iterable[tuple[S, int]]:
        """All symbols with their places."""
        return chain(self.fixed.items(), self.wild.items())


def automaton_of(rows: Iterable[Row[S]], is_wild: Callable[[S], bool]) -> Automaton[S]:
    """The automaton that reads some tidy rows, told which symbols are several letters."""
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
    return Automaton(fixed=fixed, wild=wild, gaps=gaps, start=start, ends=ends)


def rows_meet(
    row: Row[S], automaton: Automaton[S], is_wild: Callable[[S], bool], meet: Callable[[S, S], bool]
) -> bool:
    """Whether the row and the automaton's one row share a word: their product, all places at a time."""
    alive = automaton.begin()
    for symbol in row:
        if symbol is None:
            # The gap reads whatever leads the other row on: all places from the first one alive.
            alive = -(alive & -alive) & (2 * automaton.ends - 1)
            continue
        passing = automaton.fixed.get(symbol, 0)
        for other, places in automaton.symbols() if is_wild(symbol) else automaton.wild.items():
            if alive & places & ~passing and meet(symbol, other):
                passing |= places
        alive = automaton.step(alive, passing)
        if not alive:
            return False
    return bool(alive & automaton.ends)


def follows(row: Row[S], automaton: Automaton[S], within: Callable[[S, S], bool]) -> bool:
    """Whether gaps of the row fit in gaps, symbols in symbols or gaps: then all its words are accepted."""
    alive = automaton.begin()
    for symbol in row:
        passing = 0
        if symbol is not None:
            for other, places in automaton.symbols():
                if alive & places and within(symbol, other):
                    passing |= places
        alive = automaton.step(alive, passing)
        if not alive:
            return False
    return bool(alive & automaton.ends)


class Effort:
    """What a search may still spend."""

    __slots__ = ("_left",)

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int, automaton: Automaton[S]) -> bool:
        """Pay for some steps, which cost more the wider the automaton is; whether that was affordable."""
        self._left -= steps * (1 + automaton.size // 512)
        return self._left >= 0


def endings(
    row: Row[S], automaton: Automaton[S], anything: S, cases: Callable[[S], Sequence[int]], effort: Effort
) -> set[int]:
    """The sets of ends that words of the row reach; {0} when some word reaches none or the effort is spent.

    `cases` gives, for a symbol of the row, the places that each of its letters passes. Letters that pass the
    same places are one case, and one that passes more than another need not be given: see `hardest`.
    """
    found: set[int] = set()
    seen = {(0, automaton.begin())}
    todo = list(seen)
    while todo:
        at, alive = todo.pop()
        if at == len(row):
            found.add(alive & automaton.ends)
            continue
        symbol = row[at]
        passings = cases(anything if symbol is None else symbol)
        if not effort.spend(len(passings), automaton):
            return {0}
        reached = {(at + (symbol is not None), automaton.step(alive, passing)) for passing in passings}
        if symbol is None:
            reached.add((at + 1, alive))
        if any(not places for _, places in reached):
            return {0}
        todo.extend(reached - seen)
        seen |= reached
    return found


def hardest(cases: Iterable[int]) -> list[int]:
    """The cases that include no other; all of them, where sorting that out would cost more than it saves."""
    distinct = sorted(set(cases), key=int.bit_count)
    if len(distinct) > 512:
        return distinct
    kept: list[int] = []
    for case in distinct:
        if all(smaller & ~case for smaller in kept):
            kept.append(case)
    return kept
