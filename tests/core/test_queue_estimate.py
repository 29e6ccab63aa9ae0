"""How long a wait in a queue will be: only from what was measured, and no shorter further back."""

from datetime import timedelta
from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import CheckId, EntryId, Tree
from cli_multi_rapid.core.ladder import Odds
from cli_multi_rapid.core.merge_events import CheckFinished, MergeHalted, MergeSplit
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.verdicts import verdict_key
from cli_multi_rapid.reports.queue_estimate import (
    Estimate,
    Line,
    Pace,
    Running,
    cost_of_urgency,
    estimate_line,
    measured,
    outlook_of,
    trees_under_check,
)
from cli_multi_rapid.reports.queue_rounds import Standing, Suspects
from tests.examples import examples
from tests.fakes.queue_world import TESTS, QueueWorld
from tests.fakes.random_queues import LINT, add, queue_world

UNIT, SLOW = CheckId("unit"), CheckId("slow")


def pace(*, good: float = 0.95, workers: int = 1, batch: int = 64, **seconds: list[float]) -> Pace:
    return Pace(
        odds=Odds(good=good, flake=0.0),
        limits=QueueLimits(workers=workers, batch=batch),
        durations={CheckId(name): taken for name, taken in seconds.items()},
    )


def waiting(count: int, *checks: CheckId, **more: object) -> Line:
    return Line(checks=(frozenset(checks or (UNIT,)),) * count, **more)  # type: ignore[arg-type]  # by name


def p50(found: list[Estimate]) -> list[float]:
    return [estimate.p50_s for estimate in found]


# --- the model ----------------------------------------------------------------------------------------------


def test_one_good_entry_takes_one_run_of_its_check() -> None:
    assert estimate_line(waiting(1), pace(unit=[10.0])) == [Estimate(p50_s=10.0, p90_s=10.0)]


def test_an_entry_that_fails_often_may_need_another_run_before_it_is_given_up() -> None:
    (found,) = estimate_line(waiting(1), pace(good=0.8, unit=[10.0]))
    assert (found.p50_s, found.p90_s) == (10.0, 20.0)


def test_entries_that_are_checked_one_by_one_take_one_run_each() -> None:
    assert p50(estimate_line(waiting(4), pace(batch=1, unit=[10.0]))) == [10.0, 20.0, 30.0, 40.0]


def test_what_is_known_to_fail_together_is_searched_and_takes_longer_than_a_line_that_is_green() -> None:
    green = estimate_line(waiting(16), pace(good=0.99, unit=[10.0]))
    red = estimate_line(
        waiting(16, start=Standing(groups=(Suspects(places=tuple(range(16))),))), pace(good=0.99, unit=[10.0])
    )
    assert green[-1].p50_s == 10.0
    assert red[-1].p50_s > green[-1].p50_s


def test_an_entry_left_alone_after_a_failure_takes_one_more_run() -> None:
    (found,) = estimate_line(waiting(1, start=Standing(groups=(Suspects(places=(0,)),))), pace(unit=[10.0]))
    assert (found.p50_s, found.p90_s) == (10.0, 10.0)


def test_what_passes_on_a_tip_that_was_left_behind_lands_with_the_next_train() -> None:
    able = waiting(4, running=(Running(places=(0, 1, 2, 3), elapsed_s=0.0),))
    stale = waiting(4, running=(Running(places=(0, 1, 2, 3), elapsed_s=0.0, stale=True),))
    assert p50(estimate_line(able, pace(unit=[10.0]))) == [10.0] * 4
    assert p50(estimate_line(stale, pace(unit=[10.0]))) == [20.0] * 4


def test_what_is_vouched_for_is_expected_sooner_than_what_nobody_has_checked() -> None:
    fresh = estimate_line(waiting(24), pace(good=0.8, unit=[10.0]))
    vouched = estimate_line(
        waiting(24, start=Standing(vouched=frozenset(range(24)))), pace(good=0.8, unit=[10.0])
    )
    assert p50(vouched) == [10.0] * 24
    assert fresh[-1].p50_s > 50.0


def test_what_a_check_has_behind_it_is_taken_off_and_never_more_than_is_left() -> None:
    running = waiting(2, running=(Running(places=(0, 1), elapsed_s=4.0),))
    assert p50(estimate_line(running, pace(unit=[10.0]))) == [6.0, 6.0]
    late = waiting(2, running=(Running(places=(0, 1), elapsed_s=60.0),))
    assert p50(estimate_line(late, pace(unit=[10.0]))) == [0.0, 0.0]


def test_checks_side_by_side_take_as_long_as_the_longest_and_beyond_the_checkers_their_sum() -> None:
    both = waiting(1, UNIT, SLOW)
    assert p50(estimate_line(both, pace(workers=2, unit=[10.0], slow=[30.0]))) == [30.0]
    assert p50(estimate_line(both, pace(workers=1, unit=[10.0], slow=[30.0]))) == [40.0]


def test_durations_that_vary_widen_the_estimate_but_do_not_move_its_middle() -> None:
    steady = estimate_line(waiting(3), pace(unit=[10.0] * 10))
    varying = estimate_line(waiting(3), pace(unit=[2.0, 4.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 50.0, 50.0]))
    assert p50(steady) == p50(varying)
    assert varying[0].p90_s > steady[0].p90_s


def test_nothing_is_said_from_the_first_entry_on_whose_check_never_ended() -> None:
    line = Line(checks=(frozenset({UNIT}), frozenset({UNIT, SLOW}), frozenset({UNIT})))
    assert len(estimate_line(line, pace(unit=[10.0]))) == 1
    assert estimate_line(waiting(3), pace()) == []


def test_a_line_of_thousands_is_estimated_at_once_and_at_the_pace_of_its_beginning() -> None:
    begun = process_time()
    found = estimate_line(waiting(5000), pace(workers=4, unit=[10.0]))
    assert process_time() - begun < 2.0
    assert len(found) == 5000
    near, far = found[63], found[-1]
    assert far.p50_s == pytest.approx(near.p50_s * 5000 / 64)
    assert far.p90_s - far.p50_s < (near.p90_s - near.p50_s) * 5000 / 64  # luck and bad luck even out


def some_line(count: int, marks: list[str], running: list[tuple[int, int, bool, float]]) -> Line:
    """`marks`: what is known of each place; `running`: begin, length, stale, seconds."""
    known = dict(zip(range(count), marks, strict=False))
    groups = [tuple(place for place, mark in known.items() if mark == name) for name in "ab"]
    return waiting(
        count,
        start=Standing(
            vouched=frozenset(place for place, mark in known.items() if mark == "vouched"),
            groups=tuple(Suspects(places=places) for places in groups if places),
        ),
        running=tuple(
            Running(places=tuple(range(begin, min(begin + length, count))), stale=stale, elapsed_s=elapsed)
            for begin, length, stale, elapsed in running
            if begin < count
        ),
    )


lines = st.builds(
    some_line,
    st.integers(1, 24),
    st.lists(st.sampled_from(["", "vouched", "a", "b"]), max_size=24),
    st.lists(
        st.tuples(st.integers(0, 24), st.integers(1, 30), st.booleans(), st.floats(0.0, 30.0)), max_size=3
    ),
)
paces = st.builds(
    lambda good, flake, workers, seconds: Pace(
        odds=Odds(good=good, flake=flake),
        limits=QueueLimits(workers=workers),
        durations={UNIT: seconds},
    ),
    st.floats(0.3, 0.999),
    st.floats(0.0, 0.2),
    st.integers(1, 4),
    st.lists(st.floats(0.1, 100.0), min_size=1, max_size=12),
)


@settings(max_examples=examples(20), deadline=None)
@given(lines, paces)
def test_who_stands_further_back_waits_no_less_and_p90_is_no_less_than_p50(line: Line, at: Pace) -> None:
    found = estimate_line(line, at)
    assert len(found) == len(line.checks)
    assert all(0.0 <= one.p50_s <= one.p90_s for one in found)
    for one, other in pairwise(found):
        assert one.p50_s <= other.p50_s + 1e-9
        assert one.p90_s <= other.p90_s + 1e-9


@settings(max_examples=examples(10), deadline=None)
@given(lines, paces, st.sampled_from([0.5, 2.0, 60.0]))
def test_checks_that_take_twice_as_long_make_every_wait_twice_as_long(
    line: Line, at: Pace, factor: float
) -> None:
    slower = replace(at, durations={UNIT: [factor * taken for taken in at.durations[UNIT]]})
    running = tuple(replace(one, elapsed_s=factor * one.elapsed_s) for one in line.running)
    scaled = estimate_line(replace(line, running=running), slower)
    for one, other in zip(estimate_line(line, at), scaled, strict=True):
        assert other.p50_s == pytest.approx(factor * one.p50_s, abs=1e-6)
        assert other.p90_s == pytest.approx(factor * one.p90_s, abs=1e-6)


# --- from a queue -------------------------------------------------------------------------------------------


def finished(queue: QueueWorld, seconds: float, verdict: Verdict = Verdict.PASSED, **more: object) -> None:
    """A run of the tests on some old tree."""
    tree = Tree(f"old{len(queue.events)}")
    key = verdict_key(TESTS, tree, "")
    fact = CheckFinished(
        check=TESTS.id,
        tree=tree,
        key=key,
        verdict=verdict,
        duration_s=seconds,
        **more,  # type: ignore[arg-type]  # fields by name
    )
    queue.record(fact)


def test_a_queue_in_which_no_check_has_ended_says_so_and_invents_nothing() -> None:
    queue = queue_world()
    add(queue, "a")
    outlook = outlook_of(queue.state, {}, queue.limits, queue.now)
    assert (outlook.estimates, outlook.unknown) == ({}, "no check has ended")


def test_a_check_that_has_not_come_to_an_end_is_named() -> None:
    queue = queue_world()
    finished(queue, 10.0)
    add(queue, "a")
    add(queue, "b", checks=(TESTS, LINT))
    outlook = outlook_of(queue.state, {}, queue.limits, queue.now)
    assert list(outlook.estimates) == ["a"]
    assert outlook.unknown == f"{LINT.id} has not come to an end yet"


def test_only_checks_that_were_run_to_their_own_end_are_measured() -> None:
    queue = queue_world()
    finished(queue, 10.0)
    finished(queue, 20.0, Verdict.FAILED)
    finished(queue, 1.0, Verdict.ERROR)
    finished(queue, 0.0, reused=True)
    assert measured(queue.state) == {TESTS.id: [10.0, 20.0]}


def test_a_halted_queue_has_no_estimate() -> None:
    queue = queue_world()
    finished(queue, 10.0)
    add(queue, "a")
    queue.record(MergeHalted(reason="main fails"))
    outlook = outlook_of(queue.state, {}, queue.limits, queue.now)
    assert (outlook.estimates, outlook.unknown) == ({}, "the queue has halted")


def test_what_waits_for_a_person_has_no_estimate_and_the_others_have() -> None:
    queue = queue_world()
    finished(queue, 10.0)
    add(queue, "a", asks=True)
    add(queue, "b")
    assert list(outlook_of(queue.state, {}, queue.limits, queue.now).estimates) == ["b"]


def test_a_check_under_way_shortens_the_wait_of_those_in_it() -> None:
    queue = queue_world()
    finished(queue, 10.0)
    add(queue, "a")
    queue.step()
    since = trees_under_check(queue.events)
    assert set(since) == {trial.tree for trial in queue.state.trials.values()}
    later = queue.now + timedelta(seconds=4)
    found = outlook_of(queue.state, since, queue.limits, later).estimates[EntryId("a")]
    assert found.p50_s == pytest.approx(6.0)
    queue.finish()
    assert trees_under_check(queue.events) == {}


def test_a_queue_that_searches_what_failed_together_expects_it_later_than_before() -> None:
    queue = queue_world()
    finished(queue, 10.0)
    queue.limits = QueueLimits(workers=1)
    for name in "abcd":
        add(queue, name)
    before = outlook_of(queue.state, {}, queue.limits, queue.now).estimates
    queue.record(MergeSplit(entries=tuple(map(EntryId, "abcd")), check=TESTS.id, reason="1 failed"))
    after = outlook_of(queue.state, {}, queue.limits, queue.now).estimates
    assert before[EntryId("d")].p50_s == 10.0
    assert after[EntryId("d")].p50_s > 20.0


def test_urgency_costs_the_others_what_is_checked_again_and_one_more_place() -> None:
    queue = queue_world()
    finished(queue, 10.0)
    queue.limits = QueueLimits(workers=1, batch=1)
    for name in "abc":
        add(queue, name)
    queue.step()
    later = queue.now + timedelta(seconds=4)
    since = trees_under_check(queue.events)
    cost = cost_of_urgency(queue.state, [frozenset({TESTS.id})], since, queue.limits, later)
    assert (cost.overtaken, cost.delayed) == (1, 3)
    assert cost.later_s == pytest.approx(14.0)  # its own run, and the four seconds that are lost


def test_the_cost_of_urgency_is_not_known_before_a_check_has_ended() -> None:
    queue = queue_world()
    add(queue, "a")
    cost = cost_of_urgency(queue.state, [frozenset({TESTS.id})], {}, queue.limits, queue.now)
    assert (cost.overtaken, cost.delayed, cost.later_s) == (0, 1, None)
