"""The fold of a queue: final is final, what cannot follow changes nothing, a restart forgives failures."""

from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.events import Event, Unknown
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import CheckId, Commit, EntryId, EventId, RunId
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    CheckStarted,
    MergeApproved,
    MergeCancelled,
    MergeChecking,
    MergeConflicted,
    MergeFailed,
    MergeHalted,
    MergeHeld,
    MergeLanded,
    MergeLanding,
    MergeMissed,
    MergeResealed,
    MergeResumed,
    MergeSplit,
    MergeVouched,
)
from cli_multi_rapid.core.merge_policy import line
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.queue_records import Prefix
from cli_multi_rapid.core.queue_state import IllegalEntry, QueueState
from cli_multi_rapid.core.run_events import CommandGiven
from tests.examples import examples
from tests.fakes.fragile_log import MAIN
from tests.fakes.pictures import picture
from tests.fakes.queue_world import QueueWorld
from tests.fakes.random_queues import add, queue_world, random_world, statuses
from tests.fakes.sample_plans import START, commit_id, tree_id

A, B, C = EntryId("a"), EntryId("b"), EntryId("c")
S = MergeStatus


def checking(*entries: EntryId) -> MergeChecking:
    return MergeChecking(entries=entries, tip=commit_id(), commit=commit_id("c"), tree=tree_id("c"))


def landing(*entries: EntryId) -> MergeLanding:
    return MergeLanding(
        entries=entries, expected=commit_id(), commit=commit_id("c"), tree=tree_id("c"), markers=()
    )


def landed(*entries: EntryId) -> MergeLanded:
    return MergeLanded(entries=entries, commit=commit_id("c"), tree=tree_id("c"))


def held(*entries: EntryId) -> MergeHeld:
    return MergeHeld(entries=entries, commit=commit_id("c"), reason="dirty", command="git merge")


def missed(*entries: EntryId) -> MergeMissed:
    return MergeMissed(entries=entries, reason="moved")


def split(*entries: EntryId) -> MergeSplit:
    return MergeSplit(entries=entries, check=CheckId("tests"), reason="red")


def vouched(*entries: EntryId) -> MergeVouched:
    return MergeVouched(entries=entries)


def failed(entry: EntryId) -> MergeFailed:
    return MergeFailed(entry_id=entry, reason="red", check=CheckId("tests"), log="l", evidence="e")


def cancelled(entry: EntryId) -> MergeCancelled:
    return MergeCancelled(entry_id=entry, reason="withdrawn")


def conflicted(entry: EntryId) -> MergeConflicted:
    return MergeConflicted(entry_id=entry, files=("f",), partner="b", reason="clash")


def resealed(entry: EntryId, without: EntryId) -> MergeResealed:
    return MergeResealed(entry_id=entry, head=Commit("f" * 40), base=commit_id("n"), without=without)


def verdict(key: str, found: Verdict, *, reused: bool = False) -> CheckFinished:
    return CheckFinished(check=CheckId("tests"), tree=tree_id(), key=key, verdict=found, reused=reused)


def queue(*names: str) -> QueueWorld:
    made = queue_world()
    for name in names:
        add(made, name)
    return made


def told(*facts: Payload) -> QueueWorld:
    """A queue of a, b and c, of which this is told."""
    made = queue("a", "b", "c")
    made.record(*facts)
    return made


def stand(*facts: Payload) -> list[MergeStatus]:
    return list(statuses(told(*facts)).values())


# --- where entries stand ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((), [S.QUEUED, S.QUEUED, S.QUEUED]),
        ((checking(A, B),), [S.CHECKING, S.CHECKING, S.QUEUED]),
        ((checking(A, B), checking(B, C)), [S.CHECKING, S.CHECKING, S.CHECKING]),
        ((checking(A, B), split(A, B)), [S.QUEUED, S.QUEUED, S.QUEUED]),
        ((checking(A, B), cancelled(A)), [S.CANCELLED, S.QUEUED, S.QUEUED]),
        ((checking(A, B), MergeHalted(reason="red")), [S.QUEUED, S.QUEUED, S.QUEUED]),
        ((checking(A, B), landing(A, B)), [S.MERGING, S.MERGING, S.QUEUED]),
        ((checking(A, B), landing(A, B), landed(A, B)), [S.MERGED, S.MERGED, S.QUEUED]),
        ((checking(A, B), landing(A, B), missed(A, B)), [S.QUEUED, S.QUEUED, S.QUEUED]),
        ((checking(A, B), landing(A, B), held(A, B)), [S.BLOCKED, S.BLOCKED, S.QUEUED]),
        ((held(A, B), MergeResumed(reason="go")), [S.QUEUED, S.QUEUED, S.QUEUED]),
        ((held(A), landed(A)), [S.MERGED, S.QUEUED, S.QUEUED]),
        ((failed(A), conflicted(B)), [S.FAILED, S.CONFLICTED, S.QUEUED]),
        ((checking(A, B), resealed(B, A)), [S.QUEUED, S.QUEUED, S.QUEUED]),
    ],
)
def test_an_entry_stands_where_the_events_put_it(
    facts: tuple[Payload, ...], expected: list[MergeStatus]
) -> None:
    assert stand(*facts) == expected


def test_what_ends_an_entry_is_remembered() -> None:
    entries = told(failed(A), conflicted(B), landing(C), landed(C)).state.entries
    assert (entries[A].check, entries[A].log, entries[A].evidence) == ("tests", "l", "e")
    assert (entries[B].files, entries[B].partner) == (("f",), "b")
    assert (entries[C].landed_commit, entries[C].reason) == (commit_id("c"), "")
    assert {entry.ended_at for entry in entries.values()} == {START}
    assert [entry.open for entry in entries.values()] == [False] * 3


@pytest.mark.parametrize("last", [failed(A), cancelled(A), conflicted(A), landed(A)], ids=lambda p: p.type)
@pytest.mark.parametrize(
    "fact",
    [
        failed(A), cancelled(A), conflicted(A), landed(A), landed(B, A), checking(B, A), landing(B, A),
        missed(B, A), held(B, A), resealed(A, B),
    ],
    ids=lambda p: f"{p.type}{len(getattr(p, 'entries', ''))}",
)  # fmt: skip
def test_a_final_status_is_final_and_a_refused_event_changes_nothing_at_all(
    last: Payload, fact: Payload
) -> None:
    made = told(checking(B, C), last)
    before = picture(made.state)
    with pytest.raises(IllegalEntry, match="that is final"):
        made.record(fact)
    assert picture(made.state) == before


@pytest.mark.parametrize(
    "fact",
    [failed(A), cancelled(A), checking(A), landing(A), landed(A), missed(A), held(A), resealed(A, B),
     conflicted(A), MergeApproved(entry_id=A, by="ada")],
    ids=lambda p: p.type,
)  # fmt: skip
def test_an_entry_that_is_not_there_is_refused(fact: Payload) -> None:
    made = queue("b")
    before = picture(made.state)
    with pytest.raises(IllegalEntry, match="the queue of main has no entry a"):
        made.record(fact)
    assert picture(made.state) == before


def test_an_entry_that_two_processes_added_counts_once() -> None:
    made = told(failed(A))
    made.enqueue(replace(made.state.entries[A].entry, priority=0))
    assert statuses(made)["a"] is S.FAILED
    assert list(made.state.open) == ["b", "c"]


@pytest.mark.parametrize(
    "fact",
    [
        Unknown(name="merge.dreamt", of_version=9, data={}),
        CheckStarted(check=CheckId("tests"), tree=tree_id(), key="k"),
    ],
)
def test_what_is_not_folded_is_passed_over_and_counted(fact: Payload) -> None:
    made = told(checking(A))
    before = picture(made.state)
    made.record(fact)
    assert picture(made.state) == {**before, "seq": made.state.seq}


# --- candidates and landings --------------------------------------------------------------------------------


def groups_after(*facts: Payload) -> list[Prefix]:
    return [group.entries for group in told(split(A, B, C), *facts).state.groups]


def test_who_failed_together_stays_suspect_until_cleared_or_one_of_them_is_out() -> None:
    assert groups_after() == [(A, B, C)]
    assert groups_after(landed(A)) == [(B, C)]
    assert groups_after(checking(A, B), vouched(A, B)) == [(C,)]
    assert groups_after(landed(B)) == [(A, C)]
    assert groups_after(split(A, B)) == [(A, B)]
    assert groups_after(failed(A)) == []
    assert groups_after(resealed(B, A)) == []
    assert groups_after(MergeResumed(reason="go")) == []


def test_who_is_left_over_has_failed_once_and_if_nobody_is_it_was_a_flake() -> None:
    state = told(split(A, B), landed(A)).state
    assert (state.entries[B].failures, state.settled.flakes) == (1, 0)
    state = told(split(A, B), landed(A), landed(B)).state
    assert state.settled.flakes == 1
    assert told(split(A), failed(A)).state.settled.flakes == 0


def test_who_is_vouched_for_is_no_suspect_when_others_fail_with_it() -> None:
    state = told(checking(A), vouched(A), split(A, B)).state
    assert [group.entries for group in state.groups] == [(B,)]
    assert state.entries[B].failures == 1
    state = told(checking(A), vouched(A), checking(B), vouched(B), split(A, B)).state
    assert not state.groups
    assert state.aside == {B: (A,)}, "the later one waits for the earlier one"


def test_an_alone_failure_counts_for_its_check_until_the_entry_passes() -> None:
    red = replace(verdict("k", Verdict.FAILED), entries=(A,))
    assert told(red, red).state.entries[A].alone == {"tests": 2}
    assert told(red, checking(A), vouched(A)).state.entries[A].alone == {}
    assert told(replace(red, entries=(A, B))).state.entries[A].alone == {}
    assert told(red, MergeResumed(reason="go")).state.entries[A].alone == {}


def test_a_landing_without_an_end_is_known_until_it_has_one() -> None:
    assert told(landing(A)).state.landing == landing(A)
    for end in (landed(A), missed(A), held(A)):
        assert told(landing(A), end).state.landing is None


def test_misses_count_until_something_lands_or_somebody_sets_the_queue_going() -> None:
    twice = (landing(A), missed(A), landing(A), missed(A))
    assert told(*twice).state.misses == 2
    assert told(*twice, landing(A), landed(A)).state.misses == 0
    assert told(*twice, MergeResumed(reason="go")).state.misses == 0


def test_a_candidate_with_an_old_head_is_dropped() -> None:
    made = told(checking(A, B), resealed(B, A))
    assert not made.state.trials
    assert made.state.entries[B].entry.head == "f" * 40
    assert told(checking(A), resealed(B, C)).state.trials


def test_who_was_built_on_a_rebuilt_entry_is_to_be_rebuilt_too() -> None:
    made = queue("x", "y")
    add(made, "e", after="x y")
    add(made, "on", after="e")
    add(made, "needs", deps="e")
    add(made, "other")
    rebuilt = replace(resealed(EntryId("e"), EntryId("x")), head=made.commit({"base", "y", "e"}))
    made.record(cancelled(EntryId("x")), rebuilt)
    entries = made.state.entries
    assert entries[EntryId("e")].entry.after == ("y",)
    assert {n for n, e in entries.items() if e.rebuild == "x"} == {"on", "needs"}
    add(made, "late", after="e")  # perhaps begun before the rebuilding: better once more than with it inside
    assert entries[EntryId("late")].rebuild == "x"
    made.record(resealed(EntryId("on"), EntryId("x")))
    assert entries[EntryId("on")].rebuild is None


# --- verdicts -----------------------------------------------------------------------------------------------

P, F = Verdict.PASSED, Verdict.FAILED


def test_the_newest_outcome_of_a_check_counts_and_reuse_is_no_run() -> None:
    record = told(verdict("k", F), verdict("k", P), verdict("k", P, reused=True)).state.records["k"]
    assert record.last.verdict is P
    assert (record.count(P), record.count(F), record.count(P, F)) == (1, 1, 2)


def test_a_restart_forgives_failures_and_remembers_passes() -> None:
    made = told(verdict("red", F), verdict("red", F), verdict("green", P), MergeResumed(reason="repaired"))
    records = made.state.records
    assert (records["red"].counts, records["red"].count(F)) == (False, 0)
    assert (records["green"].counts, records["green"].count(P)) == (True, 1)
    made.record(verdict("red", F))
    assert (records["red"].counts, records["red"].count(F), len(records["red"].outcomes)) == (True, 1, 3)


# --- the whole ----------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=examples(30))
def test_prefix_and_rest_are_the_whole(seed: int, where: float) -> None:
    world = random_world(seed, honest=False)
    world.finish()
    split_at = int(where * len(world.events))
    state = QueueState(MAIN)
    for event in world.events[:split_at]:
        state.apply(event)
    middle = picture(state)
    for event in world.events[split_at:]:
        state.apply(event)
    assert picture(state) == picture(world.state)
    again = QueueState(MAIN)
    for event in world.events[:split_at]:
        again.apply(event)
    assert picture(again) == middle


@given(st.integers(0, 2**32))
@example(179450)  # a person resumed the queue while a partner was looked for
@settings(max_examples=examples(30))
def test_after_every_event_the_open_entries_are_those_that_have_not_ended(seed: int) -> None:
    events = random_world(seed, honest=False).events
    state, ends = QueueState(MAIN), dict[EntryId, MergeStatus]()
    for event in events:
        state.apply(event)
        final = {n: e.status for n, e in state.entries.items() if e.status in {*MERGE_DEAD, S.MERGED}}
        assert final.items() >= ends.items(), "a final status changed"
        ends = final
        assert list(state.open) == [n for n in state.entries if n not in final]
        assert all(state.landed(n) == (e.status is S.MERGED) for n, e in state.entries.items())
        tried = {n for trial in state.trials.values() for n in trial.entries}
        assert all(entries == trial.entries for entries, trial in state.trials.items())
        suspects = [name for group in state.groups for name in group.entries]
        assert len(suspects) == len(set(suspects)), "nobody is in two groups"
        assert set(suspects) <= set(state.open)
        assert tried <= set(state.open)
        checked = {n for n, e in state.entries.items() if e.status is S.CHECKING}
        questioned = {n for n, e in state.entries.items() if e.questioned}
        assert checked <= tried | questioned
        assert questioned.isdisjoint({*tried, *suspects})
        assert set(state.aside) <= set(state.open)
    assert not state.landed(EntryId("nobody"))


def test_a_command_is_open_until_an_event_names_it_as_its_cause() -> None:
    made = queue("a")
    made.record(CommandGiven(command="withdraw", by="ada", entry_id=A))
    (asked,) = made.state.unanswered()
    seq = made.state.seq + 1
    answer = Event(
        id=EventId("z"), seq=seq, run_id=RunId("queue:main"), time=START, source="t", data=cancelled(A),
        causation_id=asked.id,
    )  # fmt: skip
    made.state.apply(answer)
    assert made.state.unanswered() == []


def test_thousands_of_entries_are_lined_up_quickly() -> None:
    made = queue_world()
    for number in range(3000):
        add(made, f"e{number}", deps=f"e{number - 1}" if number % 3 else "", priority=number % 5)
    began = process_time()
    assert len(line(made.state, QueueLimits(), made.now)) == 3000
    assert process_time() - began < 2
