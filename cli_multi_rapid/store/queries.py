"""What can be asked of the read models. Every answer is up to date with the log when it is given."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Label
from sqlmodel import col, func, select

from cli_multi_rapid.core.ids import Branch, CheckId, Commit, CorrelationId, EntryId, NodeId, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.store.envelope import utc_text
from cli_multi_rapid.store.merge_book import MergeRecord
from cli_multi_rapid.store.read_models import ReadModels
from cli_multi_rapid.store.tables import AuditRow, LedgerRow, MergeRow, ToolHealthRow, WorkstreamRow


class Workstream(Struct, frozen=True, kw_only=True):
    """A run (`node_id` None) or one of its nodes, with the status that people see."""

    run_id: RunId
    node_id: NodeId | None
    name: str
    status: str
    """In the words of the report: `RunStatus` of a run, `NodeStatus` of a node."""
    correlation_id: CorrelationId
    created_at: datetime
    updated_at: datetime


class LedgerLine(Struct, frozen=True, kw_only=True):
    """What one attempt cost."""

    time: datetime
    task_id: str
    run_id: RunId
    node_id: NodeId
    attempt: int
    tool: ToolName
    model: str | None
    action: str
    tokens: int
    amount: MicroUsd


class CostKey(StrEnum):
    """What costs are summed by."""

    TOOL = "tool"
    MODEL = "model"
    NODE = "node"
    RUN = "run"
    DAY = "day"


class CostLine(Struct, frozen=True, kw_only=True):
    """The sum of the attempts that share a key."""

    key: str
    """Empty for attempts without one (no model)."""
    attempts: int
    tokens: int
    amount: MicroUsd


class AuditLine(Struct, frozen=True, kw_only=True):
    """A command, approval or refusal of a person."""

    stream: RunId
    time: datetime
    who: str
    action: str
    subject: str
    detail: str


class ToolHealth(Struct, frozen=True, kw_only=True):
    """The last look at a tool."""

    tool: ToolName
    status: str
    """`healthy`, `degraded` or `unhealthy`."""
    version: str | None
    last_check: datetime
    response_time_ms: int | None
    warning: str = ""


_KEYS: Mapping[CostKey, Label[str]] = {
    CostKey.TOOL: col(LedgerRow.tool).label("key"),
    CostKey.MODEL: func.coalesce(LedgerRow.model, "").label("key"),
    CostKey.NODE: col(LedgerRow.node_id).label("key"),
    CostKey.RUN: col(LedgerRow.run_id).label("key"),
    CostKey.DAY: func.substr(LedgerRow.time, 1, 10).label("key"),
}


def list_workstreams(
    models: ReadModels,
    *,
    status: str | None = None,
    day: date | None = None,
    correlation_id: CorrelationId | None = None,
) -> list[Workstream]:
    """The runs and nodes that fit, the latest runs first, each run before its nodes.

    `day`: those created on that day, in UTC.
    """
    models.catch_up("workstreams")
    query = select(WorkstreamRow)
    if status is not None:
        query = query.where(WorkstreamRow.status == status)
    if day is not None:
        query = query.where(col(WorkstreamRow.created_at).startswith(day.isoformat()))
    if correlation_id is not None:
        query = query.where(WorkstreamRow.correlation_id == correlation_id)
    query = query.order_by(
        col(WorkstreamRow.created_at).desc(), col(WorkstreamRow.run_id), col(WorkstreamRow.place)
    )
    with models.reading() as session:
        return [_workstream(row) for row in session.exec(query)]


def cost_by(models: ReadModels, key: CostKey, *, run_id: RunId | None = None) -> list[CostLine]:
    """The sums per key, the dearest first; days in order of time. Of one run, or of all."""
    models.catch_up("ledger")
    column = _KEYS[key]
    amount = func.sum(LedgerRow.amount_micro_usd).label("amount")
    query = select(column, func.count(), func.sum(LedgerRow.tokens), amount).group_by(column)
    query = query.order_by(column) if key is CostKey.DAY else query.order_by(amount.desc(), column)
    if run_id is not None:
        query = query.where(LedgerRow.run_id == run_id)
    with models.reading() as session:
        return [
            CostLine(key=name, attempts=attempts, tokens=tokens, amount=MicroUsd(amount))
            for name, attempts, tokens, amount in session.exec(query)
        ]


def ledger(models: ReadModels, *, run_id: RunId | None = None) -> list[LedgerLine]:
    """Every settled attempt in order of time, of one run or of all."""
    models.catch_up("ledger")
    query = select(LedgerRow).order_by(col(LedgerRow.time), col(LedgerRow.run_id), col(LedgerRow.seq))
    if run_id is not None:
        query = query.where(LedgerRow.run_id == run_id)
    with models.reading() as session:
        return [_ledger_line(row) for row in session.exec(query)]


def merge_history(models: ReadModels, target: Branch | None = None) -> list[MergeRecord]:
    """Every entry that the queues ever had, pending ones included, in order of arrival."""
    models.catch_up("merge_history")
    query = select(MergeRow).order_by(col(MergeRow.created_at), col(MergeRow.target), col(MergeRow.id))
    if target is not None:
        query = query.where(MergeRow.target == target)
    with models.reading() as session:
        return [_merge_record(row) for row in session.exec(query)]


def audit(models: ReadModels, *, run_id: RunId | None = None) -> list[AuditLine]:
    """What people did, in order of time; in one stream or in all."""
    models.catch_up("audit")
    query = select(AuditRow).order_by(col(AuditRow.time), col(AuditRow.run_id), col(AuditRow.seq))
    if run_id is not None:
        query = query.where(AuditRow.run_id == run_id)
    with models.reading() as session:
        return [_audit_line(row) for row in session.exec(query)]


def record_tool_health(models: ReadModels, health: ToolHealth) -> None:
    """Keep the latest look at a tool in place of the one before."""
    row = ToolHealthRow(
        tool=health.tool,
        status=health.status,
        version=health.version,
        last_check=utc_text(health.last_check),
        response_time_ms=health.response_time_ms,
        warning=health.warning,
    )
    with models.writing() as session:
        session.merge(row)


def tool_health(models: ReadModels) -> list[ToolHealth]:
    """The latest look at every tool, by name."""
    with models.reading() as session:
        return [
            _tool_health(row) for row in session.exec(select(ToolHealthRow).order_by(col(ToolHealthRow.tool)))
        ]


def _workstream(row: WorkstreamRow) -> Workstream:
    return Workstream(
        run_id=RunId(row.run_id),
        node_id=NodeId(row.node_id) if row.node_id else None,
        name=row.name,
        status=row.status,
        correlation_id=CorrelationId(row.correlation_id),
        created_at=datetime.fromisoformat(row.created_at),
        updated_at=datetime.fromisoformat(row.updated_at),
    )


def _ledger_line(row: LedgerRow) -> LedgerLine:
    return LedgerLine(
        time=datetime.fromisoformat(row.time),
        task_id=row.task_id,
        run_id=RunId(row.run_id),
        node_id=NodeId(row.node_id),
        attempt=row.attempt,
        tool=ToolName(row.tool),
        model=row.model,
        action=row.action,
        tokens=row.tokens,
        amount=MicroUsd(row.amount_micro_usd),
    )


def _merge_record(row: MergeRow) -> MergeRecord:
    return MergeRecord(
        id=EntryId(row.id),
        branch=Branch(row.branch),
        target=Branch(row.target),
        status=MergeStatus(row.status),
        priority=row.priority,
        urgent=row.urgent,
        solo=row.solo,
        head=Commit(row.head),
        base=Commit(row.base),
        landed_commit=Commit(row.landed_commit) if row.landed_commit else None,
        run_id=RunId(row.run_id) if row.run_id else None,
        node_id=NodeId(row.node_id) if row.node_id else None,
        label=row.label,
        checks_required=tuple(CheckId(check) for check in row.checks_required),
        checks_passed=tuple(CheckId(check) for check in row.checks_passed),
        check_s=row.check_s,
        reason=row.reason,
        files=tuple(row.files),
        partner=row.partner,
        command=row.command,
        created_at=datetime.fromisoformat(row.created_at),
        updated_at=datetime.fromisoformat(row.updated_at),
        ended_at=datetime.fromisoformat(row.ended_at) if row.ended_at else None,
    )


def _audit_line(row: AuditRow) -> AuditLine:
    return AuditLine(
        stream=RunId(row.run_id),
        time=datetime.fromisoformat(row.time),
        who=row.who,
        action=row.action,
        subject=row.subject,
        detail=row.detail,
    )


def _tool_health(row: ToolHealthRow) -> ToolHealth:
    return ToolHealth(
        tool=ToolName(row.tool),
        status=row.status,
        version=row.version,
        last_check=datetime.fromisoformat(row.last_check),
        response_time_ms=row.response_time_ms,
        warning=row.warning,
    )
