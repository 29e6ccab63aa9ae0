"""How events become rows: one projection per read model.

A projection is told of each stream's news in order and exactly once. Where a row depends on much of what went
before, it folds the stream with the core's own state; it keeps that state in memory for the next news.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

from msgspec import Struct
from sqlmodel import Session, SQLModel, col, delete

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import RunId, is_queue_stream
from cli_multi_rapid.core.merge_events import MergeApproved
from cli_multi_rapid.core.money import format_usd
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.run_events import ApprovalGranted, ApprovalRejected, BudgetSettled, CommandGiven
from cli_multi_rapid.core.state import IllegalTransition, RunState
from cli_multi_rapid.core.verification_events import FindingRestored, FindingWaived
from cli_multi_rapid.store.envelope import utc_text
from cli_multi_rapid.store.merge_book import MergeBook, MergeRecord
from cli_multi_rapid.store.tables import AuditRow, LedgerRow, MergeRow, WorkstreamRow


class News(Struct, frozen=True, kw_only=True):
    """The next events of a stream; at least one."""

    stream: RunId
    events: Sequence[Event]
    earlier: Callable[[], Sequence[Event]]
    """Reads what the stream held before them."""

    @property
    def seq_before(self) -> int:
        """The place that the reader should have reached."""
        return self.events[0].seq - 1


class Projection(Protocol):
    """One read model."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised when the tables or their meaning change: then they are dropped and filled again."""
    tables: ClassVar[tuple[type[SQLModel], ...]]

    def apply(self, session: Session, news: News) -> None:
        """Bring the rows of a stream up to date with its next events."""


class LedgerProjection:
    """What every attempt cost."""

    name: ClassVar[str] = "ledger"
    version: ClassVar[int] = 1
    tables: ClassVar[tuple[type[SQLModel], ...]] = (LedgerRow,)

    def apply(self, session: Session, news: News) -> None:
        """One row per settled attempt."""
        for event in news.events:
            if isinstance(event.data, BudgetSettled):
                session.add(_ledger_row(event, event.data))


class AuditProjection:
    """Who did what."""

    name: ClassVar[str] = "audit"
    version: ClassVar[int] = 1
    tables: ClassVar[tuple[type[SQLModel], ...]] = (AuditRow,)

    def apply(self, session: Session, news: News) -> None:
        """One row per command, approval and refusal of a person."""
        for event in news.events:
            deed = _deed(event.data)
            if deed is None or (isinstance(event.data, MergeApproved) and not is_queue_stream(news.stream)):
                continue  # a run only mirrors what the queue's own stream tells
            session.add(
                AuditRow(
                    run_id=news.stream,
                    seq=event.seq,
                    time=utc_text(event.time),
                    who=deed.who,
                    action=deed.action,
                    subject=deed.subject or "",
                    detail=deed.detail,
                )
            )


class MergeProjection:
    """Every entry of every queue."""

    name: ClassVar[str] = "merge_history"
    version: ClassVar[int] = 2
    tables: ClassVar[tuple[type[SQLModel], ...]] = (MergeRow,)

    def __init__(self) -> None:
        self._books: dict[RunId, MergeBook] = {}

    def apply(self, session: Session, news: News) -> None:
        """One row per entry, replaced whenever an event concerns it or what it waits for."""
        if not is_queue_stream(news.stream):
            return
        book = self._books.get(news.stream)
        if book is None or book.seq != news.seq_before:
            book = self._books[news.stream] = MergeBook(news.stream)
            book.apply(news.earlier())
        touched = book.apply(news.events)
        records = {record.id: record for record in book.open_records()}  # an end may free those that wait
        records.update((entry_id, book.record(entry_id)) for entry_id in touched)
        for record in records.values():
            session.merge(_merge_row(record))


class WorkstreamProjection:
    """Every run and every node, with the status that people see."""

    name: ClassVar[str] = "workstreams"
    version: ClassVar[int] = 1
    tables: ClassVar[tuple[type[SQLModel], ...]] = (WorkstreamRow,)

    def __init__(self) -> None:
        self._folds: dict[RunId, _RunFold] = {}

    def apply(self, session: Session, news: News) -> None:
        """The rows of the run are replaced: one event may change many nodes (those that it blocks)."""
        if is_queue_stream(news.stream):
            return
        # What is over is read again should it be taken up; all the others are likely to have news soon.
        fold = self._folds.pop(news.stream, None)
        if fold is None or fold.seq != news.seq_before:
            fold = _RunFold.of([*news.earlier(), *news.events])
        else:
            fold.apply(news.events)
        if not fold.at_rest:
            self._folds[news.stream] = fold
        session.exec(delete(WorkstreamRow).where(col(WorkstreamRow.run_id) == news.stream))
        session.add_all(fold.rows())


class _RunFold:
    """A run's state, and when each of its nodes was last heard of."""

    def __init__(self, first: Event) -> None:
        self._state = RunState(first.run_id)
        self._heard: dict[str, datetime] = {}
        self._started = self._latest = first.time
        self._correlation_id: str = first.run_id
        self.seq = 0

    @classmethod
    def of(cls, events: Sequence[Event]) -> "_RunFold":
        """The fold of a stream from its beginning."""
        fold = cls(events[0])
        fold.apply(events)
        return fold

    @property
    def at_rest(self) -> bool:
        """Whether the run is over, as far as one can know."""
        return self._state.finished is not None

    def apply(self, events: Sequence[Event]) -> None:
        """Fold; what cannot follow is passed over, so that a broken run can still be found."""
        for event in events:
            self.seq = event.seq
            self._latest = event.time
            self._correlation_id = event.correlation_id or self._correlation_id
            try:
                self._state.apply(event)
            except IllegalTransition:
                continue
            node_id = getattr(event.data, "node_id", None)
            if node_id is not None:
                self._heard[node_id] = event.time

    def rows(self) -> list[WorkstreamRow]:
        """The run's row and one for each node."""
        name = self._state.plan.name if self._state.plan else self._state.run_id
        nodes = enumerate(self._state.nodes.values(), 1)
        run = self._row("", 0, name, self._state.status, self._latest)
        return [run, *(self._node_row(place, node) for place, node in nodes)]

    def _node_row(self, place: int, node: NodeState) -> WorkstreamRow:
        heard = self._heard.get(node.node.id)
        return self._row(node.node.id, place, node.node.label, node.shown_status, heard or self._started)

    def _row(self, node_id: str, place: int, name: str, status: str, updated: datetime) -> WorkstreamRow:
        return WorkstreamRow(
            run_id=self._state.run_id,
            node_id=node_id,
            place=place,
            name=name,
            status=str(status),
            correlation_id=self._correlation_id,
            created_at=utc_text(self._started),
            updated_at=utc_text(updated),
        )


class _Deed(Struct, frozen=True, kw_only=True):
    who: str
    action: str
    subject: str | None
    detail: str


def _deed(data: Payload) -> _Deed | None:
    """What a person did, if the event tells of one."""
    match data:
        case CommandGiven():
            amount = "" if data.amount is None else format_usd(data.amount)
            names = ", ".join(ref.name for ref in data.findings)
            words = " ".join(word for word in (names, data.text, amount) if word)
            return _Deed(
                who=data.by, action=data.command, subject=data.node_id or data.entry_id, detail=words
            )
        case ApprovalGranted():
            return _Deed(who=data.by, action="approval.granted", subject=data.node_id, detail=data.what)
        case ApprovalRejected():
            detail = f"{data.what}: {data.reason}"
            return _Deed(who=data.by, action="approval.rejected", subject=data.node_id, detail=detail)
        case FindingWaived():
            detail = f"{data.finding.name}: {data.summary}: {data.reason}"
            return _Deed(who=data.by, action="finding.waived", subject=data.finding.node_id, detail=detail)
        case FindingRestored():
            detail = f"{data.finding.name}: {data.reason}"
            subject = data.finding.node_id
            return _Deed(who=data.by, action="finding.restored", subject=subject, detail=detail)
        case MergeApproved():
            return _Deed(who=data.by, action="merge.approved", subject=data.entry_id, detail="")
        case _:
            return None


def _ledger_row(event: Event, data: BudgetSettled) -> LedgerRow:
    return LedgerRow(
        run_id=event.run_id,
        seq=event.seq,
        time=utc_text(event.time),
        task_id=data.node_id,
        node_id=data.node_id,
        attempt=data.attempt,
        tool=data.tool,
        model=data.usage.model,
        action=data.action,
        tokens=data.usage.tokens,
        amount_micro_usd=data.usage.cost,
    )


def _merge_row(record: MergeRecord) -> MergeRow:
    return MergeRow(
        target=record.target,
        id=record.id,
        branch=record.branch,
        status=record.status.value,
        priority=record.priority,
        urgent=record.urgent,
        solo=record.solo,
        head=record.head,
        base=record.base,
        landed_commit=record.landed_commit,
        run_id=record.run_id,
        node_id=record.node_id,
        label=record.label,
        checks_required=list(record.checks_required),
        checks_passed=list(record.checks_passed),
        check_s=record.check_s,
        reason=record.reason,
        files=list(record.files),
        partner=record.partner,
        command=record.command,
        created_at=utc_text(record.created_at),
        updated_at=utc_text(record.updated_at),
        ended_at=utc_text(record.ended_at) if record.ended_at else None,
    )
