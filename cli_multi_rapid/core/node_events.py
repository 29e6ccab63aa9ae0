"""Facts about nodes, their attempts and slots."""

from datetime import datetime
from typing import ClassVar

from msgspec import field

from cli_multi_rapid.core.facts import ChangedFile, FailureClass, Payload, Usage
from cli_multi_rapid.core.ids import Branch, Commit, NodeId, ToolName, Tree


class NodeStarted(Payload, frozen=True, kw_only=True):
    """An attempt is about to begin; recorded before its slot or process exists."""

    type: ClassVar[str] = "node.started"
    node_id: NodeId
    attempt: int
    tool: ToolName
    reason: str
    """Why this node now, with this tool."""
    slot: str
    log: str
    sandbox: str = ""
    """How the tool is confined, in words; empty: it is not."""


class NodeBased(Payload, frozen=True, kw_only=True):
    """The commit that the attempt works on: the target's tip plus the sealed heads of its dependencies."""

    type: ClassVar[str] = "node.based"
    node_id: NodeId
    attempt: int
    base: Commit
    tip: Commit
    merged: tuple[NodeId, ...] = ()


class NodeSucceeded(Payload, frozen=True, kw_only=True):
    """The attempt's work passed the look at the tree. Without `commit` there was nothing to land."""

    type: ClassVar[str] = "node.succeeded"
    node_id: NodeId
    attempt: int
    summary: str = ""
    branch: Branch | None = None
    base: Commit | None = None
    commit: Commit | None = None
    tree: Tree | None = None
    files: tuple[ChangedFile, ...] = ()
    usage: Usage = field(default_factory=Usage)
    session_id: str | None = None
    warnings: tuple[str, ...] = ()
    duration_s: float = 0.0


class NodeAttemptFailed(Payload, frozen=True, kw_only=True):
    """One attempt failed; whether the node is tried again is a separate fact."""

    type: ClassVar[str] = "node.attempt_failed"
    node_id: NodeId
    attempt: int
    failure: FailureClass
    reason: str
    evidence: str = ""
    """The bounded, redacted end of the output, or the paths that were refused."""
    branch: Branch | None = None
    """Where the attempt's work was kept, when there was any."""
    commit: Commit | None = None
    usage: Usage = field(default_factory=Usage)
    session_id: str | None = None
    slot: str | None = None
    """The slot, when it was kept."""
    duration_s: float = 0.0


class NodeRetryScheduled(Payload, frozen=True, kw_only=True):
    """The node will be tried again, not before a time."""

    type: ClassVar[str] = "node.retry_scheduled"
    node_id: NodeId
    not_before: datetime
    reason: str
    tool: ToolName | None = None
    """Another tool than before, when the fallback chain moved on."""


class NodeReworkScheduled(Payload, frozen=True, kw_only=True):
    """The node's sealed work cannot land: it will be done again on the target as it is by then."""

    type: ClassVar[str] = "node.rework_scheduled"
    node_id: NodeId
    reason: str
    evidence: str = ""
    """What the next attempt finds in its prompt."""
    tool: ToolName | None = None
    """Another tool than before, when the fallback chain moved on."""


class NodeFailed(Payload, frozen=True, kw_only=True):
    """The node's final state: it will not be tried again unless a person says so."""

    type: ClassVar[str] = "node.failed"
    node_id: NodeId
    failure: FailureClass
    reason: str


class NodeSkipped(Payload, frozen=True, kw_only=True):
    """The node was not run on purpose: no budget, or a condition that does not hold."""

    type: ClassVar[str] = "node.skipped"
    node_id: NodeId
    reason: str
    by_budget: bool = False


class NodeCancelled(Payload, frozen=True, kw_only=True):
    """The node was called off before it completed."""

    type: ClassVar[str] = "node.cancelled"
    node_id: NodeId
    reason: str


class NodeReset(Payload, frozen=True, kw_only=True):
    """A person asked for the node again: it is pending as if it had never run."""

    type: ClassVar[str] = "node.reset"
    node_id: NodeId
    reason: str


class WorktreeKept(Payload, frozen=True, kw_only=True):
    """A slot stays on disk for a person to look at."""

    type: ClassVar[str] = "worktree.kept"
    node_id: NodeId
    attempt: int
    path: str
    reason: str


class ContextInjected(Payload, frozen=True, kw_only=True):
    """Text that the next attempt of a node (or of every node) finds in its prompt."""

    type: ClassVar[str] = "node.context_injected"
    node_id: NodeId | None
    text: str
