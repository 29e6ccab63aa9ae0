"""Facts about plans, runs, money, consent and what people asked for."""

from typing import ClassVar, Final

from msgspec import field

from cli_multi_rapid.core.facts import FindingRef, ImpliedEdge, Payload, RunStatus, Usage
from cli_multi_rapid.core.ids import Branch, Commit, EntryId, NodeId, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.plan import JsonObject, Plan


class PlanReady(Payload, frozen=True, kw_only=True):
    """A planner made a plan and saved it."""

    type: ClassVar[str] = "plan.ready"
    plan_id: str
    path: str
    planner: str
    estimated_cost: MicroUsd = ZERO
    complexity: float | None = None
    confidence: float | None = None


class PlanDrafted(Payload, frozen=True, kw_only=True):
    """A model was asked for a plan, and what came of it. Without problems and reason the draft is whole."""

    type: ClassVar[str] = "plan.drafted"
    tool: ToolName
    attempt: int
    """1 is the first draft, each further one a repair."""
    log: str
    problems: tuple[str, ...] = ()
    """`file:line:column: error[code]: message`, as they were fed back."""
    reason: str = ""
    """Why no draft came."""
    duration_s: float = 0.0


class PlanAccepted(Payload, frozen=True, kw_only=True):
    """The plan that this run executes, with the order and the implied edges derived from it."""

    type: ClassVar[str] = "plan.accepted"
    plan: Plan
    order: tuple[NodeId, ...]
    """Every node once: the dispatch order among ready nodes."""
    implied: tuple[ImpliedEdge, ...] = ()
    digest: str
    source: str
    """The file, or the request, that the plan came from."""


class RunStarted(Payload, frozen=True, kw_only=True):
    """A process took up the run: the first time, or again after an end or a crash."""

    type: ClassVar[str] = "run.started"
    repository: str
    target: Branch
    base: Commit
    pid: int
    host: str
    workers: int
    budget: MicroUsd | None = None
    resumed: bool = False
    queue_seq: int = 0
    """Where the queue's stream stood: what concerns this run comes later."""
    options: JsonObject = field(default_factory=dict)


class RunPaused(Payload, frozen=True, kw_only=True):
    """No new attempts start; running ones finish."""

    type: ClassVar[str] = "run.paused"
    reason: str = ""


class RunUnpaused(Payload, frozen=True, kw_only=True):
    """Attempts start again."""

    type: ClassVar[str] = "run.unpaused"


class RunCancelling(Payload, frozen=True, kw_only=True):
    """The run is being stopped: running attempts are ended, nothing new starts."""

    type: ClassVar[str] = "run.cancelling"
    reason: str


class RunFinished(Payload, frozen=True, kw_only=True):
    """The run came to rest. It can be taken up again when something was left to do."""

    type: ClassVar[str] = "run.finished"
    status: RunStatus
    exit_code: int
    reason: str
    limit_name: str = ""
    """The limit that had no room for what a failed verification asks for; empty: none stood in its way."""
    needed: MicroUsd = ZERO
    """What that would have set aside in all."""


class BudgetReserved(Payload, frozen=True, kw_only=True):
    """Money set aside before an attempt starts."""

    type: ClassVar[str] = "budget.reserved"
    node_id: NodeId
    attempt: int
    amount: MicroUsd
    source: str
    """`est_cost`, `max_cost`, `typical` or `config`."""
    lent: MicroUsd = ZERO
    """What it may cost beyond that, by the cap that its tool is given; 0 where no limit is shared."""
    tool: ToolName | None = None
    """Whom it is for, where no node tells: the planner."""


class BudgetSettled(Payload, frozen=True, kw_only=True):
    """What an attempt really cost; its reservation is free again."""

    type: ClassVar[str] = "budget.settled"
    node_id: NodeId
    attempt: int
    tool: ToolName
    action: str
    usage: Usage


class BudgetWarned(Payload, frozen=True, kw_only=True):
    """Spending crossed the warning line. Said once."""

    type: ClassVar[str] = "budget.warned"
    spent: MicroUsd
    limit: MicroUsd
    percent: int


class BudgetHalted(Payload, frozen=True, kw_only=True):
    """Spending crossed the halting line: no new attempts. Said once."""

    type: ClassVar[str] = "budget.halted"
    spent: MicroUsd
    limit: MicroUsd
    percent: int


UNPRICED: Final = "price"
"""The name of the limit when none can be kept, because nobody can tell the cost."""


class BudgetRefused(Payload, frozen=True, kw_only=True):
    """A node was not started because it cannot fit."""

    type: ClassVar[str] = "budget.refused"
    node_id: NodeId
    needed: MicroUsd
    available: MicroUsd
    limit_name: str
    """Which limit: `run`, `node` or `day`; `price`: none can be kept, because nobody can tell the cost."""


class BudgetChanged(Payload, frozen=True, kw_only=True):
    """A person set another limit for the run."""

    type: ClassVar[str] = "budget.changed"
    limit: MicroUsd


class ApprovalRequested(Payload, frozen=True, kw_only=True):
    """A person must agree before the node starts (`before`) or lands (`landing`)."""

    type: ClassVar[str] = "approval.requested"
    node_id: NodeId
    what: str


class ApprovalGranted(Payload, frozen=True, kw_only=True):
    """A person agreed."""

    type: ClassVar[str] = "approval.granted"
    node_id: NodeId
    what: str
    by: str


class ApprovalRejected(Payload, frozen=True, kw_only=True):
    """A person refused."""

    type: ClassVar[str] = "approval.rejected"
    node_id: NodeId
    what: str
    by: str
    reason: str


class CommandGiven(Payload, frozen=True, kw_only=True):
    """A person asked for something; the loop that holds the lease answers with further events."""

    type: ClassVar[str] = "command.given"
    command: str
    """`cancel`, `pause`, `unpause`, `retry`, `approve`, `reject`, `inject`, `budget`, `withdraw`, `waive`,
    `restore`."""
    by: str
    node_id: NodeId | None = None
    entry_id: EntryId | None = None
    text: str = ""
    amount: MicroUsd | None = None
    with_dependents: bool = False
    findings: tuple[FindingRef, ...] = ()


class CommandRefused(Payload, frozen=True, kw_only=True):
    """A command could not be followed, and why. Nothing changed."""

    type: ClassVar[str] = "command.refused"
    command: str
    reason: str
