"""The tables of the read models, in the state database beside the log. Heavy to import: only where needed.

They can be dropped at any time. Times are text in UTC, all of one length, as in the log; money is in
micro-dollars.
"""

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel


class PositionRow(SQLModel, table=True):
    """How far a projection has read a stream."""

    __tablename__ = "projection_positions"
    projection: str = Field(primary_key=True)
    run_id: str = Field(primary_key=True)
    seq: int


class ProjectionRow(SQLModel, table=True):
    """The layout that a projection's tables have; another release may want another."""

    __tablename__ = "projections"
    name: str = Field(primary_key=True)
    version: int


class WorkstreamRow(SQLModel, table=True):
    """A run (without a node) or one of its nodes."""

    __tablename__ = "workstreams"
    run_id: str = Field(primary_key=True)
    node_id: str = Field(default="", primary_key=True)
    """Empty for the run itself."""
    place: int
    """0 for the run, then the nodes in plan order."""
    name: str
    status: str = Field(index=True)
    correlation_id: str = Field(index=True)
    created_at: str = Field(index=True)
    updated_at: str


class LedgerRow(SQLModel, table=True):
    """What one attempt cost."""

    __tablename__ = "ledger"
    run_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    time: str = Field(index=True)
    task_id: str
    node_id: str
    attempt: int
    tool: str
    model: str | None
    action: str
    tokens: int
    amount_micro_usd: int


class MergeRow(SQLModel, table=True):
    """One entry of a merge queue."""

    __tablename__ = "merge_history"
    __table_args__ = (Index("merge_history_by_time", "target", "created_at"),)
    target: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    branch: str
    status: str
    priority: int
    urgent: bool
    solo: bool
    head: str
    base: str
    landed_commit: str | None
    run_id: str | None = Field(index=True)
    node_id: str | None
    label: str
    checks_required: list[str] = Field(sa_column=Column(JSON, nullable=False))
    checks_passed: list[str] = Field(sa_column=Column(JSON, nullable=False))
    check_s: float
    reason: str
    files: list[str] = Field(sa_column=Column(JSON, nullable=False))
    partner: str
    command: str
    created_at: str
    updated_at: str
    ended_at: str | None


class AuditRow(SQLModel, table=True):
    """Who asked for, approved or refused what."""

    __tablename__ = "audit"
    run_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    time: str = Field(index=True)
    who: str
    action: str
    subject: str
    """The node or entry that it is about; empty for the whole stream."""
    detail: str


class ToolHealthRow(SQLModel, table=True):
    """The last look at a tool. Not derived from events: the newest look replaces the one before."""

    __tablename__ = "tool_health"
    tool: str = Field(primary_key=True)
    status: str
    version: str | None
    last_check: str
    response_time_ms: int | None
    warning: str
