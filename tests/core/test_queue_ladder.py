"""Several candidates at once: what survives a landing, who waits for whom, what a second look decides."""

from msgspec.structs import replace

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.merge_events import (
    MergeChecking,
    MergeDeferred,
    MergeLanding,
    MergePreempted,
    MergeVouched,
)
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.queue_records import Prefix
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
    queue.answer(key, verdict)
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
    assert [group.entries for group in queue.state.groups] == [ids("a b")]
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


def test_while_suspects_are_searched_the_others_land() -> None:
    queue = wide("a", "b", culprits="b")
    queue.step()
    end(queue, "a b", Verdict.FAILED)
    add(queue, "c")
    queue.step()
    assert ids("c") in queue.state.trials
    end(queue, "c", Verdict.PASSED)
    assert queue.landed_order == ["c"]
    queue.finish()
    assert (names(queue, MergeStatus.FAILED), queue.landed_order) == ({"b"}, ["c", "a"])


def test_a_screen_that_ends_when_the_tip_has_moved_vouches_for_its_entries() -> None:
    queue = queue_world(limits=replace(WIDE, workers=2))
    queue.state.settled.failed = 60  # three in four fail: each is better checked by itself
    add(queue, "a")
    add(queue, "b")
    queue.step()
    assert set(queue.state.trials) == {ids("a"), ids("b")}
    end(queue, "a", Verdict.PASSED)
    end(queue, "b", Verdict.PASSED)
    vouched = [event.data for event in queue.events if isinstance(event.data, MergeVouched)]
    assert vouched == [MergeVouched(entries=ids("b"))]
    assert queue.landed_order == ["a"], "its tree was not checked on this tip"
    queue.finish()
    assert queue.landed_order == ["a", "b"]


def test_what_passes_on_the_tip_waits_for_who_is_ahead_and_lands_at_once_when_that_fails() -> None:
    queue = queue_world(limits=replace(WIDE, workers=2))
    queue.state.settled.failed = 60
    add(queue, "a")
    add(queue, "b")
    queue.step()
    end(queue, "b", Verdict.PASSED)
    assert queue.landed_order == []
    end(queue, "a", Verdict.FAILED)
    assert queue.landed_order == ["b"]


def test_the_later_of_two_that_only_fail_together_is_out_and_its_partner_is_named() -> None:
    queue = queue_world(limits=replace(WIDE, workers=2))
    queue.weather.quarrels = (frozenset({"a", "b"}),)
    queue.state.settled.failed = 60
    add(queue, "a")
    add(queue, "b")
    queue.finish()
    assert queue.landed_order == ["a"]
    assert queue.state.entries[EntryId("b")].partner == "a"


def test_a_failure_by_a_flake_puts_nobody_out() -> None:
    queue = wide("a")
    queue.weather.flake = 0.01  # so that the world expects surprises
    queue.step()
    end(queue, "a", Verdict.FAILED)
    assert [group.entries for group in queue.state.groups] == [ids("a")]
    end(queue, "a", Verdict.PASSED)
    assert queue.landed_order == ["a"]
    assert queue.state.settled.flakes == 1


def test_who_fails_again_alone_is_out_and_nobody_waited_for_that() -> None:
    queue = wide("a", "b", culprits="a")
    queue.step()
    end(queue, "a", Verdict.FAILED)
    assert ids("a b") not in queue.state.trials
    end(queue, "b", Verdict.PASSED)
    assert queue.landed_order == ["b"]
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"a"}


# --- urgent and solo ----------------------------------------------------------------------------------------


def test_what_is_urgent_takes_the_checker_of_another_and_lands_first() -> None:
    queue = queue_world(limits=replace(WIDE, workers=1))
    for name in ("a", "b", "c"):
        add(queue, name)
    queue.step()
    add(queue, "now", urgent=True)
    queue.step()
    assert set(queue.state.trials) == {ids("now")}
    assert [event.data.by for event in queue.events if isinstance(event.data, MergePreempted)] == ["now"]
    end(queue, "now", Verdict.PASSED)
    queue.finish()
    assert queue.landed_order == ["now", "a", "b", "c"]


def test_one_urgent_entry_takes_one_checker_and_urgent_ones_take_none_from_each_other() -> None:
    queue = wide("a", "b", "c")
    queue.step()
    add(queue, "now", urgent=True)
    add(queue, "too", urgent=True)
    queue.step()
    assert sum(isinstance(event.data, MergePreempted) for event in queue.events) == 1
    assert ids("now too") in queue.state.trials


def test_a_solo_entry_is_checked_and_landed_alone() -> None:
    queue = wide("a")
    add(queue, "big", solo=True)
    add(queue, "b")
    queue.finish()
    assert set(queue.landed_order) == {"a", "big", "b"}
    assert all(entries == ids("big") for entries in built(queue) if EntryId("big") in entries)


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
