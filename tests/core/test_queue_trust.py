"""Who passed on an older tip is trusted when a candidate fails, and for how long."""

from cli_multi_rapid.core.ids import CheckId, Commit, EntryId
from cli_multi_rapid.core.merge_events import (
    MergeChecking,
    MergeLanded,
    MergeLanding,
    MergeSplit,
    MergeVouched,
)
from cli_multi_rapid.core.queue_ground import ground_of
from cli_multi_rapid.core.queue_intents import Tip
from tests.fakes.queue_world import QueueWorld
from tests.fakes.random_queues import add, queue_world
from tests.fakes.sample_plans import commit_id, tree_id

A, B, C = map(EntryId, "abc")


def queue(*names: str) -> QueueWorld:
    made = queue_world()
    for name in names:
        add(made, name)
    return made


def split(*entries: EntryId) -> MergeSplit:
    return MergeSplit(entries=entries, check=CheckId("tests"), reason="red")


def vouched(*entries: EntryId) -> MergeVouched:
    return MergeVouched(entries=entries)


def test_when_all_suspects_of_a_failure_pass_later_whoever_was_trusted_with_them_is_suspected() -> None:
    made = queue("a", "b", "c")
    made.record(vouched(A), split(A, B, C), vouched(B))
    assert [group.entries for group in made.state.groups] == [(C,)]
    made.record(vouched(C))
    assert [group.entries for group in made.state.groups] == [(A,)]
    assert (made.state.entries[A].vouched_at, made.state.entries[A].failures) == (None, 1)
    assert made.state.settled.flakes == 0


def test_who_was_trusted_and_passes_again_is_not_suspected() -> None:
    made = queue("a", "b")
    made.record(vouched(A), split(A, B), vouched(A), vouched(B))
    assert not made.state.groups
    assert made.state.entries[A].vouched_at is not None
    assert made.state.settled.flakes == 1


def test_of_those_who_were_all_trusted_and_fail_together_the_first_is_trusted_no_more() -> None:
    made = queue("a", "b")
    made.record(vouched(A, B), split(A, B))
    assert made.state.aside == {B: (A,)}
    assert (made.state.entries[A].vouched_at, made.state.entries[A].passed_at) == (None, 0)
    assert made.state.entries[B].vouched_at == 0
    assert not made.state.groups


def test_trust_spares_an_entry_once_and_who_fails_again_with_others_is_suspected() -> None:
    made = queue("a", "b", "c")
    made.record(vouched(A), split(A, B), split(A, C))
    assert [group.entries for group in made.state.groups] == [(B,), (A, C)]


def test_who_is_suspected_again_after_others_landed_has_waited_from_the_beginning() -> None:
    made = queue("a", "b", "c")
    made.record(split(A, B), landed(C), split(A))
    assert [(group.entries, group.overtaken) for group in made.state.groups] == [((A,), 1)]


# --- what a candidate stands on -----------------------------------------------------------------------------


def landing_of(*entries: EntryId, onto: Commit) -> MergeLanding:
    commit = commit_id("landed", *entries)
    return MergeLanding(entries=entries, expected=onto, commit=commit, tree=tree_id("landed"), markers=())


def checking(*entries: EntryId, tip: Commit) -> MergeChecking:
    return MergeChecking(entries=entries, tip=tip, commit=commit_id(*entries), tree=tree_id(*entries))


def landed(*entries: EntryId) -> MergeLanded:
    return MergeLanded(entries=entries, commit=commit_id("landed", *entries), tree=tree_id("landed"))


OLD = commit_id("old")
NEW = Tip(commit=commit_id("landed", A), tree=tree_id("landed"))


def test_the_rest_of_a_candidate_stands_on_the_beginning_that_has_landed() -> None:
    made = queue("a", "b")
    made.record(checking(A, B, tip=OLD), landing_of(A, onto=OLD), landed(A))
    trial = made.state.trials[(B,)]
    assert (trial.tip, trial.built_with) == (NEW.commit, (B,))
    assert ground_of(made.state, trial, NEW) is NEW


def test_a_candidate_of_a_tip_that_this_queue_made_stands_on_that_tip() -> None:
    made = queue("a", "b", "c")
    made.record(landing_of(A, onto=OLD), landed(A), checking(B, tip=NEW.commit))
    trial = made.state.trials[(B,)]
    assert ground_of(made.state, trial, Tip(commit=commit_id("newest"), tree=tree_id("newest"))) == NEW
    made.record(checking(C, tip=commit_id("of somebody else")))
    assert ground_of(made.state, made.state.trials[(C,)], NEW) is None


def test_a_candidate_with_work_that_landed_elsewhere_stands_on_nothing() -> None:
    made = queue("a", "b")
    made.record(checking(A, B, tip=NEW.commit), landing_of(A, onto=OLD), landed(A))
    trial = made.state.trials[(B,)]
    assert trial.built_with == (A, B)
    assert ground_of(made.state, trial, NEW) is None
