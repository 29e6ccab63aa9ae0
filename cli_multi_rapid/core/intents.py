"""What the scheduler wants done. Intents are data: only the engine acts on them."""

from datetime import datetime

from msgspec import Struct

from cli_multi_rapid.core.facts import FailureClass, RunStatus
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.verification_events import PlanAmended


class StartAttempt(Struct, frozen=True, kw_only=True):
    """Run a node once."""

    node_id: NodeId
    attempt: int
    tool: ToolName
    reason: str
    reserve: MicroUsd
    reserve_source: str
    cap: MicroUsd | None
    """The most it may cost; None for tools that cost nothing."""
    lent: MicroUsd = ZERO
    """The part of the cap beyond the reservation that others must do without."""


class RefuseForBudget(Struct, frozen=True, kw_only=True):
    """Skip a node that cannot fit."""

    node_id: NodeId
    needed: MicroUsd
    available: MicroUsd
    limit_name: str
    reason: str


class ExcuseNode(Struct, frozen=True, kw_only=True):
    """There is nothing for a node to do: it counts as done, without an attempt."""

    node_id: NodeId
    reason: str


class AskApproval(Struct, frozen=True, kw_only=True):
    """Ask a person about a node: `before` it starts, or before its `landing`."""

    node_id: NodeId
    what: str


class Enqueue(Struct, frozen=True, kw_only=True):
    """Give a node's sealed work to the merge queue."""

    node_id: NodeId


class RetryNode(Struct, frozen=True, kw_only=True):
    """Try a node again after its last attempt failed."""

    node_id: NodeId
    not_before: datetime
    reason: str
    tool: ToolName | None


class ReworkNode(Struct, frozen=True, kw_only=True):
    """Do a node again on the new target, because its sealed work cannot land."""

    node_id: NodeId
    reason: str
    evidence: str
    tool: ToolName | None


class OpenBreaker(Struct, frozen=True, kw_only=True):
    """Give a tool nothing more for a while, or for a longer while."""

    tool: ToolName
    until: datetime
    failures: int
    failed_trials: int
    failure: FailureClass
    reason: str


class CloseBreaker(Struct, frozen=True, kw_only=True):
    """Give a tool work as before."""

    tool: ToolName
    reason: str


class FailNode(Struct, frozen=True, kw_only=True):
    """Give a node up: after its last attempt failed, or because no tool is left that could do it."""

    node_id: NodeId
    failure: FailureClass
    reason: str


class Withdraw(Struct, frozen=True, kw_only=True):
    """Take a node's entry out of the merge queue."""

    node_id: NodeId
    reason: str


class CancelNode(Struct, frozen=True, kw_only=True):
    """Call off a node that has not started."""

    node_id: NodeId
    reason: str


class StopAttempt(Struct, frozen=True, kw_only=True):
    """End a running attempt with its whole process tree."""

    node_id: NodeId
    reason: str


class AmendPlan(Struct, frozen=True, kw_only=True):
    """Add nodes to the running plan. The fields are those of the event."""

    amended: PlanAmended


class WarnBudget(Struct, frozen=True, kw_only=True):
    """Say once that spending crossed a line; `halt` when no more paid nodes will start."""

    percent: int
    halt: bool


class WakeAt(Struct, frozen=True, kw_only=True):
    """Nothing to do before this time."""

    time: datetime


class FinishRun(Struct, frozen=True, kw_only=True):
    """The run has come to rest. The fields are those of `RunFinished`."""

    status: RunStatus
    exit_code: int
    reason: str
    limit_name: str = ""
    needed: MicroUsd = ZERO


Intent = (
    StartAttempt
    | RetryNode
    | ReworkNode
    | OpenBreaker
    | CloseBreaker
    | FailNode
    | ExcuseNode
    | RefuseForBudget
    | AskApproval
    | Enqueue
    | Withdraw
    | CancelNode
    | StopAttempt
    | WarnBudget
    | AmendPlan
    | WakeAt
    | FinishRun
)
