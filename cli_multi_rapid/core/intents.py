"""What the scheduler wants done. Intents are data: only the engine acts on them."""

from dataclasses import dataclass
from datetime import datetime

from cli_multi_rapid.core.facts import FailureClass, RunStatus
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import MicroUsd


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Run a node once."""

    node_id: NodeId
    attempt: int
    tool: ToolName
    reason: str
    reserve: MicroUsd
    reserve_source: str
    cap: MicroUsd | None
    """The most it may cost; None for tools that cost nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseForBudget:
    """Skip a node that cannot fit."""

    node_id: NodeId
    needed: MicroUsd
    available: MicroUsd
    limit_name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskApproval:
    """Ask a person about a node: `before` it starts, or before its `landing`."""

    node_id: NodeId
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue:
    """Give a node's sealed work to the merge queue."""

    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryNode:
    """Try a node again after its last attempt failed."""

    node_id: NodeId
    not_before: datetime
    reason: str
    tool: ToolName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReworkNode:
    """Do a node again on the new target, because its sealed work cannot land."""

    node_id: NodeId
    reason: str
    evidence: str
    tool: ToolName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBreaker:
    """Give a tool nothing more for a while, or for a longer while."""

    tool: ToolName
    until: datetime
    failures: int
    failed_trials: int
    failure: FailureClass
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseBreaker:
    """Give a tool work as before."""

    tool: ToolName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailNode:
    """Give a node up: after its last attempt failed, or because no tool is left that could do it."""

    node_id: NodeId
    failure: FailureClass
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Take a node's entry out of the merge queue."""

    node_id: NodeId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelNode:
    """Call off a node that has not started."""

    node_id: NodeId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """End a running attempt with its whole process tree."""

    node_id: NodeId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WarnBudget:
    """Say once that spending crossed a line; `halt` when no more paid nodes will start."""

    percent: int
    halt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeAt:
    """Nothing to do before this time."""

    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRun:
    """The run has come to rest."""

    status: RunStatus
    exit_code: int
    reason: str


Intent = (
    StartAttempt
    | RetryNode
    | ReworkNode
    | OpenBreaker
    | CloseBreaker
    | FailNode
    | RefuseForBudget
    | AskApproval
    | Enqueue
    | Withdraw
    | CancelNode
    | StopAttempt
    | WarnBudget
    | WakeAt
    | FinishRun
)
