"""What the engine does to find the partner of a failing entry, in a world made of sets."""

from itertools import pairwise
from typing import TYPE_CHECKING

from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.core.inquiry_events import MergeProbed, MergeQuestioned
from cli_multi_rapid.core.merge_events import MergeLanded
from cli_multi_rapid.core.queue_intents import Probe, Question
from tests.fakes.weather import Changes

if TYPE_CHECKING:
    from tests.fakes.queue_world import QueueWorld


def question(world: "QueueWorld", intent: Question) -> None:
    """Record what came to the target since the entry's base."""
    entry = world.state.entries[intent.entry_id].entry
    head = world.contents[entry.head]
    shared = (commit for commit in world.history if world.contents[commit] <= head)
    base = max(shared, key=lambda commit: len(world.contents[commit]))
    world.record(
        MergeQuestioned(
            entry_id=entry.id,
            check=intent.check,
            reason=intent.reason,
            since=tuple(name for name, _ in _since(world, head, intent.tip)),
            tip=intent.tip,
            base=base,
            tree=world.tree_at(base),
            contents=world.weather.seen(world.contents[base]),
        )
    )


def probe(world: "QueueWorld", intent: Probe) -> None:
    """Merge the entry onto the target as it was."""
    known = world.state.entries[intent.entry_id]
    head = world.contents[known.entry.head]
    assert known.inquiry is not None
    merged: Changes | None = head
    if intent.place:
        _, held = _since(world, head, known.inquiry.tip)[intent.place - 1]
        merged = world.merge(held, world.contents[known.entry.base], head)
    commit = world.commit(merged or head)
    world.record(
        MergeProbed(
            entry_id=intent.entry_id,
            place=intent.place,
            commit=None if merged is None else commit,
            tree=world.tree_at(commit),
            contents=world.weather.seen(merged or head),
        )
    )


def _since(world: "QueueWorld", head: Changes, tip: Commit) -> list[tuple[str, Changes]]:
    """What came to the target and an entry does not hold: a name, and all that the target held then."""
    found: list[tuple[str, Changes]] = []
    facts = (event.data for event in world.events)
    trains = {fact.commit: fact.entries for fact in facts if isinstance(fact, MergeLanded)}
    for before, after in pairwise(world.history[: world.history.index(tip) + 1]):
        held = world.contents[before]
        for name in trains.get(after, ()):
            entry = world.state.entries[name].entry
            held |= world.contents[entry.head] - world.contents[entry.base]
            found.append((name, held))
        if after not in trains:
            found.append((world.state.target, world.contents[after]))
    return [(name, held) for name, held in found if not held <= head]
