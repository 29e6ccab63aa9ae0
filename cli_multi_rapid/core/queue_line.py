"""Who waits at a merge queue, in what order, and who may be in one candidate with whom. Pure."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from heapq import heappop, heappush

from msgspec import Struct, field

from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.queue_records import EntryState, Prefix
from cli_multi_rapid.core.queue_state import QueueState


def line_up(state: QueueState, aging_s: float, now: datetime) -> Prefix:
    """The entries that can land now, in order: urgent ones, priority with aging, then arrival.

    What an entry was built on comes before it. `aging_s`: waiting so many seconds is worth a priority.
    """
    awaited: dict[EntryId, int] = {}
    followers: dict[EntryId, list[EntryState]] = {}
    able: list[tuple[bool, int, int, EntryId]] = []

    def join(entry: EntryState) -> None:
        rank = _aged_priority(entry, aging_s, now)
        heappush(able, (not entry.entry.urgent, rank, entry.place, entry.entry.id))

    for entry in (state.entries[entry_id] for entry_id in state.open):
        if entry.command or entry.questioned or entry.rebuild is not None:
            continue
        if entry.entry.needs_approval and not entry.approved:
            continue
        missing = {need for need in entry.needs if not state.landed(need)}
        awaited[entry.entry.id] = len(missing)
        for need in missing:
            followers.setdefault(need, []).append(entry)
        if not missing:
            join(entry)
    placed: list[EntryId] = []
    while able:
        placed.append(heappop(able)[-1])
        for entry in followers.get(placed[-1], ()):
            awaited[entry.entry.id] -= 1
            if not awaited[entry.entry.id]:
                join(entry)
    return tuple(placed)


def _aged_priority(entry: EntryState, aging_s: float, now: datetime) -> int:
    waited = (now - entry.enqueued_at).total_seconds()
    return entry.entry.priority - int(max(0.0, waited) // aging_s)


class Carriage(Struct):
    """A candidate while it is put together: who fits in behind those who are in it."""

    state: QueueState
    members: dict[EntryId, None] = field(default_factory=dict)

    def admit(self, entry_id: EntryId) -> bool:
        """Take an entry in if all that it was built on is landed or here, and it merges and may be here."""
        known = self.state.entries[entry_id]
        fits = not (self.members and (known.entry.solo or self._is_solo))
        if fits and all(self.state.landed(need) or need in self.members for need in known.needs):
            behind = self.state.aside.get(entry_id, ())
            if not behind or not all(other in self.members for other in behind):
                self.members[entry_id] = None
                return True
        return False

    @property
    def _is_solo(self) -> bool:
        return any(self.state.entries[entry_id].entry.solo for entry_id in self.members)


def fill(
    state: QueueState,
    order: Iterable[EntryId],
    longest: int,
    *,
    behind: Collection[EntryId] = (),
    wanted: Callable[[EntryId], bool] = lambda _entry_id: True,
) -> Prefix:
    """The first of the line that fit into one candidate, at most so many, behind those who are in it."""
    carriage = Carriage(state, dict.fromkeys(behind))
    for entry_id in order:
        if len(carriage.members) - len(behind) >= longest:
            break
        if wanted(entry_id) and entry_id not in carriage.members:
            carriage.admit(entry_id)
    return tuple(carriage.members)[len(behind) :]
