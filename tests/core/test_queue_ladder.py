"""Several candidates at once: what survives a landing, who waits for whom, what a second look decides."""

from dataclasses import replace

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.ladder import odds_of
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    MergeChecking,
    MergeDeferred,
    MergeFailed,
    MergeLanding,
    MergeSplit,
)
from cli_multi_rapid.core.merge_policy import QueueLimits
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_state import Prefix
from tests.fakes.queue_world import QueueWorld
from tests.fakes.random_queues import add, names, queue_world, statuses

WIDE = QueueLimits(workers=3, min_gain=0.0)


def wide(*names: str, culprits: str = "") -> QueueWorld:
    """A queue with a checker for each of three beginnings of the line."""
    queue = queue_world(culprits=culprits, limits=WIDE)
    for name in names:
        add(queue, name)
    return queue


def ids(text: str) -> Prefix:
    return tuple(map(EntryId, text.split()))


def end(queue: QueueWorld, text: str, verdict: Verdict) -> None:
    """The checker of the candidate of these entries comes to its end."""
    key = next(key for key, (_, order) in queue.flying.items() if order.entries == ids(text))
    check, order = queue.flying.pop(key)
    queue.results.setdefault(key, []).append(verdict)
    queue.record(
        CheckFinished(
            check=check.id,
            tree=order.tree,
            key=key,
            verdict=verdict,
            reason="scripted",
            entries=order.entries,
        )
    )
    queue.step()


def built(queue: QueueWorld) -> list[Prefix]:
    return [event.data.entries for event in queue.events if isinstance(event.data, MergeChecking)]


def test_all_beginnings_of_a_short_line_are_under_check_at_once() -> None:
    queue = wide("a", "b", "c")
    queue.step()
    assert set(queue.state.trials) == {ids("a"), ids("a b"), ids("a b c")}
    assert len(queue.flying) == 3


def test_a_longer_candidate_goes_on_with_the_rest_when_its_beginning_lands() -> None:
    queue = wide("a", "b", "c")
    queue.step()
    before, longest = len(built(queue)), queue.state.trials[ids("a b c")]
    end(queue, "a", Verdict.PASSED)
    assert queue.landed_order == ["a"]
    assert len(built(queue)) == before, "nothing is built or started anew"
    assert queue.state.trials[ids("b c")] is longest
    assert statuses(queue) == {"a": MergeStatus.MERGED, "b": MergeStatus.CHECKING, "c": MergeStatus.CHECKING}
    tree, commit = longest.tree, longest.commit
    end(queue, "a b c", Verdict.PASSED)
    assert queue.landed_order == ["a", "b", "c"]
    landing = [event.data for event in queue.events if isinstance(event.data, MergeLanding)][-1]
    assert landing.entries == ids("b c")
    assert (landing.tree, landing.expected) == (tree, queue.history[1])
    assert landing.commit != commit, "its first parent is the tip that it lands on"
    assert {len(found) for found in queue.results.values()} == {1}


def test_the_longest_that_passes_lands_all_before_it_in_one_train() -> None:
    queue = wide("a", "b", "c")
    queue.step()
    end(queue, "a b c", Verdict.PASSED)
    assert queue.landed_order == ["a", "b", "c"]
    assert len(queue.history) == 2
    assert not queue.flying, "what the others look for is known"


def test_the_shortest_that_fails_calls_off_all_that_hold_it() -> None:
    queue = wide("a", "b", "c", culprits="b")
    queue.step()
    end(queue, "a b", Verdict.FAILED)
    assert ids("a b c") not in queue.state.trials
    assert queue.state.failing == ids("a b")
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"b"}
    assert set(queue.landed_order) == {"a", "c"}


def test_who_conflicts_with_one_ahead_that_fails_later_lands() -> None:
    queue = wide("bad", "other", culprits="bad")
    queue.weather.clashes = (("bad", "late"),)
    add(queue, "late")
    queue.step()
    assert "late" in queue.state.aside
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"bad"}
    assert set(queue.landed_order) == {"other", "late"}


def test_who_conflicts_with_one_ahead_that_lands_is_told_so_once() -> None:
    queue = wide("first")
    queue.weather.clashes = (("first", "late"),)
    add(queue, "late")
    queue.finish()
    assert statuses(queue) == {"first": MergeStatus.MERGED, "late": MergeStatus.CONFLICTED}
    assert sum(isinstance(event.data, MergeDeferred) for event in queue.events) == 1


def test_who_conflicts_with_one_that_is_withdrawn_comes_again() -> None:
    queue = wide("first")
    queue.weather.clashes = (("first", "late"),)
    add(queue, "late")
    queue.step()
    queue.withdraw(EntryId("first"), "changed my mind")
    queue.finish()
    assert queue.landed_order == ["late"]


def suspect_flakes(queue: QueueWorld) -> None:
    """A history in which entries are good and checks are not."""
    settled = queue.state.settled
    settled.landed, settled.verdicts, settled.flakes = 5000, 1000, 300
    assert odds_of(settled).flake > 0.2


def retests(queue: QueueWorld) -> list[Prefix]:
    return [e.data.entries for e in queue.events if isinstance(e.data, MergeChecking) and e.data.retest]


def test_a_train_that_failed_by_a_flake_is_tried_again_as_a_whole_and_lands() -> None:
    queue = queue_world(limits=replace(WIDE, workers=1))
    queue.weather.flake = 0.01  # so that the world expects surprises
    suspect_flakes(queue)
    add(queue, "a")
    add(queue, "b")
    queue.step()
    end(queue, "a b", Verdict.FAILED)
    assert retests(queue) == [ids("a b")]
    end(queue, "a b", Verdict.PASSED)
    assert queue.landed_order == ["a", "b"]
    assert queue.state.settled.flakes == 301


def test_a_train_that_fails_again_is_searched_and_only_the_culprit_leaves() -> None:
    queue = queue_world(culprits="b", limits=replace(WIDE, workers=1))
    suspect_flakes(queue)
    for name in ("a", "b", "c"):
        add(queue, name)
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"b"}
    assert set(queue.landed_order) == {"a", "c"}
    tried = retests(queue)
    assert all(tried.count(entries) == 1 for entries in tried), "a second look, no third"
    assert sum(isinstance(event.data, MergeFailed) for event in queue.events) == 1
    assert sum(isinstance(event.data, MergeSplit) for event in queue.events) <= 6


def test_a_candidate_of_an_old_tip_is_built_anew() -> None:
    queue = wide("a", "b", "c")
    queue.step()
    queue.move("foreign")
    end(queue, "a", Verdict.PASSED)
    queue.finish()
    assert queue.landed_order == ["a", "b", "c"]
    assert "foreign" in queue.contents[queue.tip]


def test_a_target_that_moves_between_two_landings_leaves_no_candidate_behind() -> None:
    queue = wide("a", "b", "c")
    queue.step()
    end_before = queue.state.seq
    queue.observers.append(
        lambda event: (
            queue.move("foreign") if event.data.type == "merge.landed" and len(queue.history) == 2 else None
        )
    )
    end(queue, "a", Verdict.PASSED)
    assert queue.state.seq > end_before
    queue.finish()
    assert queue.landed_order == ["a", "b", "c"]
    assert queue.contents[queue.tip] >= {"a", "b", "c", "foreign"}
