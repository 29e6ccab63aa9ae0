"""The rounds in which a line is worked off, and how likely each standing is after each of them. Pure.

In a round the checkers try the beginnings of the line that `core.ladder` chooses. The longest that passes
lands; the shortest that fails narrows the search; an entry that is left alone is tried once more and leaves,
one way or the other. How likely each outcome is follows from the odds. That is a chain over (entries that
have left the line, shortest beginning known to fail), and one walk along it says for every place in line
after how many rounds it is decided, with any chance that is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import sqrt
from typing import Final

from cli_multi_rapid.core.ladder import Odds, choose_lengths
from cli_multi_rapid.core.queue_intents import (
    QueueLimits,
)

_NEGLIGIBLE: Final = 1e-4
"""A course of events less likely than this is not followed any further."""
_FOLLOWED: Final = 64
"""So many places are followed one by one. Those behind keep their pace: luck has evened out by then."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a line may stand after some rounds."""

    left: int = 0
    """Entries that have left it."""
    failing: int | None = None
    """The length of the shortest beginning known to fail."""
    retested: bool = False
    """Whether it failed a second time: then it was no flake."""


FRESH: Final = Standing()
"""Nobody has left, and nothing is known to fail."""


class Rounds:
    """The rounds of one line of `length` entries; `running` are the lengths that are under check."""

    def __init__(
        self, length: int, start: Standing, running: Sequence[int], odds: Odds, limits: QueueLimits
    ) -> None:
        self._length = length
        self._followed = min(length, _FOLLOWED)
        self._start = start
        self._given = odds
        self._limits = limits
        self._choose = cache(self._choose_lengths)
        self.first = self._first_lengths(running)
        """The lengths that are tried in the present round."""

    def until_decided(self, *shares: float) -> list[list[float]]:
        """For each chance that is asked for, the lowest first, and each place from the head: how many rounds.

        After so many rounds the entry at that place is decided with that chance.
        """
        near = self._first_places(shares)
        behind = [place / self._followed for place in range(self._followed + 1, self._length + 1)]
        pace = near[0][-1] if near[0] else 0
        return [[*found, *(pace * far + (found[-1] - pace) * sqrt(far) for far in behind)] for found in near]

    def _first_places(self, shares: Sequence[float]) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in shares]
        for number, standings in enumerate(self._walk(), 1):
            for share, places in zip(shares, found, strict=True):
                reached = min(_lower_bound(standings, share), self._followed)
                places.extend([number] * (reached - len(places)))
            if all(len(places) >= self._followed for places in found):
                break
        return found

    def _walk(self) -> Iterator[dict[Standing, float]]:
        """How likely each standing is after each round, without end."""
        standings = {self._start: 1.0}
        lengths: tuple[int, ...] | None = self.first
        while True:
            following: dict[Standing, float] = {}
            for standing, chance in standings.items():
                for after, share_of_it in self._after_round(standing, lengths):
                    following[after] = following.get(after, 0.0) + chance * share_of_it
            standings = {at: chance for at, chance in following.items() if chance > _NEGLIGIBLE}
            lengths = None
            yield standings

    def _after_round(
        self, standing: Standing, lengths: tuple[int, ...] | None
    ) -> Iterator[tuple[Standing, float]]:
        """Every outcome of one round with its chance."""
        if standing.left >= self._followed:
            yield standing, 1.0
            return
        if standing.failing == 1:  # it is tried once more, and leaves the line one way or the other
            yield Standing(left=standing.left + 1), 1.0
            return
        tried = lengths or self._choose(
            min(self._length - standing.left, self._limits.batch), standing.failing, standing.retested
        )
        odds = self._odds(standing.retested)
        passes = [1.0, *(odds.passes(length, standing.failing) for length in tried), 0.0]
        for index, length in enumerate((0, *tried)):
            chance = passes[index] - passes[index + 1]
            if chance > 0.0:
                failed = tried[index] if index < len(tried) else standing.failing
                yield _advanced(standing, length, failed), chance

    def _odds(self, retested: bool) -> Odds:
        return replace(self._given, flake=0.0) if retested else self._given

    def _choose_lengths(self, waiting: int, failing: int | None, retested: bool) -> tuple[int, ...]:
        workers, least = self._limits.workers, self._limits.min_gain
        chosen = choose_lengths(waiting, (), failing, workers, self._odds(retested), least)
        return tuple(sorted(chosen)) or (1,)

    def _first_lengths(self, running: Sequence[int]) -> tuple[int, ...]:
        """What is under check, and what the free checkers will take."""
        waiting, limits = min(self._length, self._limits.batch), self._limits
        free = max(0, limits.workers - len(running))
        odds = self._odds(self._start.retested)
        added = choose_lengths(waiting, running, self._start.failing, free, odds, limits.min_gain)
        return tuple(sorted({*running, *added})) or (1,)


def _advanced(standing: Standing, landed: int, failed: int | None) -> Standing:
    """After `landed` entries have landed and the beginning of length `failed` is known to fail."""
    known = failed is not None and failed > landed
    again = known and failed == standing.failing and landed == 0
    return Standing(
        left=standing.left + landed,
        failing=failed - landed if known and failed is not None else None,
        retested=again,
    )


def _lower_bound(standings: Mapping[Standing, float], share: float) -> int:
    """The most entries that have left the line with at least this chance."""
    reached, total = 0.0, sum(standings.values())
    for standing in sorted(standings, key=lambda at: at.left, reverse=True):
        reached += standings[standing]
        if reached >= share * total:  # courses that are not followed any further are left out of account
            return standing.left
    return 0
