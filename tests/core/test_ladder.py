"""Which beginnings of the line are checked at once: always useful ones, and the best first."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.ladder import Odds, choose_lengths, odds_of
from cli_multi_rapid.core.queue_state import Settled

chances = st.floats(0.01, 0.999)
flakes = st.floats(0.0, 0.3)
odds_strategy = st.builds(lambda good, flake: Odds(good=good, flake=flake), chances, flakes)
STEADY = Odds(good=0.95, flake=0.0)


@given(
    st.integers(0, 40),
    st.sets(st.integers(0, 50), max_size=6),
    st.none() | st.integers(1, 40),
    st.integers(0, 8),
    odds_strategy,
    st.floats(0, 2),
)
def test_the_lengths_are_new_within_the_line_and_no_more_than_there_are_checkers(
    waiting: int, running: set[int], failing: int | None, free: int, odds: Odds, min_gain: float
) -> None:
    chosen = choose_lengths(waiting, running, failing, free, odds, min_gain)
    assert len(chosen) <= free
    assert len(set(chosen)) == len(chosen)
    assert not set(chosen) & running
    assert all(1 <= length <= min(waiting, failing or waiting) for length in chosen)


@given(odds_strategy, st.none() | st.integers(1, 30))
def test_a_longer_beginning_never_passes_more_often(odds: Odds, failing: int | None) -> None:
    passes = [odds.passes(length, failing) for length in range(31)]
    assert all(0.0 <= chance <= 1.0 + 1e-9 for chance in passes)
    assert all(one >= other - 1e-9 for one, other in pairwise(passes))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 8), chances)
def test_without_flakes_what_failed_is_never_taken_again(
    waiting: int, failing: int, free: int, good: float
) -> None:
    chosen = choose_lengths(waiting, (), failing, free, Odds(good=good, flake=0.0), 0.0)
    assert all(length < failing for length in chosen)


def test_a_failure_that_is_most_likely_a_flake_is_tried_again() -> None:
    assert 2 in choose_lengths(2, (), 2, 1, Odds(good=0.999, flake=0.3), 0.1)


def test_one_checker_searches_a_burst_by_parting_what_is_left() -> None:
    """For every possible culprit: a few checks, as bisection needs."""
    for culprit in range(1, 33):
        green, red, checks = 0, 32, 0
        while red - green > 1:
            (length,) = choose_lengths(60 - green, (), red - green, 1, Odds(good=0.97, flake=0.0), 0.0)
            checks += 1
            if green + length >= culprit:
                red = green + length
            else:
                green += length
        assert red == culprit
        assert checks <= 8


def test_each_further_checker_takes_what_adds_most() -> None:
    def landings(lengths: list[int]) -> float:
        steps = sorted(lengths)
        return sum(
            (length - below) * STEADY.passes(length, None)
            for below, length in zip([0, *steps], steps, strict=False)
        )

    ladder = choose_lengths(60, (), None, 4, STEADY, 0.1)
    assert len(ladder) == 4
    for taken in range(4):
        best = max(
            landings([*ladder[:taken], other]) for other in range(1, 61) if other not in ladder[:taken]
        )
        assert landings(ladder[: taken + 1]) == pytest.approx(best)


def test_a_checker_stays_free_rather_than_check_what_adds_next_to_nothing() -> None:
    assert choose_lengths(1, (1,), None, 3, STEADY, 0.1) == []
    assert choose_lengths(3, (3,), None, 1, Odds(good=0.999, flake=0.0), 0.1) == []
    assert choose_lengths(0, (), None, 3, STEADY, 0.0) == []


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.data())
def test_the_odds_follow_what_was_seen(landed: int, failed: int, verdicts: int, data: st.DataObject) -> None:
    flaked = data.draw(st.integers(0, verdicts))
    odds = odds_of(Settled(landed=landed, failed=failed, verdicts=verdicts, flakes=flaked))
    assert 0.0 < odds.good < 1.0
    assert 0.0 <= odds.flake < 1.0
    assert (
        odds_of(Settled(landed=landed + 1, failed=failed)).good
        > odds_of(Settled(landed=landed, failed=failed)).good
    )
    unseen = odds_of(Settled())
    assert unseen.good == pytest.approx(0.95)
    assert unseen.flake == pytest.approx(0.005)
