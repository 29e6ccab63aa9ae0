"""What the merge queue does next, case by case; `test_queue_worlds.py` has whole lives of queues."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, EntryId
from cli_multi_rapid.core.merge_events import CheckFinished, MergeEntry
from cli_multi_rapid.core.merge_policy import line
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import MAX_MISSES, QueueLimits
from cli_multi_rapid.core.queue_judgement import may_rerun
from cli_multi_rapid.core.queue_records import TreeRecord
from cli_multi_rapid.core.verdicts import verdict_key
from tests.examples import examples
from tests.fakes.fragile_log import MAIN
from tests.fakes.queue_promises import live_to_the_end
from tests.fakes.queue_world import TESTS, QueueWorld
from tests.fakes.random_queues import LINT, add, add_random, names, queue_world, statuses
from tests.fakes.set_repository import tree_of
from tests.fakes.weather import Weather

seeds = st.integers(0, 2**32)


# --- the number of check runs -------------------------------------------------------------------------------


def runs(queue: QueueWorld) -> int:
    return sum(map(len, queue.results.values()))


def test_a_green_burst_lands_in_a_few_trains_with_one_run_of_each_check_for_each() -> None:
    queue = queue_world()
    for number in range(60):
        add(queue, f"e{number}", checks=(TESTS, LINT))
    queue.finish()
    assert len(queue.landed_order) == 60
    assert len(queue.history) <= 5
    assert runs(queue) <= 2 * 5
    assert all(len(found) == 1 for found in queue.results.values())


def test_what_is_expected_to_pass_lands_as_one_train_with_one_run_of_each_check() -> None:
    queue = queue_world()
    for number in range(12):
        add(queue, f"e{number}", checks=(TESTS, LINT))
    queue.limits = QueueLimits(workers=1)
    queue.finish()
    assert (len(queue.history), runs(queue)) == (2, 2)


def test_one_culprit_among_64_is_found_by_halving() -> None:
    queue = queue_world(culprits="e37")
    for number in range(64):
        add(queue, f"e{number}")
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"e37"}
    assert len(queue.landed_order) == 63
    assert runs(queue) <= 12  # one for all, six halvings, the flake's second chance, the tip, what is left


def test_an_equal_tree_lands_without_a_check_run() -> None:
    queue = queue_world()
    add(queue, "e")
    queue.finish()
    before = runs(queue)
    queue.tip = queue.history[0]  # somebody put the target back
    queue.cached = None
    again = replace(queue.state.entries[EntryId("e")].entry, id=EntryId("again"))
    queue.enqueue(again)
    queue.finish()
    assert statuses(queue)["again"] is MergeStatus.MERGED
    assert runs(queue) == before


def test_nothing_that_passed_is_run_again_when_a_later_one_fails() -> None:
    queue = queue_world(culprits="b")
    add(queue, "a")
    add(queue, "b")
    queue.finish()
    assert queue.landed_order == ["a"]
    assert Verdict.PASSED not in [v for found in queue.results.values() for v in found[1:]]


# --- flakes, broken checks, a red or restless target --------------------------------------------------------


def scripted(queue: QueueWorld, *verdicts: Verdict) -> list[Verdict]:
    """Deliver these outcomes for whatever is checked next; returns those that nobody asked for."""
    rest = list(verdicts)
    queue.step()
    while queue.flying and rest:
        queue.answer(next(iter(queue.flying)), rest.pop(0))
        queue.step()
    return rest


P, F, E, T = Verdict.PASSED, Verdict.FAILED, Verdict.ERROR, Verdict.TIMED_OUT


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        ([P], MergeStatus.MERGED),
        ([F, P], MergeStatus.MERGED),
        ([F, F, P], MergeStatus.FAILED),
        ([E, E, P], MergeStatus.MERGED),
        ([E, T, E, P], MergeStatus.FAILED),
        ([F, E, F, P], MergeStatus.FAILED),
        ([F, F, F, P], MergeStatus.FAILED),
        ([F, F, E, E, P], MergeStatus.FAILED),
        ([F, F, F, F], MergeStatus.QUEUED),
        ([E, E, E, E, E, E], MergeStatus.QUEUED),
    ],
)
def test_a_lone_entry_and_the_target_each_get_a_second_chance(
    found: list[Verdict], ends: MergeStatus
) -> None:
    queue = queue_world()
    queue.weather.flake = queue.weather.broken = 0.5  # so that the world expects surprises
    add(queue, "e")
    assert scripted(queue, *found) == []
    assert not queue.flying
    assert statuses(queue) == {"e": ends}
    assert (queue.state.halted is not None) is (ends is MergeStatus.QUEUED)


def test_a_red_target_halts_the_queue_before_anybody_is_blamed_and_a_repair_sets_it_going() -> None:
    queue = queue_world(culprits="base")
    for name in ("a", "b", "c"):
        add(queue, name)
    queue.finish()
    assert queue.state.halted is not None
    assert queue.state.halted.startswith("main itself fails tests")
    assert names(queue, MergeStatus.QUEUED) == {"a", "b", "c"}
    queue.weather.culprits = frozenset()  # the machine was repaired: the target is as it was
    queue.resume()
    before = runs(queue)
    queue.finish()
    assert queue.landed_order == ["a", "b", "c"]
    assert (len(queue.history), runs(queue)) == (2, before + 1), "one train, checked once"


def test_a_target_that_never_rests_stops_the_queue_with_a_clear_word() -> None:
    queue = queue_world(moves=1.0)
    add(queue, "a")
    queue.finish()
    assert queue.state.halted == f"main was moved by somebody else {MAX_MISSES + 1} times in a row"
    queue.weather.moves = 0.0
    queue.resume()
    queue.finish()
    assert queue.landed_order == ["a"]


def test_an_entry_that_adds_nothing_to_a_red_target_is_not_blamed() -> None:
    queue = queue_world(culprits="base")
    empty = MergeEntry(
        id=EntryId("empty"), branch=Branch("b"), head=queue.tip, base=queue.tip, target=MAIN, checks=(TESTS,)
    )
    queue.enqueue(empty)
    queue.finish()
    assert queue.state.halted is not None
    assert statuses(queue) == {"empty": MergeStatus.QUEUED}


def test_a_check_that_was_stopped_with_its_candidate_is_not_waited_for() -> None:
    queue = queue_world()
    add(queue, "a")
    queue.step()
    assert queue.flying
    queue.withdraw(EntryId("a"), "changed my mind")
    assert not queue.flying
    assert not queue.state.open


# --- order --------------------------------------------------------------------------------------------------


@given(seeds)
@settings(max_examples=examples(75))
def test_the_line_always_takes_the_first_of_those_that_can_go(seed: int) -> None:
    random = Random(seed)
    queue = QueueWorld(weather=Weather(), random=random, limits=QueueLimits(aging_s=100))
    for number in range(random.randint(0, 12)):
        add_random(queue, f"e{number}")
        queue.pass_time(random.choice([0, 10, 250]))
    expected: list[EntryId] = []
    left = {n for n in queue.state.open if not queue.state.entries[n].entry.needs_approval}

    def free(name: EntryId) -> bool:
        entry = queue.state.entries[name].entry
        return all(need in expected for need in (*entry.deps, *entry.after))

    def rank(name: EntryId) -> tuple[bool, int, int]:
        entry = queue.state.entries[name]
        waited = int((queue.now - entry.enqueued_at).total_seconds())
        return not entry.entry.urgent, entry.entry.priority - waited // 100, entry.place

    while able := [name for name in left if free(name)]:
        chosen = min(able, key=rank)
        expected.append(chosen)
        left.discard(chosen)
    assert line(queue.state, queue.limits, queue.now) == tuple(expected)


def test_priorities_decide_who_lands_first_when_batches_are_small() -> None:
    queue = queue_world(limits=QueueLimits(batch=1))
    for name, priority in (("low", 2), ("mid", 1), ("high", 0), ("high-too", 0)):
        add(queue, name, priority=priority)
    queue.finish()
    assert queue.landed_order == ["high", "high-too", "mid", "low"]


def test_who_waits_long_enough_overtakes_the_newcomers() -> None:
    queue = queue_world(limits=QueueLimits(batch=1, aging_s=60))
    add(queue, "old", priority=2)
    queue.pass_time(121)
    add(queue, "new", priority=1)
    assert line(queue.state, queue.limits, queue.now) == ("old", "new")


def test_a_clock_that_went_back_makes_nobody_younger_than_new() -> None:
    queue = queue_world()
    add(queue, "a", priority=1)
    queue.pass_time(-100_000)
    add(queue, "b", priority=1)
    assert line(queue.state, queue.limits, queue.now) == ("a", "b")


def test_who_waits_for_consent_or_for_a_person_holds_up_only_what_needs_it() -> None:
    queue = queue_world()
    add(queue, "asks", asks=True)
    add(queue, "needs", deps="asks")
    add(queue, "free")
    queue.finish()
    assert queue.landed_order == ["free"]
    queue.check_end()
    queue.approve(EntryId("asks"), "ada")
    queue.finish()
    assert queue.landed_order == ["free", "asks", "needs"]


def test_a_held_entry_is_tried_again_when_the_queue_is_set_going() -> None:
    queue = queue_world(held=1.0)
    add(queue, "a")
    queue.finish()
    assert statuses(queue) == {"a": MergeStatus.BLOCKED}
    assert queue.state.entries[EntryId("a")].command == "git"
    queue.weather.held = 0.0
    queue.resume()
    queue.finish()
    assert queue.landed_order == ["a"]


# --- small parts --------------------------------------------------------------------------------------------


def outcome(verdict: Verdict, *, reused: bool = False) -> CheckFinished:
    tree = tree_of(frozenset())
    return CheckFinished(check=CheckId("tests"), tree=tree, key="k", verdict=verdict, reused=reused)


@given(st.lists(st.sampled_from(Verdict), min_size=1), st.booleans(), st.integers(0, 3))
def test_a_broken_check_is_run_again_a_bounded_number_of_times(
    found: list[Verdict], again: bool, broken: int
) -> None:
    record = TreeRecord(outcomes=[outcome(verdict) for verdict in found])
    limits = QueueLimits(retry_broken=broken)
    expected = {
        Verdict.PASSED: False,
        Verdict.FAILED: again,
        Verdict.ERROR: found.count(E) + found.count(T) <= broken,
        Verdict.TIMED_OUT: found.count(E) + found.count(T) <= broken,
    }[found[-1]]
    assert may_rerun(record, limits, again=again) is expected


@given(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3))
def test_verdicts_are_shared_only_by_what_would_run_the_same(one: str, other: str, more: str) -> None:
    tree = tree_of(frozenset({"x"}))
    base = CheckSpec(id=CheckId("c"), argv=(one, other))
    same = replace(base, timeout_s=5.0)
    assert verdict_key(base, tree, more) == verdict_key(same, tree, more)
    different = [
        replace(base, argv=(one, other, more)),
        replace(base, argv=(), run=one),
        replace(base, env={"A": one}),
        replace(base, min_time_s=1.5),
        replace(base, id=CheckId("d")),
    ]
    keys = [verdict_key(check, tree, more) for check in different]
    assert verdict_key(base, tree, more) not in keys
    assert verdict_key(base, tree_of(frozenset({"y"})), more) != verdict_key(base, tree, more)
    assert verdict_key(base, tree, more + "!") != verdict_key(base, tree, more)


def test_a_culprit_is_out_though_work_that_needs_other_checks_lands_during_each_of_its_own() -> None:
    queue = queue_world(culprits="bad")
    add(queue, "bad", checks=(LINT,), priority=2)
    assert live_to_the_end(queue) <= 6
    assert statuses(queue)["bad"] is MergeStatus.FAILED
