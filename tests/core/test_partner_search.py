"""With whom a failing entry fails: who is named, after how many runs, and when nobody is."""

from collections.abc import Sequence
from datetime import datetime
from itertools import permutations
from random import Random

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.inquiries import passed_place
from cli_multi_rapid.core.inquiry_events import MergeAcquitted, MergeProbed, MergeQuestioned
from cli_multi_rapid.core.merge_events import CheckStarted, MergeFailed, MergeResumed
from cli_multi_rapid.core.merge_policy import decide
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_intents import Eject, QueueIntent, QueueLimits, Tip
from cli_multi_rapid.core.queue_state import QueueState
from tests.fakes import queue_world as queue_world_module
from tests.fakes.fragile_log import MAIN
from tests.fakes.queue_promises import Broken
from tests.fakes.queue_world import QueueWorld
from tests.fakes.random_queues import add, names, queue_world

SEVEN = ("colours", "left", "docs", "fonts", "right", "broken", "menu")
"""`colours` and `fonts` do not merge, `broken` fails, `left` and `right` fail only together."""


def seven(order: Sequence[str], workers: int) -> QueueWorld:
    """The seven branches in this order, none of them checked yet."""
    queue = queue_world(limits=QueueLimits(workers=workers), culprits="broken")
    queue.weather.quarrels = (frozenset({"left", "right"}),)
    queue.weather.clashes = (("colours", "fonts"),)
    for name in order:
        add(queue, name)
    return queue


def finish_in_turn(queue: QueueWorld) -> None:
    """Let the checks end in the order in which they were started."""
    queue.step()
    while queue.flying:
        queue.deliver(next(iter(queue.flying)))
        queue.step()


def runs(queue: QueueWorld) -> int:
    return sum(isinstance(event.data, CheckStarted) for event in queue.events)


def failed(queue: QueueWorld) -> dict[str, MergeFailed]:
    """What is said of each entry that was ejected."""
    facts = (event.data for event in queue.events)
    return {str(fact.entry_id): fact for fact in facts if isinstance(fact, MergeFailed)}


def landed_first(queue: QueueWorld, *entries: str) -> None:
    """Land these, each in a train of its own."""
    for name in entries:
        add(queue, name)
        queue.finish()
    assert queue.landed_order == list(entries)


def add_old(queue: QueueWorld, name: str) -> EntryId:
    """An entry that was made on the first commit of the target."""
    tip, queue.tip = queue.tip, queue.history[0]
    try:
        return add(queue, name)
    finally:
        queue.tip = tip


@pytest.mark.parametrize(("workers", "most"), [(1, 14), (2, 18)])
def test_of_seven_branches_four_land_and_the_pair_is_named_whatever_the_order(
    workers: int, most: int
) -> None:
    every = list(permutations(SEVEN))
    for order in Random(7).sample(every, 60):
        queue = seven(order, workers)
        finish_in_turn(queue)
        assert len(queue.landed_order) == 4, order
        assert len(names(queue, MergeStatus.CONFLICTED)) == 1
        out = failed(queue)
        assert out.pop("broken").partners == ()
        ((name, fact),) = out.items()
        assert {name, *fact.partners} == {"left", "right"}, order
        assert runs(queue) <= most, order


@pytest.mark.parametrize("place", range(8))
def test_the_partner_is_found_by_halving_wherever_it_landed(place: int) -> None:
    others = [f"e{number}" for number in range(7)]
    queue = queue_world(limits=QueueLimits(workers=1))
    queue.weather.quarrels = (frozenset({"left", "right"}),)
    landed_first(queue, *others[:place], "left", *others[place:])
    before = runs(queue)
    add_old(queue, "right")
    queue.finish()
    assert failed(queue)["right"].partners == ("left",)
    assert runs(queue) - before <= 6  # where it failed, its own tree, three halvings, a flake's second chance


def test_one_that_is_at_fault_itself_costs_no_run_more_than_a_second_chance() -> None:
    queue = queue_world(limits=QueueLimits(workers=1), culprits="bad")
    landed_first(queue, "a", "b", "c")
    before = runs(queue)
    add_old(queue, "bad")
    queue.finish()
    assert failed(queue)["bad"].partners == ()
    assert runs(queue) - before == 2


def test_a_failure_beside_others_who_landed_meanwhile_counts_as_the_first_of_two() -> None:
    queue = queue_world(limits=QueueLimits(workers=2, min_gain=0.01), culprits="bad")
    add(queue, "a")
    add(queue, "bad")
    queue.step()
    queue.deliver(next(key for key, job in queue.flying.items() if job[1].entries == ("a",)))
    finish_in_turn(queue)
    assert queue.landed_order == ["a"]
    assert failed(queue)["bad"].partners == ()
    assert runs(queue) == 3  # `a`, both, and the own tree of `bad`


def test_a_tree_that_failed_before_is_not_run_again_to_look_for_the_partner() -> None:
    queue = seven(("menu", "fonts", "right", "broken", "docs", "colours", "left"), workers=1)
    finish_in_turn(queue)
    assert failed(queue)["left"].partners == ("right",)
    trees = [event.data.tree for event in queue.events if isinstance(event.data, CheckStarted)]
    assert len(trees) == len(set(trees)) == 10


def test_nothing_is_asked_of_an_entry_that_was_made_on_the_present_tip() -> None:
    queue = queue_world(culprits="bad")
    landed_first(queue, "a")
    add(queue, "bad")
    queue.finish()
    questions = [event.data for event in queue.events if isinstance(event.data, MergeQuestioned)]
    assert all(question.since == () for question in questions)
    assert not any(isinstance(event.data, MergeProbed) for event in queue.events)


def test_commits_of_somebody_else_are_named_as_the_target() -> None:
    queue = queue_world(limits=QueueLimits(workers=1))
    queue.weather.quarrels = (frozenset({"foreign", "right"}),)
    landed_first(queue, "a")
    queue.move("foreign")
    queue.cached = None
    landed_first_after(queue, "b")
    add_old(queue, "right")
    queue.finish()
    assert failed(queue)["right"].partners == (str(MAIN),)
    assert failed(queue)["right"].reason.endswith("it passed before others committed to main")


def landed_first_after(queue: QueueWorld, name: str) -> None:
    """Land one more."""
    add(queue, name)
    queue.finish()
    assert name in queue.landed_order


def test_what_fails_once_and_then_passes_on_the_same_tree_lands_and_nobody_is_named() -> None:
    queue = queue_world(limits=QueueLimits(workers=1))
    landed_first(queue, "a", "b")
    add_old(queue, "innocent")
    answers = [Verdict.FAILED]
    queue.step()
    while queue.flying:
        if not answers:
            queue.deliver(next(iter(queue.flying)))
        else:
            queue.answer(next(iter(queue.flying)), Verdict.FAILED)
            answers.pop()
        queue.step()
    assert any(isinstance(event.data, MergeAcquitted) for event in queue.events)
    assert queue.landed_order == ["a", "b", "innocent"]


@pytest.mark.parametrize("named", [(), (EntryId("a"),)])
def test_a_queue_that_names_nobody_or_somebody_else_breaks_its_promise(
    named: tuple[EntryId, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide_otherwise(
        state: QueueState, tip: Tip, limits: QueueLimits, now: datetime
    ) -> list[QueueIntent]:
        intents = decide(state, tip, limits, now)
        return [replace(one, partners=named) if isinstance(one, Eject) else one for one in intents]

    queue = queue_world(limits=QueueLimits(workers=1))
    queue.weather.quarrels = (frozenset({"left", "right"}),)
    landed_first(queue, "a", "left", "b")
    add_old(queue, "right")
    monkeypatch.setattr(queue_world_module, "decide", decide_otherwise)
    with pytest.raises(Broken, match="I5"):
        queue.finish()


def test_while_a_partner_is_looked_for_the_others_land() -> None:
    queue = queue_world(limits=QueueLimits(workers=2))
    queue.weather.quarrels = (frozenset({"left", "right"}),)
    landed_first(queue, "a", "left", "b")
    add_old(queue, "right")
    queue.step()
    queue.deliver(next(iter(queue.flying)))
    queue.step()
    assert queue.state.entries[EntryId("right")].questioned
    add(queue, "late")
    finish_in_turn(queue)
    order = [
        fact.entry_id if isinstance(fact, MergeFailed) else "late"
        for fact in (event.data for event in queue.events)
        if isinstance(fact, MergeFailed) or "late" in getattr(fact, "markers", ())
    ]
    assert order == ["late", "right"]


def test_whoever_sets_the_queue_going_again_ends_the_search_and_the_entry_waits_in_line() -> None:
    queue = queue_world(limits=QueueLimits(workers=1))
    queue.weather.quarrels = (frozenset({"left", "right"}),)
    landed_first(queue, "a", "left", "b")
    right = queue.state.entries[add_old(queue, "right")]
    while not right.questioned:
        queue.step()
        if queue.flying and not right.questioned:
            queue.deliver(next(iter(queue.flying)))
    queue.record(MergeResumed(reason="repaired"))
    assert (right.inquiry, right.status) == (None, MergeStatus.QUEUED)


def test_an_entry_that_is_withdrawn_while_it_is_asked_about_leaves_nothing_behind() -> None:
    queue = queue_world(limits=QueueLimits(workers=1))
    queue.weather.quarrels = (frozenset({"left", "right"}),)
    landed_first(queue, "a", "left", "b")
    right = add_old(queue, "right")
    while not queue.state.entries[right].questioned:
        queue.step()
        if queue.flying and not queue.state.entries[right].questioned:
            queue.deliver(next(iter(queue.flying)))
    queue.withdraw(right, "not wanted")
    queue.finish()
    assert not queue.flying
    assert names(queue, MergeStatus.CANCELLED) == {"right"}


@pytest.mark.parametrize(
    ("passed_with", "place"), [("", 0), ("a", 1), ("a b", 2), ("a b c", -1), ("x", 0), ("b x", 2)]
)
def test_what_it_passed_with_before_is_not_asked_again(passed_with: str, place: int) -> None:
    assert passed_place(("a", "b", "c"), passed_with.split()) == place
