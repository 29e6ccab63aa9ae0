"""What a check is worth: always something possible, more for what is likelier, and the best first."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.ladder import Odds, beginning, odds_of, screen, search
from cli_multi_rapid.core.queue_records import Settled

chances = st.floats(0.01, 0.999)
flakes = st.floats(0.0, 0.3)
odds_strategy = st.builds(lambda good, flake: Odds(good=good, flake=flake), chances, flakes)
STEADY = Odds(good=0.95, flake=0.0)


def fresh(count: int, odds: Odds = STEADY) -> list[float]:
    """The chances of the beginnings of a line of which nothing is known."""
    return odds.beginnings([False] * count)


@given(st.lists(st.booleans(), max_size=40), st.sets(st.integers(0, 50), max_size=6), odds_strategy)
def test_a_beginning_is_new_and_within_the_line(line: list[bool], running: set[int], odds: Odds) -> None:
    worth = beginning(odds.beginnings(line), running)
    assert 0 <= worth.length <= len(line)
    assert worth.length not in running or worth.value == 0.0
    assert worth.value <= len(line)


@given(st.lists(st.booleans(), max_size=40), odds_strategy)
def test_a_longer_beginning_never_passes_more_often(line: list[bool], odds: Odds) -> None:
    passes = odds.beginnings(line)
    assert len(passes) == len(line) + 1
    assert all(0.0 <= chance <= 1.0 + 1e-9 for chance in passes)
    assert all(one >= other for one, other in pairwise(passes))


@given(odds_strategy, st.integers(2, 40), st.integers(0, 50))
def test_a_search_takes_a_part_and_leaves_a_part(odds: Odds, failing: int, overtaken: int) -> None:
    worth = search(failing, overtaken, odds)
    assert 1 <= worth.length < failing
    assert 0.0 < worth.value <= failing * (1 + overtaken / 8)
    parts = [odds.part_passes(part, failing) for part in range(1, failing + 1)]
    assert all(one >= other - 1e-9 for one, other in pairwise(parts))


def test_one_checker_finds_a_culprit_by_parting_what_is_left() -> None:
    """For every possible culprit: a few checks, as bisection needs."""
    for culprit in range(32):
        suspects, checks = list(range(32)), 0
        while len(suspects) > 1:
            part = suspects[: search(len(suspects), 0, Odds(good=0.97, flake=0.0)).length]
            checks += 1
            suspects = part if culprit in part else suspects[len(part) :]
        assert suspects == [culprit]
        assert checks <= 8


def test_a_group_that_many_overtake_becomes_more_important() -> None:
    assert search(1, 8, STEADY).value == 2 * search(1, 0, STEADY).value
    assert search(5, 80, STEADY).value > screen(60, STEADY).value


def test_each_further_checker_takes_what_adds_most() -> None:
    def landings(lengths: list[int]) -> float:
        steps = sorted(lengths)
        passes = fresh(60)
        return sum(
            (length - below) * passes[length] for below, length in zip([0, *steps], steps, strict=False)
        )

    taken: list[int] = []
    for _ in range(4):
        worth = beginning(fresh(60), taken)
        best = max(landings([*taken, other]) for other in range(1, 61) if other not in taken)
        assert landings([*taken, worth.length]) == pytest.approx(best)
        assert worth.value == pytest.approx(best - landings(taken))
        taken.append(worth.length)


def test_what_is_vouched_for_goes_with_the_train_though_others_may_fail() -> None:
    unsure, sure = fresh(40), STEADY.beginnings([True] * 40)
    assert beginning(sure, ()).length == 40
    assert beginning(unsure, ()).length < 30


def test_a_screen_is_as_long_as_lands_most_and_counts_less_than_a_landing() -> None:
    assert screen(60, STEADY).length == beginning(fresh(60), ()).length
    assert screen(60, STEADY).value < beginning(fresh(60), ()).value
    assert screen(0, STEADY).length == 0


@pytest.mark.parametrize(
    ("flake", "retries", "times"),
    [
        (0.0, 0, 1),
        (0.3, 0, 1),
        (0.0, 1, 2),
        (0.005, 1, 2),
        (0.014, 1, 2),
        (0.015, 1, 3),
        (0.05, 1, 3),
        (0.0, 4, 5),
    ],
)
def test_an_entry_must_fail_so_often_that_flakes_alone_hardly_ever_put_it_out(
    flake: float, retries: int, times: int
) -> None:
    assert Odds(good=0.95, flake=flake).failures_needed(retries) == times


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.data())
def test_the_odds_follow_what_was_seen(landed: int, failed: int, verdicts: int, data: st.DataObject) -> None:
    flaked = data.draw(st.integers(0, verdicts))
    odds = odds_of(Settled(landed=landed, failed=failed, verdicts=verdicts, flakes=flaked))
    assert 0.0 < odds.good < 1.0
    assert 0.0 <= odds.flake <= 0.5
    assert odds.good <= odds.vouched < 1.0
    assert (
        odds_of(Settled(landed=landed + 1, failed=failed)).good
        > odds_of(Settled(landed=landed, failed=failed)).good
    )
    unseen = odds_of(Settled())
    assert unseen.good == pytest.approx(0.95)
    assert unseen.flake == pytest.approx(0.005)
