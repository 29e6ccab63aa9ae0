"""The merge queue's promises, kept in many small worlds: `tests/fakes/queue_promises.py` has them.

`test_queue_machine.py` strikes such worlds with faults; `make worlds` lives through thousands.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_intents import QueueLimits
from tests.examples import examples
from tests.fakes.random_queues import add, names, queue_world, random_world
from tests.fakes.weather import Weather

seeds = st.integers(0, 2**32)


@given(seeds)
@settings(max_examples=examples(40))
def test_a_queue_keeps_its_promises_while_checks_flake_and_break(seed: int) -> None:
    queue = random_world(seed, honest=False)
    queue.finish()
    queue.check_end()


@given(seeds)
@settings(max_examples=examples(40))
def test_with_honest_checks_no_innocent_is_ejected_and_nothing_red_lands(seed: int) -> None:
    queue = random_world(seed, honest=True)
    queue.finish()
    queue.check_end()
    if queue.state.halted is None and all(e.entry.checks for e in queue.state.entries.values()):
        tips = [queue.weather.is_red(queue.contents[commit]) for commit in queue.history]
        assert not any(tips[1:]) or tips[0]


@given(seeds)
@settings(max_examples=examples(30))
def test_a_halted_queue_goes_on_when_the_cause_is_gone(seed: int) -> None:
    queue = random_world(seed, honest=False)
    queue.finish()
    queue.weather = Weather()
    queue.resume()
    for entry_id in list(queue.state.open):
        queue.approve(entry_id, "ada")
    queue.finish()
    queue.check_end()
    assert not queue.state.open
    assert queue.state.halted is None


@given(seeds, st.sets(st.integers(0, 11)), st.sampled_from([1, 3, 64]), st.sampled_from([1, 2, 5]))
@settings(max_examples=examples(30))
def test_exactly_the_culprits_are_ejected_and_all_others_land(
    seed: int, bad: set[int], batch: int, workers: int
) -> None:
    culprits = {f"e{number}" for number in bad}
    queue = queue_world(seed, culprits=" ".join(culprits), limits=QueueLimits(batch=batch, workers=workers))
    everybody = {str(add(queue, f"e{number}")) for number in range(12)}
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == culprits
    assert names(queue, MergeStatus.MERGED) == everybody - culprits
    assert queue.contents[queue.tip] == {"base"} | (everybody - culprits)


@given(seeds)
@settings(max_examples=examples(30))
def test_what_needs_a_culprit_is_called_off_and_what_merely_came_after_it_lands_without(seed: int) -> None:
    queue = queue_world(seed, culprits="bad")
    add(queue, "bad")
    add(queue, "needs", deps="bad")
    add(queue, "needs-too", deps="needs")
    add(queue, "after", after="bad")
    add(queue, "after-that", after="after")
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"bad"}
    assert names(queue, MergeStatus.CANCELLED) == {"needs", "needs-too"}
    assert queue.contents[queue.tip] == {"base", "after", "after-that"}
    assert queue.state.entries[EntryId("needs-too")].reason == "needs, which it depends on, did not land"


@given(seeds)
@settings(max_examples=examples(15))
def test_of_two_that_are_only_red_together_the_first_in_line_lands(seed: int) -> None:
    queue = queue_world(seed)
    queue.weather.quarrels = (frozenset({"late", "early"}),)
    for name, priority in (("late", 2), ("bystander", 2), ("early", 0)):
        add(queue, name, priority=priority)
    queue.finish()
    assert names(queue, MergeStatus.MERGED) == {"early", "bystander"}
    assert names(queue, MergeStatus.FAILED) == {"late"}


def test_who_is_rebuilt_waits_for_what_else_it_was_built_on() -> None:
    queue = queue_world(culprits="bad", limits=QueueLimits(batch=1))
    add(queue, "bad")
    add(queue, "good", priority=2)
    add(queue, "both", after="bad good", priority=0)
    queue.weather.clashes = (("good", "both"),)  # they touch the same lines
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"bad"}
    assert queue.landed_order == ["good", "both"]
