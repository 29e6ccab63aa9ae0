"""What must hold of a queue's world that has come to rest."""

from typing import TYPE_CHECKING

from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.merge_events import MergeEnqueued
from cli_multi_rapid.core.node_state import MergeStatus

if TYPE_CHECKING:
    from tests.fakes.queue_world import QueueWorld


def _check_dropped_work(world: "QueueWorld") -> None:
    """What left the queue is not on the target, not even inside another one's work."""
    by_hand = {name for swap in world.swaps if swap.by_hand for name in swap.landing.entries}
    for event in world.events:
        if isinstance(event.data, MergeEnqueued):
            entry = event.data.entry
            own = world.contents[entry.head] - world.contents[entry.base]
            if world.state.entries[entry.id].status is not MergeStatus.MERGED and entry.id not in by_hand:
                assert not own & world.contents[world.tip], f"the work of {entry.id} landed"


def held_up(world: "QueueWorld") -> set[EntryId]:
    """Who waits for a person, and who waits for one that does."""
    waiting = {
        name
        for name, entry in ((name, world.state.entries[name]) for name in world.state.open)
        if entry.command or (entry.entry.needs_approval and not entry.approved)
    }
    while (
        behind := {name for name in world.state.open if waiting.intersection(world.state.entries[name].needs)}
        - waiting
    ):
        waiting |= behind
    return waiting


def check_rest(world: "QueueWorld") -> None:
    """At rest, every entry has ended with a reason, or waits for a person, or for one that does."""
    _check_dropped_work(world)
    if world.state.halted is not None:
        return
    assert not world.flying
    assert held_up(world) == set(world.state.open), "work is left that nobody holds up"
    for entry in world.state.entries.values():
        assert entry.open is (entry.ended_at is None)
        assert entry.open or entry.status is MergeStatus.MERGED or entry.reason
