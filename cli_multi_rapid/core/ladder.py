"""What a check of several entries at once is worth: the odds behind every candidate.

With g the chance that one entry is good and f the chance that a check fails which should have passed, k
entries pass together with the chance P(k) = g^k * (1 - f). Entries that are vouched for (they passed once, on
an older tip) count with a chance of their own. When n entries are known to fail together, k of them pass with
the chance (g^k - g^n) / (1 - g^n); the failure may also have been a flake, with the chance phi, and then all
of them pass:

    phi = f * g^n / (f * g^n + 1 - g^n)

Three kinds of candidates compete for a checker:

- A *beginning of the line*. Checking the lengths k1 < k2 < ... lands an expected
  sum((k_i - k_{i-1}) * P(k_i)); one more length is worth what it adds to that sum.
- A *screen*: entries that no candidate holds, as many as make k * P(k) greatest. Its members land with the
  train after it, so it counts for a little less than a landing.
- A *search* in a group that failed together: the part whose verdict is most uncertain. A pass clears that
  part, a failure clears the rest.
"""

from collections.abc import Iterable, Sequence
from math import ceil, log

from msgspec import Struct

from cli_multi_rapid.core.queue_records import Settled

_PRIOR_FAILED, _PRIOR_LANDED = 1.0, 19.0
"""Before there is any history, one entry in twenty fails."""
_PRIOR_FLAKES, _PRIOR_VERDICTS = 0.5, 100.0
"""Before there is any history, one verdict in two hundred is a flake."""
_VOUCHED_FOR = 0.1
"""How much of the usual risk is left in an entry that passed on an older tip."""
_SCREENED = 0.7
"""What a cleared entry counts for beside one that lands: it needs one more check, with others."""
_OVERTAKEN = 8.0
"""A group counts as much again for so many entries that land before it."""
_INNOCENT_OUT = 0.0002
"""How rarely flakes alone may put an innocent entry out of the queue."""


class Odds(Struct, frozen=True, kw_only=True):
    """How often things go well: `good` of one entry, `flake` of one check that should have passed."""

    good: float
    flake: float

    @property
    def vouched(self) -> float:
        """The chance that an entry that passed on an older tip is good on this one."""
        return 1.0 - _VOUCHED_FOR * (1.0 - self.good)

    def beginnings(self, vouched: Sequence[bool]) -> list[float]:
        """The chance of each beginning of a line, the empty one first; `vouched` tells of each entry."""
        chances = [1.0 - self.flake]
        for sure in vouched:
            chances.append(chances[-1] * (self.vouched if sure else self.good))
        return chances

    def by_flake(self, failing: int) -> float:
        """The chance that nobody is at fault of so many entries that failed together."""
        together = self.good**failing
        return self.flake * together / (self.flake * together + 1.0 - together)

    def part_passes(self, part: int, failing: int) -> float:
        """The chance that so many of the entries pass that failed together."""
        together, by_flake = self.good**failing, self.by_flake(failing)
        really = (self.good**part - together) / (1.0 - together)
        return ((1.0 - by_flake) * really + by_flake) * (1.0 - self.flake)

    def failures_needed(self, retries: int) -> int:
        """How often an entry must fail alone before it is out; `retries` is what the user asked for at least.

        So often that flakes alone do it to fewer than one innocent in five thousand: twice while one check in
        70 is a flake, three times up to one in 17. Without any retry, the first failure counts.
        """
        if retries == 0:
            return 1
        return max(1 + retries, ceil(log(_INNOCENT_OUT) / log(self.flake)) if self.flake > 0.0 else 1)


def odds_of(history: Settled) -> Odds:
    """The running estimate from what a queue has seen, drawn towards the prior while that is little."""
    failed = history.failed + _PRIOR_FAILED
    flaked = history.flakes + _PRIOR_FLAKES
    return Odds(
        good=1.0 - failed / (failed + history.landed + _PRIOR_LANDED),
        flake=min(0.5, flaked / (history.verdicts + _PRIOR_VERDICTS)),
    )


class Worth(Struct, frozen=True, kw_only=True):
    """So many entries checked together are worth so many expected landings."""

    length: int
    value: float


NOTHING = Worth(length=0, value=0.0)


def beginning(chances: Sequence[float], running: Iterable[int]) -> Worth:
    """The length that adds most to what the running ones land; `chances` as of `Odds.beginnings`."""
    taken = sorted({length for length in running if 0 < length < len(chances)})
    worths = (Worth(length=k, value=_added(k, taken, chances)) for k in range(1, len(chances)))
    return max(worths, key=lambda worth: worth.value, default=NOTHING)


def screen(waiting: int, odds: Odds) -> Worth:
    """How many of the entries that nobody holds to check together, beside the line."""
    chances = odds.beginnings([False] * waiting)
    worths = (Worth(length=k, value=_SCREENED * k * chances[k]) for k in range(1, waiting + 1))
    return max(worths, key=lambda worth: worth.value, default=NOTHING)


def search(failing: int, overtaken: int, odds: Odds) -> Worth:
    """Which part of a group that failed together to check; a single one is tried again alone."""
    weight = 1.0 + overtaken / _OVERTAKEN
    if failing == 1:
        return Worth(length=1, value=weight)
    length = min(range(1, failing), key=lambda k: abs(odds.part_passes(k, failing) - 0.5))
    passes = odds.part_passes(length, failing)
    cleared = passes * length + (1.0 - passes) * (failing - length)
    return Worth(length=length, value=weight * _SCREENED * cleared)


def _added(length: int, taken: Sequence[int], chances: Sequence[float]) -> float:
    """What checking one more length adds to the expected number of landings."""
    if length in taken:
        return 0.0
    below = max((other for other in taken if other < length), default=0)
    above = min((other for other in taken if other > length), default=None)
    return (length - below) * (chances[length] - (chances[above] if above is not None else 0.0))
