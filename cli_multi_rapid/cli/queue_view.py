"""The merge queues as their events tell them, and what the name of an entry means."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import Branch, EntryId, RunId, is_queue_stream, queue_stream
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.core.queue_state import QueueState

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records


class LoadedQueue(Struct, frozen=True, kw_only=True):
    """The queue of one target at the moment of a look."""

    state: QueueState
    events: list[Event]
    processor: str | None
    """The living process that works on it; None when there is none."""

    @property
    def stream(self) -> RunId:
        """The name of its stream."""
        return queue_stream(self.state.target)


def load_queue(records: "Records", target: Branch) -> LoadedQueue:
    """Read and fold the stream of one target; an empty queue when nothing was ever added."""
    stream = queue_stream(target)
    state, events = QueueState(target), records.log.read(stream)
    for event in events:
        state.apply(event)
    return LoadedQueue(state=state, events=events, processor=records.leases.holder(stream))


def load_queues(records: "Records", target: str | None = None) -> list[LoadedQueue]:
    """All queues by the names of their targets, or the one of a target."""
    if target is not None:
        return [load_queue(records, Branch(target))]
    streams = sorted(stream for stream in records.log.streams() if is_queue_stream(stream))
    return [load_queue(records, Branch(stream.partition(":")[2])) for stream in streams]


@contextmanager
def open_entry(
    place: Place, name: str, target: str | None
) -> "Iterator[tuple[Records, LoadedQueue, EntryState]]":
    """An entry, see `find_entry`, with the records that it is in."""
    if not place.has_records:
        raise _no_entry(name, [])
    with place.open_records() as records:
        queues = load_queues(records, target)
        yield records, *find_entry(queues, _entry_of_node(records, queues, name) or name)


def _entry_of_node(records: "Records", queues: Sequence[LoadedQueue], name: str) -> EntryId | None:
    """The latest entry of the latest run's node of this name; None when an entry itself is called so."""
    runs = records.runs()
    known = [entry.entry for queue in queues for entry in queue.state.entries.values()]
    if not runs or any(name in (entry.id, entry.branch) for entry in known):
        return None
    ours = [
        entry
        for queue in queues
        for entry in queue.state.entries.values()
        if (entry.entry.run_id, entry.entry.node_id) == (runs[0], name)
    ]
    return max(ours, key=lambda entry: entry.enqueued_at).entry.id if ours else None


def find_entry(queues: Sequence[LoadedQueue], name: str) -> tuple[LoadedQueue, EntryState]:
    """An entry by its id, by its branch (the latest of it), or by the beginning of its id.

    Raises `UserError` when there is none, or several.
    """
    pairs = [(queue, entry) for queue in queues for entry in queue.state.entries.values()]
    exact = [pair for pair in pairs if pair[1].entry.id == name]
    if exact:
        return exact[0]
    of_branch = [pair for pair in pairs if pair[1].entry.branch == name]
    if of_branch:
        return max(of_branch, key=lambda pair: (pair[1].open, pair[1].enqueued_at))
    matches = [pair for pair in pairs if pair[1].entry.id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(pair[1].entry.id for pair in matches[:5])
        raise UserError(f"{name} may mean {ids}", hint="type more of it")
    raise _no_entry(name, [word for _, known in pairs for word in (known.entry.branch, known.entry.id)])


def _no_entry(name: str, known: Sequence[str]) -> UserError:
    from cli_multi_rapid.schema.names import did_you_mean

    hint = did_you_mean(name, known) or "list them: cli-orchestrator queue list"
    return UserError(f"no merge queue has an entry {name}", hint=hint)
