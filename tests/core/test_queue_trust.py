"""Who passed on an older tip is trusted when a candidate fails, and for how long."""

from cli_multi_rapid.core.ids import CheckId, EntryId
from cli_multi_rapid.core.merge_events import MergeSplit, MergeVouched
from tests.fakes.queue_world import QueueWorld
from tests.fakes.random_queues import add, queue_world

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
