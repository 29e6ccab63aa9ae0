"""The prefix ladder: which beginnings of the line to check at once.

One rule for speculation, batching and bisection. With g the chance that one entry is good, the first k of
the line pass together with the chance P(k) = g^k. When the first h are known to fail, it is
(g^k - g^h) / (1 - g^h) for k < h. A failure may also be a flake: phi is the chance of that, given the
failure; then every prefix of h passes, h itself too. With f the flake rate:

    P(k | h failed) = ((1 - phi) * (g^k - g^h) / (1 - g^h) + phi) * (1 - f)      and  P(h) = phi * (1 - f)
    phi = f * g^h / (f * g^h + 1 - g^h)

Checking lengths k1 < k2 < ... lands an expected sum((k_i - k_{i-1}) * P(k_i)); each free checker takes the
length that adds most to that sum, as long as it adds enough.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cli_multi_rapid.core.queue_state import Settled

_PRIOR_FAILED, _PRIOR_LANDED = 1.0, 19.0
"""Before there is any history, one entry in twenty fails."""
_PRIOR_FLAKES, _PRIOR_VERDICTS = 0.5, 100.0
"""Before there is any history, one verdict in two hundred is a flake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How often things go well: `good` of one entry, `flake` of one check that should have passed."""

    good: float
    flake: float

    def passes(self, length: int, failing: int | None) -> float:
        """The chance that a candidate of this length passes, when the first `failing` entries failed."""
        steady = 1.0 - self.flake
        if failing is None:
            return self.good**length * steady
        together = self.good**failing
        by_flake = self.flake * together / (self.flake * together + 1.0 - together)
        if length >= failing:
            return by_flake * steady
        really = (self.good**length - together) / (1.0 - together)
        return ((1.0 - by_flake) * really + by_flake) * steady


def odds_of(history: Settled) -> Odds:
    """The running estimate from what a queue has seen, drawn towards the prior while that is little."""
    failed = history.failed + _PRIOR_FAILED
    flaked = history.flakes + _PRIOR_FLAKES
    return Odds(
        good=1.0 - failed / (failed + history.landed + _PRIOR_LANDED),
        flake=flaked / (history.verdicts + _PRIOR_VERDICTS),
    )


def choose_lengths(
    waiting: int, running: Iterable[int], failing: int | None, free: int, odds: Odds, min_gain: float
) -> list[int]:
    """The prefix lengths for the free checkers, the most useful first.

    `waiting`: how many entries are in line. `running`: the lengths under check. `failing`: the shortest
    length known to fail; taking it again means to suspect a flake. `min_gain`: what a check must add to the
    expected number of landings to be worth a checker.
    """
    longest = waiting if failing is None else min(waiting, failing)
    chances = [odds.passes(length, failing) for length in range(longest + 1)]
    taken = sorted({length for length in running if 0 < length <= longest})
    chosen: list[int] = []
    for _ in range(free):
        gains = ((_gain(length, taken, chances), length) for length in range(1, longest + 1))
        gain, length = max(gains, default=(0.0, 0))
        if gain <= 0.0 or gain < min_gain:
            break
        chosen.append(length)
        taken = sorted([*taken, length])
    return chosen


def _gain(length: int, taken: Sequence[int], chances: Sequence[float]) -> float:
    """What checking one more length adds to the expected number of landings."""
    if length in taken:
        return 0.0
    below = max((other for other in taken if other < length), default=0)
    above = min((other for other in taken if other > length), default=None)
    return (length - below) * (chances[length] - (chances[above] if above is not None else 0.0))
