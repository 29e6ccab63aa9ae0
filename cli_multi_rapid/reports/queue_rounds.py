"""The rounds in which a line is worked off: in how many is each place decided, with what chance? Pure.

The line is played through many times, with dice that fall alike each time it is asked: which entries are at
fault, and which checks are flakes, is drawn from the odds. The plays follow `core.candidate_choice` with the
values of `core.ladder`, and leave out what it does for dependencies, conflicts and urgent entries. In a round
all candidates begin and end together: of those that pass on the present tip the longest lands, and the others
are vouched for; those that fail together are set aside and searched; one that is left alone is out after as
many failures as the policy wants.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from math import ceil, sqrt
from random import Random
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.ladder import NOTHING, Odds, Worth, beginning, screen, search
from cli_multi_rapid.core.queue_intents import QueueLimits

_PLAYS: Final = 100
"""How often the line is played through: `queue list` answers at once, and one play in ten is still ten."""
_FOLLOWED: Final = 64
"""So many places are followed one by one. Those behind keep their pace: luck has evened out by then."""

Places = tuple[int, ...]
"""Places in line, counted from 0."""


class Candidate(Struct, frozen=True, kw_only=True):
    """Entries that are checked together. `stale`: on a tip that was left behind, so that it cannot land."""

    places: Places
    stale: bool = False


class Suspects(Struct, frozen=True, kw_only=True):
    """Entries that failed together. `overtaken`: how many have landed since."""

    places: Places
    overtaken: int = 0


class Standing(Struct, frozen=True, kw_only=True):
    """What is known of the entries in line."""

    vouched: frozenset[int] = frozenset()
    """Those that passed on a tip that was left behind."""
    groups: tuple[Suspects, ...] = ()


FRESH: Final = Standing()
"""Nothing is known of anybody."""


class Rounds:
    """The rounds of one line of `length` entries, of which some candidates are under check already."""

    def __init__(
        self, length: int, start: Standing, running: Sequence[Candidate], odds: Odds, limits: QueueLimits
    ) -> None:
        self._length = length
        self._followed = min(length, _FOLLOWED)
        self._start = Standing(
            vouched=frozenset(place for place in start.vouched if place < self._followed),
            groups=tuple(
                Suspects(places=near, overtaken=group.overtaken)
                for group in start.groups
                if (near := self._near(group.places))
            ),
        )
        self._running = [
            Candidate(places=near, stale=one.stale) for one in running if (near := self._near(one.places))
        ]
        self._table = _Table(odds, limits)
        self.first: list[Candidate] = _Play(self._followed, self._start, self._table).take(self._running)
        """What is under check in the present round, and what the free checkers will take."""

    def until_decided(self, *shares: float) -> list[list[float]]:
        """For each chance that is asked for, the lowest first, and each place from the head: how many rounds.

        After so many rounds the entry at that place is decided with that chance.
        """
        dice = Random(0)  # noqa: S311  # nosec B311  # no secret: the same line gets the same answer
        plays = [
            _Play(self._followed, self._start, self._table).decided(self.first, dice) for _ in range(_PLAYS)
        ]
        of_places = [sorted(numbers) for numbers in zip(*plays, strict=True)]
        near = [list(_rising(of_places, share)) for share in shares]
        behind = [place / self._followed for place in range(self._followed + 1, self._length + 1)]
        pace = near[0][-1] if near[0] else 0
        return [[*found, *(pace * far + (found[-1] - pace) * sqrt(far) for far in behind)] for found in near]

    def _near(self, places: Places) -> Places:
        return tuple(place for place in places if place < self._followed)


def _rising(of_places: Sequence[Sequence[int]], share: float) -> Iterator[int]:
    """The quantile of each place, and never less than of those ahead."""
    highest = 0
    for numbers in of_places:
        highest = max(highest, numbers[ceil(share * len(numbers)) - 1])
        yield highest


class _Table:
    """What candidates are worth, looked up again in every play."""

    def __init__(self, odds: Odds, limits: QueueLimits) -> None:
        self.odds, self.limits = odds, limits
        self.failures_needed = odds.failures_needed(limits.retry_flaky)
        self.beginning = cache(self._beginning)
        self.screen = cache(self._screen)
        self.search = cache(self._search)

    def _beginning(self, vouched: tuple[bool, ...], running: tuple[int, ...]) -> Worth:
        return beginning(self.odds.beginnings(vouched), running)

    def _screen(self, waiting: int) -> Worth:
        return screen(waiting, self.odds)

    def _search(self, failing: int, overtaken: int) -> Worth:
        return search(failing, overtaken, self.odds)


class _Play:
    """One course of events."""

    def __init__(self, length: int, start: Standing, table: _Table) -> None:
        self._table = table
        self._waiting = list(range(length))
        self._vouched = set(start.vouched)
        self._groups = list(start.groups)
        self._failures = {group.places[0]: 1 for group in start.groups if len(group.places) == 1}
        self._at_fault: set[int] = set()
        self._decided = [0] * length

    def decided(self, first: Sequence[Candidate], dice: Random) -> list[int]:
        """The round in which each place is decided; `first` is under check in the first one."""
        self._draw(dice)
        taken, number = first, 0
        while self._waiting:
            number += 1
            passed = [
                one
                for one in taken
                if dice.random() >= self._table.odds.flake and self._at_fault.isdisjoint(one.places)
            ]
            failed = [one for one in taken if one not in passed]
            gone = [*self._land_and_vouch(passed), *self._suspect(failed)]
            for place in gone:
                self._decided[place] = number
            self._waiting = [place for place in self._waiting if not self._decided[place]]
            taken = self.take([])
        return self._decided

    def _draw(self, dice: Random) -> None:
        """Who is at fault: of those that failed together at least one, unless it was a flake."""
        odds = self._table.odds
        bad = {
            place
            for place in self._waiting
            if dice.random() >= (odds.vouched if place in self._vouched else odds.good)
        }
        for places in (group.places for group in self._groups):
            bad.difference_update(places)
            if dice.random() >= odds.by_flake(len(places)):
                (first,) = dice.choices(
                    range(len(places)), [odds.good**ahead for ahead in range(len(places))]
                )
                bad.add(places[first])
                bad.update(place for place in places[first + 1 :] if dice.random() >= odds.good)
        self._at_fault = bad

    # --- what the checkers take -----------------------------------------------------------------------------

    def take(self, running: Sequence[Candidate]) -> list[Candidate]:
        """What is under check when the free checkers have taken what is worth most."""
        taken, limits = list(running), self._table.limits
        while len(taken) < limits.workers:
            value, places = max(self._proposals(taken), default=(0.0, ()))
            if value <= 0.0 or (taken and value < limits.min_gain):
                break
            taken.append(Candidate(places=places))
        return taken

    def _proposals(self, taken: Sequence[Candidate]) -> Iterator[tuple[float, Places]]:
        held = {place for one in taken for place in one.places}
        suspects = {place for group in self._groups for place in group.places}
        fresh = [p for p in self._waiting if not (p in held or p in suspects or p in self._vouched)]
        yield self._train(taken, fresh, suspects)
        found = self._table.screen(min(len(fresh), self._table.limits.batch))
        yield found.value, tuple(fresh[: found.length])
        for group in self._groups:
            if held.isdisjoint(group.places):
                found = self._table.search(len(group.places), group.overtaken)
                yield found.value, group.places[: found.length]

    def _train(
        self, taken: Sequence[Candidate], fresh: Sequence[int], suspects: set[int]
    ) -> tuple[float, Places]:
        """A beginning of the line, of which the vouched ones are the head."""
        current = [one.places for one in taken if not one.stale]
        trusted = [places for places in current if suspects.isdisjoint(places)]
        head = min((places[0] for places in trusted), default=None)
        trunk = max((places for places in trusted if places[0] == head), key=len, default=())
        now = {place for places in current for place in places}
        sure = [place for place in self._waiting if place in self._vouched and place not in now]
        whole = (*trunk, *sure, *fresh)[: self._table.limits.batch]
        running = tuple(len(places) for places in current if places == whole[: len(places)])
        found = self._table.beginning(tuple(place in self._vouched for place in whole), running)
        return (found.value, whole[: found.length]) if found is not NOTHING else (0.0, ())

    # --- what follows ---------------------------------------------------------------------------------------

    def _land_and_vouch(self, passed: Sequence[Candidate]) -> Places:
        """The longest that can land does; the others that pass are vouched for."""
        landed = max((one.places for one in passed if not one.stale), key=len, default=())
        cleared = {place for one in passed for place in one.places}
        self._vouched |= cleared
        for group in list(self._groups):
            self._groups.remove(group)
            rest = tuple(place for place in group.places if place not in cleared)
            if len(rest) == 1 < len(group.places):
                self._failures[rest[0]] = 1
            if rest:
                self._groups.append(Suspects(places=rest, overtaken=group.overtaken + len(landed)))
        for place in landed:
            self._decided[place] = -1  # not a suspect any more, whatever else fails
        return landed

    def _suspect(self, failed: Sequence[Candidate]) -> Iterator[int]:
        """Those that fail together are set aside, the fewest first; who is out is given back."""
        split: list[set[int]] = []
        for one in sorted(failed, key=lambda candidate: len(candidate.places)):
            rest = [place for place in one.places if not self._decided[place]]
            unsure = tuple(place for place in rest if place not in self._vouched) or tuple(rest)
            if not unsure or any(known <= set(unsure) for known in split):
                continue
            split.append(set(unsure))
            if len(unsure) == 1:
                self._failures[unsure[0]] = self._failures.get(unsure[0], 0) + 1
            before = [group for group in self._groups if not set(unsure).isdisjoint(group.places)]
            self._groups = [group for group in self._groups if group not in before]
            if len(unsure) == 1 and self._failures[unsure[0]] >= self._table.failures_needed:
                yield unsure[0]
                continue
            self._vouched.difference_update(unsure)
            overtaken = max((group.overtaken for group in before), default=0)
            self._groups.append(Suspects(places=unsure, overtaken=overtaken))
