"""What the events of a run tell and its state does not keep: checks, landings, waits and sessions in time."""

# The handlers of a fold share one signature.
# ruff: noqa: ARG002

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import CheckId, Commit, EntryId, NodeId, Tree
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    CheckStarted,
    MergeCancelled,
    MergeConflicted,
    MergeEnqueued,
    MergeFailed,
    MergeHalted,
    MergeLanded,
    MergeResumed,
)
from cli_multi_rapid.core.node_events import (
    NodeAttemptFailed,
    NodeCancelled,
    NodeFailed,
    NodeRetryScheduled,
    NodeSkipped,
    NodeSucceeded,
)
from cli_multi_rapid.core.run_events import (
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRequested,
    BudgetRefused,
    BudgetSettled,
    RunFinished,
    RunStarted,
)


class Span(Struct, frozen=True, kw_only=True):
    """A stretch of time; `end` None: not over."""

    start: datetime
    end: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """Its length so far."""
        return max(0.0, ((self.end or now) - self.start).total_seconds())


class CheckRun(Struct, frozen=True, kw_only=True):
    """One examination of a tree; `finish` None: its end is not known."""

    check: CheckId
    tree: Tree
    entries: tuple[EntryId, ...]
    started_at: datetime | None
    finished_at: datetime | None
    log: str
    finish: CheckFinished | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The outcome, when it is known."""
        return self.finish.verdict if self.finish else None

    @property
    def reused(self) -> bool:
        """Whether the verdict was known before and nothing was run."""
        return self.finish is not None and self.finish.reused


class Landing(Struct, frozen=True, kw_only=True):
    """One move of the target."""

    at: datetime
    landed: MergeLanded


class Consent(Struct, frozen=True, kw_only=True):
    """A question to a person and how long it stood."""

    what: str
    span: Span


class Backoff(Struct, frozen=True, kw_only=True):
    """A retry that was put off."""

    at: datetime
    scheduled: NodeRetryScheduled


class Chronicle(Struct, kw_only=True):
    """The facts in order of time, by node, entry or attempt. Made by `read_chronicle`; read only."""

    sessions: list[Span] = field(default_factory=list)
    """When a process had the run in hand."""
    checks: list[CheckRun] = field(default_factory=list)
    landings: list[Landing] = field(default_factory=list)
    conflicts: list[MergeConflicted] = field(default_factory=list)
    ejected: dict[EntryId, MergeFailed] = field(default_factory=dict)
    settled: dict[tuple[NodeId, int], BudgetSettled] = field(default_factory=dict)
    commits: dict[tuple[NodeId, int], Commit] = field(default_factory=dict)
    completed: dict[NodeId, list[datetime]] = field(default_factory=dict)
    ended: dict[NodeId, list[datetime]] = field(default_factory=dict)
    """When nodes came to a final state other than completed."""
    landed: dict[NodeId, list[datetime]] = field(default_factory=dict)
    queued: dict[EntryId, Span] = field(default_factory=dict)
    entries_of: dict[NodeId, list[EntryId]] = field(default_factory=dict)
    consents: dict[NodeId, list[Consent]] = field(default_factory=dict)
    backoffs: dict[NodeId, list[Backoff]] = field(default_factory=dict)
    refused: dict[NodeId, BudgetRefused] = field(default_factory=dict)
    halted: MergeHalted | None = None
    nodes_of: dict[EntryId, NodeId] = field(default_factory=dict)
    last_time: datetime | None = None
    _open_checks: dict[tuple[CheckId, Tree, str], int] = field(default_factory=dict)

    def session_end(self, moment: datetime) -> datetime | None:
        """When the session that covers a moment ended; None while it goes on."""
        for session in reversed(self.sessions):
            if session.start <= moment:
                return session.end
        return None

    def active_seconds(self, now: datetime) -> float:
        """How long a process had the run in hand."""
        return sum(session.seconds(now) for session in self.sessions)

    # --- what each event adds -----------------------------------------------------------------------------

    def _run_started(self, event: Event, data: RunStarted) -> None:
        # The session before ended without a word when its process died: its last fact is its end.
        self._close_session(self.last_time or event.time)
        self.sessions.append(Span(start=event.time))

    def _run_finished(self, event: Event, data: RunFinished) -> None:
        self._close_session(event.time)

    def _close_session(self, at: datetime) -> None:
        if self.sessions and self.sessions[-1].end is None:
            self.sessions[-1] = Span(start=self.sessions[-1].start, end=at)

    def _node_succeeded(self, event: Event, data: NodeSucceeded) -> None:
        self.completed.setdefault(data.node_id, []).append(event.time)
        if data.commit is not None:
            self.commits[data.node_id, data.attempt] = data.commit

    def _attempt_failed(self, event: Event, data: NodeAttemptFailed) -> None:
        if data.commit is not None:
            self.commits[data.node_id, data.attempt] = data.commit

    def _node_ended(self, event: Event, data: NodeFailed | NodeSkipped | NodeCancelled) -> None:
        self.ended.setdefault(data.node_id, []).append(event.time)

    def _retry_scheduled(self, event: Event, data: NodeRetryScheduled) -> None:
        self.backoffs.setdefault(data.node_id, []).append(Backoff(at=event.time, scheduled=data))

    def _settled(self, event: Event, data: BudgetSettled) -> None:
        self.settled[data.node_id, data.attempt] = data

    def _refused(self, event: Event, data: BudgetRefused) -> None:
        self.refused[data.node_id] = data

    def _approval_requested(self, event: Event, data: ApprovalRequested) -> None:
        self.consents.setdefault(data.node_id, []).append(
            Consent(what=data.what, span=Span(start=event.time))
        )

    def _approval_answered(self, event: Event, data: ApprovalGranted | ApprovalRejected) -> None:
        asked = self.consents.get(data.node_id, [])
        for place, consent in enumerate(asked):
            if consent.what == data.what and consent.span.end is None:
                closed = Span(start=consent.span.start, end=event.time)
                asked[place] = Consent(what=consent.what, span=closed)

    def _enqueued(self, event: Event, data: MergeEnqueued) -> None:
        self.queued[data.entry.id] = Span(start=event.time)
        if data.entry.node_id is not None:
            self.nodes_of[data.entry.id] = data.entry.node_id
            self.entries_of.setdefault(data.entry.node_id, []).append(data.entry.id)

    def _leave_queue(self, entry: EntryId, at: datetime) -> None:
        if entry in self.queued:
            self.queued[entry] = Span(start=self.queued[entry].start, end=at)

    def _landed(self, event: Event, data: MergeLanded) -> None:
        self.landings.append(Landing(at=event.time, landed=data))
        for entry in data.entries:
            self._leave_queue(entry, event.time)
            if entry in self.nodes_of:
                self.landed.setdefault(self.nodes_of[entry], []).append(event.time)

    def _conflicted(self, event: Event, data: MergeConflicted) -> None:
        self.conflicts.append(data)
        self._leave_queue(data.entry_id, event.time)

    def _ejected(self, event: Event, data: MergeFailed) -> None:
        self.ejected[data.entry_id] = data
        self._leave_queue(data.entry_id, event.time)

    def _withdrawn(self, event: Event, data: MergeCancelled) -> None:
        self._leave_queue(data.entry_id, event.time)

    def _halted(self, event: Event, data: MergeHalted) -> None:
        self.halted = data

    def _resumed(self, event: Event, data: MergeResumed) -> None:
        self.halted = None

    def _check_started(self, event: Event, data: CheckStarted) -> None:
        self._open_checks[data.check, data.tree, data.key] = len(self.checks)
        self.checks.append(
            CheckRun(
                check=data.check,
                tree=data.tree,
                entries=data.entries,
                started_at=event.time,
                finished_at=None,
                log=data.log,
            )
        )

    def _check_finished(self, event: Event, data: CheckFinished) -> None:
        place = None if data.reused else self._open_checks.pop((data.check, data.tree, data.key), None)
        begun = None if place is None else self.checks[place]
        finished = CheckRun(
            check=data.check,
            tree=data.tree,
            entries=data.entries or (begun.entries if begun else ()),
            started_at=begun.started_at if begun else None,
            finished_at=event.time,
            log=data.log or (begun.log if begun else ""),
            finish=data,
        )
        if place is None:
            self.checks.append(finished)
        else:
            self.checks[place] = finished


_ADDS: Mapping[type[Payload], Callable[..., None]] = {
    RunStarted: Chronicle._run_started,
    RunFinished: Chronicle._run_finished,
    NodeSucceeded: Chronicle._node_succeeded,
    NodeAttemptFailed: Chronicle._attempt_failed,
    NodeFailed: Chronicle._node_ended,
    NodeSkipped: Chronicle._node_ended,
    NodeCancelled: Chronicle._node_ended,
    NodeRetryScheduled: Chronicle._retry_scheduled,
    BudgetSettled: Chronicle._settled,
    BudgetRefused: Chronicle._refused,
    ApprovalRequested: Chronicle._approval_requested,
    ApprovalGranted: Chronicle._approval_answered,
    ApprovalRejected: Chronicle._approval_answered,
    MergeEnqueued: Chronicle._enqueued,
    MergeLanded: Chronicle._landed,
    MergeConflicted: Chronicle._conflicted,
    MergeFailed: Chronicle._ejected,
    MergeCancelled: Chronicle._withdrawn,
    MergeHalted: Chronicle._halted,
    MergeResumed: Chronicle._resumed,
    CheckStarted: Chronicle._check_started,
    CheckFinished: Chronicle._check_finished,
}


def read_chronicle(events: Iterable[Event]) -> Chronicle:
    """Read a run's events once, in order; each costs O(1)."""
    chronicle = Chronicle()
    for event in events:
        add = _ADDS.get(type(event.data))
        if add is not None:
            add(chronicle, event, event.data)
        chronicle.last_time = event.time
    return chronicle


def last_before(moments: Sequence[datetime] | None, limit: datetime) -> datetime | None:
    """The last of some ordered moments that is not after a limit."""
    return next((moment for moment in reversed(moments or ()) if moment <= limit), None)
