"""What must hold of a queue's world that has come to rest."""

from typing import TYPE_CHECKING

from cli_multi_rapid.core.merge_events import MergeEnqueued
from cli_multi_rapid.core.node_state import MergeStatus

if TYPE_CHECKING:
    from tests.fakes.queue_world import QueueWorld


def _check_dropped_work(world: "QueueWorld") -> None:
    """What left the queue is not on the target, not even inside another one's work."""
    for event in world.events:
        if isinstance(event.data, MergeEnqueued):
            entry = event.data.entry
            own = world.contents[entry.head] - world.contents[entry.base]
            if world.state.entries[entry.id].status is not MergeStatus.MERGED:
                assert not own & world.contents[world.tip], f"the work of {entry.id} landed"


def check_rest(world: "QueueWorld") -> None:
    """I6: at rest, every entry has ended, or waits for a person, or for one that does."""
    _check_dropped_work(world)
    if world.state.halted is not None:
        return
    assert not world.flying
    waiting = {
        n
        for n, e in ((n, world.state.entries[n]) for n in world.state.open)
        if e.command or (e.entry.needs_approval and not e.approved)
    }
    while (
        behind := {n for n in world.state.open if waiting.intersection(world.state.entries[n].needs)}
        - waiting
    ):
        waiting |= behind
    assert waiting == set(world.state.open), "work is left that nobody holds up"
    for entry in world.state.entries.values():
        assert entry.open is (entry.ended_at is None)
        assert (entry.status is MergeStatus.MERGED) is (entry.entry.id in world.landed_order)
        assert entry.open or entry.status is MergeStatus.MERGED or entry.reason
