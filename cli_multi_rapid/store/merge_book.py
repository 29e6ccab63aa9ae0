"""The story of every entry of a queue, as people read it: pending ones and history."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from msgspec import Struct, field

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId, NodeId, RunId, is_queue_stream
from cli_multi_rapid.core.merge_events import CheckFinished, MergeEnqueued
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.core.queue_state import IllegalEntry, QueueState


class MergeRecord(Struct, frozen=True, kw_only=True):
    """One entry of a merge queue, from its arrival to its end."""

    id: EntryId
    branch: Branch
    target: Branch
    status: MergeStatus
    """`BLOCKED` also while it waits for a dependency or a person."""
    priority: int
    urgent: bool
    solo: bool
    head: Commit
    base: Commit
    landed_commit: Commit | None
    run_id: RunId | None
    node_id: NodeId | None
    label: str
    checks_required: tuple[CheckId, ...]
    checks_passed: tuple[CheckId, ...]
    """Those whose latest verdict on a tree with this entry in it is a pass."""
    check_s: float
    """Seconds of all checks that were run on trees with this entry in them."""
    reason: str
    files: tuple[str, ...]
    """The paths in conflict, or where to look for why it failed."""
    partner: str
    """With whom it conflicts or fails."""
    command: str
    """What a person can type to finish a landing that is held."""
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @property
    def duration_s(self) -> float | None:
        """Seconds from the arrival to the end; None while there is no end."""
        return (self.ended_at - self.created_at).total_seconds() if self.ended_at else None


class _Checks(Struct):
    passed: dict[CheckId, None] = field(default_factory=dict)
    seconds: float = 0.0


class MergeBook:
    """The fold of one queue's stream into records. `seq` is the last event that it knows."""

    def __init__(self, stream: RunId) -> None:
        if not is_queue_stream(stream):
            raise ValueError(f"{stream} is the stream of a run, not of a queue")
        self._state = QueueState(Branch(stream.partition(":")[2]))
        self._checks: dict[EntryId, _Checks] = {}
        self._updated: dict[EntryId, datetime] = {}
        self._ended: dict[EntryId, None] = {}
        self.seq = 0

    @property
    def halted(self) -> str | None:
        """Why the queue does nothing at present, or None."""
        return self._state.halted

    def apply(self, events: Iterable[Event]) -> set[EntryId]:
        """Take the next events and return the entries that they are about.

        An event that cannot follow is passed over: the record must be readable to find out what went wrong.
        """
        touched: set[EntryId] = set()
        for event in events:
            self.seq = event.seq
            try:
                self._state.apply(event)
            except IllegalEntry:
                continue
            about = [entry_id for entry_id in _entries_of(event.data) if entry_id in self._state.entries]
            self._updated.update(dict.fromkeys(about, event.time))
            if isinstance(event.data, CheckFinished):
                self._note_check(event.data, about)
            self._ended.update((entry_id, None) for entry_id in about if entry_id not in self._state.open)
            touched.update(about)
        return touched

    def record(self, entry_id: EntryId) -> MergeRecord:
        """The record of one entry. Raises `KeyError` when the queue never had it."""
        state = self._state.entries[entry_id]
        entry, checks = state.entry, self._checks.get(entry_id) or _Checks()
        return MergeRecord(
            id=entry.id,
            branch=entry.branch,
            target=self._state.target,
            status=self._shown_status(state),
            priority=entry.priority,
            urgent=entry.urgent,
            solo=entry.solo,
            head=entry.head,
            base=entry.base,
            landed_commit=state.landed_commit,
            run_id=entry.run_id,
            node_id=entry.node_id,
            label=entry.label,
            checks_required=tuple(check.id for check in entry.checks),
            checks_passed=tuple(checks.passed),
            check_s=checks.seconds,
            reason=state.reason,
            files=state.files,
            partner=state.partner,
            command=state.command,
            created_at=state.enqueued_at,
            updated_at=self._updated[entry_id],
            ended_at=state.ended_at,
        )

    def records(self) -> list[MergeRecord]:
        """Every entry that the queue ever had, in order of arrival."""
        return [self.record(entry_id) for entry_id in self._state.entries]

    def open_records(self) -> list[MergeRecord]:
        """The entries that are not at their end."""
        return [self.record(entry_id) for entry_id in self._state.open]

    def ended_records(self, most: int) -> list[MergeRecord]:
        """The entries that came to their end last, in that order."""
        latest = islice(reversed(self._ended), most)
        return [self.record(entry_id) for entry_id in reversed(list(latest))]

    def _shown_status(self, state: EntryState) -> MergeStatus:
        if state.status is not MergeStatus.QUEUED:
            return state.status
        waits = state.entry.needs_approval and not state.approved
        waits = waits or not all(self._state.landed(dep) for dep in state.entry.deps)
        return MergeStatus.BLOCKED if waits else MergeStatus.QUEUED

    def _note_check(self, outcome: CheckFinished, about: list[EntryId]) -> None:
        for entry_id in about:
            checks = self._checks.setdefault(entry_id, _Checks())
            checks.passed.pop(outcome.check, None)
            if outcome.verdict is Verdict.PASSED:
                checks.passed[outcome.check] = None
            if not outcome.reused:
                checks.seconds += outcome.duration_s


def _entries_of(data: Payload) -> tuple[EntryId, ...]:
    """The entries that a queue event names."""
    if isinstance(data, MergeEnqueued):
        return (data.entry.id,)
    entry_id = getattr(data, "entry_id", None)
    return getattr(data, "entries", ()) if entry_id is None else (entry_id,)
