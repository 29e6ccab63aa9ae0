"""What is known of one node, and the table of how its status may change."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from cli_multi_rapid.core.facts import FailureClass, FindingRef, Payload, Usage
from cli_multi_rapid.core.ids import Branch, Commit, EntryId, NodeId, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.node_events import (
    NodeAttemptFailed,
    NodeBased,
    NodeCancelled,
    NodeFailed,
    NodeReset,
    NodeRetryScheduled,
    NodeReworkScheduled,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
)
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.run_events import ApprovalGranted, ApprovalRejected, ApprovalRequested
from cli_multi_rapid.core.verification_events import (
    FindingRestored,
    FindingWaived,
    NodeExcused,
    NodeVerified,
    PlanAmended,
    PlanProposed,
)


class NodeStatus(StrEnum):
    """Where a node stands. `BLOCKED` is derived: a dependency of it cannot complete or land."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"


class MergeStatus(StrEnum):
    """Where a node's work, or any entry of a queue, stands on its way to the target."""

    QUEUED = "QUEUED"
    CHECKING = "CHECKING"
    MERGING = "MERGING"
    MERGED = "MERGED"
    FAILED = "FAILED"
    CONFLICTED = "CONFLICTED"
    CANCELLED = "CANCELLED"
    BLOCKED = "BLOCKED"


MERGE_DEAD = frozenset({MergeStatus.FAILED, MergeStatus.CONFLICTED, MergeStatus.CANCELLED})
REFUSALS = frozenset({MergeStatus.FAILED, MergeStatus.CONFLICTED})
"""The work itself is why it does not land."""
_DEAD = frozenset({NodeStatus.FAILED, NodeStatus.SKIPPED, NodeStatus.CANCELLED})

TRANSITIONS: Mapping[tuple[NodeStatus, type[Payload]], NodeStatus] = {
    (NodeStatus.PENDING, NodeStarted): NodeStatus.RUNNING,
    (NodeStatus.PENDING, ApprovalRequested): NodeStatus.WAITING,
    (NodeStatus.PENDING, NodeRetryScheduled): NodeStatus.PENDING,
    (NodeStatus.PENDING, NodeFailed): NodeStatus.FAILED,
    (NodeStatus.PENDING, NodeSkipped): NodeStatus.SKIPPED,
    (NodeStatus.PENDING, NodeCancelled): NodeStatus.CANCELLED,
    (NodeStatus.WAITING, ApprovalGranted): NodeStatus.PENDING,
    (NodeStatus.WAITING, ApprovalRejected): NodeStatus.WAITING,
    (NodeStatus.WAITING, NodeFailed): NodeStatus.FAILED,
    (NodeStatus.WAITING, NodeSkipped): NodeStatus.SKIPPED,
    (NodeStatus.WAITING, NodeCancelled): NodeStatus.CANCELLED,
    (NodeStatus.RUNNING, NodeBased): NodeStatus.RUNNING,
    (NodeStatus.RUNNING, NodeVerified): NodeStatus.RUNNING,
    (NodeStatus.RUNNING, PlanProposed): NodeStatus.RUNNING,
    (NodeStatus.RUNNING, NodeSucceeded): NodeStatus.COMPLETED,
    (NodeStatus.RUNNING, NodeAttemptFailed): NodeStatus.PENDING,
    (NodeStatus.COMPLETED, ApprovalRequested): NodeStatus.COMPLETED,
    (NodeStatus.COMPLETED, ApprovalGranted): NodeStatus.COMPLETED,
    (NodeStatus.COMPLETED, ApprovalRejected): NodeStatus.COMPLETED,
    (NodeStatus.COMPLETED, NodeReworkScheduled): NodeStatus.PENDING,
    (NodeStatus.COMPLETED, NodeReset): NodeStatus.PENDING,
    (NodeStatus.COMPLETED, PlanAmended): NodeStatus.PENDING,
    (NodeStatus.FAILED, PlanAmended): NodeStatus.PENDING,
    (NodeStatus.FAILED, NodeReset): NodeStatus.PENDING,
    (NodeStatus.SKIPPED, NodeReset): NodeStatus.PENDING,
    (NodeStatus.CANCELLED, NodeReset): NodeStatus.PENDING,
    (NodeStatus.FAILED, FindingWaived): NodeStatus.FAILED,
    (NodeStatus.PENDING, FindingWaived): NodeStatus.PENDING,
    (NodeStatus.WAITING, FindingWaived): NodeStatus.WAITING,
    (NodeStatus.FAILED, FindingRestored): NodeStatus.FAILED,
    (NodeStatus.PENDING, FindingRestored): NodeStatus.PENDING,
    (NodeStatus.WAITING, FindingRestored): NodeStatus.WAITING,
    (NodeStatus.COMPLETED, FindingRestored): NodeStatus.FAILED,
    (NodeStatus.FAILED, NodeExcused): NodeStatus.COMPLETED,
    (NodeStatus.PENDING, NodeExcused): NodeStatus.COMPLETED,
    (NodeStatus.WAITING, NodeExcused): NodeStatus.COMPLETED,
    (NodeStatus.SKIPPED, NodeExcused): NodeStatus.COMPLETED,
    (NodeStatus.CANCELLED, NodeExcused): NodeStatus.COMPLETED,
    (NodeStatus.COMPLETED, NodeExcused): NodeStatus.COMPLETED,
}
"""(status, event) -> status. Every pair that is not listed is illegal."""


class Waiver(Struct, frozen=True, kw_only=True):
    """A person's word that a finding is none, and when it was given."""

    fact: FindingWaived
    time: datetime


class Attempt(Struct, kw_only=True):
    """One try of a node by one tool."""

    number: int
    tool: ToolName
    started_at: datetime
    slot: str
    log: str
    reason: str
    sandbox: str = ""
    """How its tool is confined, in words; empty: it is not."""
    base: Commit | None = None
    ended_at: datetime | None = None
    failure: FailureClass | None = None
    outcome: str = ""
    """The reason of a failure, or the tool's summary of its success."""
    evidence: str = ""
    branch: Branch | None = None
    commit: Commit | None = None
    """Where we made the branch point."""
    kept: str = ""
    """The folder that still holds the work, when no branch could take it."""
    usage: Usage = field(default_factory=Usage)
    session_id: str | None = None
    duration_s: float = 0.0
    verified: NodeVerified | None = None
    """The verdict that it came to, when it verifies."""
    proposal: PlanProposed | None = None
    """The plan that it made, when it plans."""
    refused: str = ""
    """Why its sealed work was given back to be done again, if it was: nothing may be built on it then."""

    def end(self, data: NodeSucceeded | NodeAttemptFailed, ended_at: datetime) -> None:
        """It came to an end, whichever."""
        self.ended_at, self.usage, self.duration_s = ended_at, data.usage, data.duration_s
        self.branch, self.commit, self.session_id = data.branch, data.commit, data.session_id
        if isinstance(data, NodeSucceeded):
            self.outcome = data.summary
        else:
            self.outcome, self.evidence, self.failure = data.reason, data.evidence, data.failure
            self.kept = data.slot or ""

    @classmethod
    def begun(cls, data: NodeStarted, time: datetime) -> "Attempt":
        """An attempt as it is when it begins."""
        return cls(
            number=data.attempt,
            tool=data.tool,
            started_at=time,
            slot=data.slot,
            log=data.log,
            reason=data.reason,
            sandbox=data.sandbox,
        )


class Footing(Struct, frozen=True, kw_only=True):
    """Sealed work that an attempt was built on."""

    node_id: NodeId
    attempt: int
    needed: bool
    """Whether the node depends on it; else it merely comes before because of claims."""


class NodeState(Struct, kw_only=True):
    """All that is known of one node."""

    node: Node
    status: NodeStatus = NodeStatus.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    tries: int = 0
    """Attempts since the node was last reset, or given back for rework."""
    spent: MicroUsd = ZERO
    """What its attempts are known to have cost since it was last reset, by a person or for another look."""
    refusals: dict[ToolName, int] = field(default_factory=dict)
    """How often each tool's work could not land and was given back, since the node was last reset."""
    rework: NodeReworkScheduled | None = None
    """Why it is being done again, when it is because its work could not land."""
    reason: str = ""
    failure: FailureClass | None = None
    by_budget: bool = False
    undecided: bool = False
    """An attempt failed and what follows is not recorded yet."""
    not_before: datetime | None = None
    next_tool: ToolName | None = None
    requested: set[str] = field(default_factory=set)
    """The approvals asked for and not yet answered: `before`, `landing`."""
    granted: set[str] = field(default_factory=set)
    success: NodeSucceeded | None = None
    entry_id: EntryId | None = None
    entries: int = 0
    """How many entries this node has had in the queue."""
    queued_as: dict[int, EntryId] = field(default_factory=dict)
    """The entry of each attempt whose work was given to the queue."""
    foundation: tuple[Footing, ...] = ()
    """What the last attempt was built on."""
    behind: tuple[EntryId, ...] = ()
    """The entries that must land, or leave the queue, before this node's entry."""
    head: Commit | None = None
    """The sealed head: what dependents build on and what lands."""
    merge_status: MergeStatus | None = None
    merge_reason: str = ""
    merge_files: tuple[str, ...] = ()
    merge_log: str = ""
    merge_evidence: str = ""
    lost_footing: bool = False
    """Its entry left the queue because work that it was built on did not land."""
    landed_commit: Commit | None = None
    held_command: str = ""
    blocked_by: NodeId | None = None
    context: list[str] = field(default_factory=list)
    waived: dict[FindingRef, Waiver] = field(default_factory=dict)
    """Of its findings, of all its verdicts, those that a person does not share."""
    excused: bool = False
    """It counts as done because nothing is left to do for it, and not because of what it did."""
    open_edges: set[NodeId] = field(default_factory=set)
    """The predecessors that this node still waits for."""

    def pay(self, usage: Usage) -> None:
        """Book what an attempt cost; what is only assumed counts for the run, or a crash ends the node."""
        if usage.source != "assumed":
            self.spent = MicroUsd(self.spent + usage.cost)

    def start_over(self, reason: str) -> None:
        """Forget all but the attempts: as if it had never run."""
        self._forget_work(reason)
        self.next_tool, self.refusals, self.rework, self.spent = None, {}, None, ZERO
        self.requested, self.granted = set(), set()

    def give_back(self, data: NodeReworkScheduled) -> None:
        """Forget the sealed work, which cannot land, but not who did it and how often it was refused."""
        last = self.attempts[-1]
        last.refused = data.reason
        if self.merge_status in REFUSALS:
            self.refusals[last.tool] = self.refusals.get(last.tool, 0) + 1
        self._forget_work(data.reason)
        self.next_tool, self.rework = data.tool or self.next_tool, data
        self.requested, self.granted = set(), self.granted & {"before"}

    def excuse(self, reason: str) -> None:
        """Nothing is left to do for it, whatever became of it."""
        self._forget_work(reason)
        self.excused, self.undecided, self.blocked_by, self.requested = True, False, None, set()

    def accuse_again(self) -> None:
        """It stands where its last verdict left it."""
        last = self.attempts[-1]
        self.excused, self.failure, self.reason = False, last.failure, last.outcome

    def _forget_work(self, reason: str) -> None:
        self.tries, self.reason, self.failure, self.by_budget = 0, reason, None, False
        self.not_before, self.success, self.head = None, None, None
        self.merge_status, self.merge_reason, self.entry_id, self.held_command = None, "", None, ""
        self.merge_files, self.merge_log, self.merge_evidence, self.behind = (), "", "", ()
        self.lost_footing, self.excused = False, False

    @property
    def lanes(self) -> int:
        """How many names of its branches are taken: each attempt whose work was sealed has one."""
        sealed = (one for one in self.attempts if one.ended_at and one.failure is None and one.branch)
        return max(self.entries, sum(1 for _ in sealed))

    @property
    def shown_status(self) -> NodeStatus:
        """The status that people see: a pending node behind a dead dependency is blocked."""
        pending = self.status in (NodeStatus.PENDING, NodeStatus.WAITING)
        return NodeStatus.BLOCKED if pending and self.blocked_by else self.status

    @property
    def dead(self) -> bool:
        """Whether its dependents can no longer count on it."""
        return self.status in _DEAD or self.blocked_by is not None or self.merge_status in MERGE_DEAD

    @property
    def sealed(self) -> bool:
        """Whether there is sealed work of it to build on."""
        return self.head is not None and self.status is NodeStatus.COMPLETED and not self.dead

    @property
    def idle(self) -> bool:
        """Whether it completed without a change: it stands for what it depends on."""
        return self.head is None and self.status is NodeStatus.COMPLETED

    @property
    def landed(self) -> bool:
        """Whether nothing of it is left to land."""
        if self.status is not NodeStatus.COMPLETED:
            return False
        return self.head is None or self.merge_status is MergeStatus.MERGED

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to it without a person."""
        return (self.dead and self.status is not NodeStatus.RUNNING) or self.landed
