"""Facts about what verifies the landed tree, and about the nodes that were added because of it."""

from enum import StrEnum
from typing import ClassVar, Final

from msgspec import Struct

from cli_multi_rapid.core.facts import FindingRef, ImpliedEdge, Payload, Verdict
from cli_multi_rapid.core.ids import CheckId, Commit, NodeId, Tree
from cli_multi_rapid.core.plan import Node


class Severity(StrEnum):
    """How much a finding matters, the most first."""

    BLOCKER = "blocker"
    MAJOR = "major"
    MINOR = "minor"


BLOCKING: Final = frozenset({Severity.BLOCKER, Severity.MAJOR})
"""A tree with such a finding has not passed. A minor one is told, and no more."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a tree."""

    summary: str
    severity: Severity
    check: CheckId | None = None
    """The check that failed; None: a review found it."""
    file: str = ""
    """From the repository's root; empty: no single file."""
    line: int | None = None
    """Counted from 1; None: the whole file."""
    node: NodeId | None = None
    """The node whose work it is about, where one is named."""
    evidence: str = ""
    """The bounded, redacted end of a check's output."""

    @property
    def blocks(self) -> bool:
        """Whether the tree cannot pass with it."""
        return self.severity in BLOCKING

    @property
    def place(self) -> str:
        """`src/a.py:12`; empty when no file is named."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file


class NodeVerified(Payload, frozen=True, kw_only=True):
    """A verifying node came to a verdict on a landed tree; how its attempt ended is a fact of its own."""

    type: ClassVar[str] = "node.verified"
    node_id: NodeId
    attempt: int
    commit: Commit
    tree: Tree
    verdict: Verdict
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    dropped: tuple[str, ...] = ()
    """Files that a reviewer wrote although it may change nothing: they were thrown away."""


class PlanProposed(Payload, frozen=True, kw_only=True):
    """A planning node made a plan of what is to be put right. Nothing of it runs before `plan.amended`."""

    type: ClassVar[str] = "plan.proposed"
    node_id: NodeId
    attempt: int
    nodes: tuple[Node, ...]
    """As the model named them; they get ids of their own in the run."""


class Cause(Struct, frozen=True, kw_only=True):
    """The attempt of a node that gave rise to something."""

    node_id: NodeId
    attempt: int


class Amending(StrEnum):
    """What an amendment adds."""

    FIX = "fix"
    """A node for each failure."""
    PLANNING = "planning"
    """A node that plans what is to be done."""
    REMEDY = "remedy"
    """The nodes of such a plan."""


class Fix(Struct, frozen=True, kw_only=True):
    """What an added node is to put right."""

    node_id: NodeId
    findings: tuple[FindingRef, ...]


class PlanAmended(Payload, frozen=True, kw_only=True):
    """Nodes were added to the running plan, because its verification failed."""

    type: ClassVar[str] = "plan.amended"
    kind: Amending
    number: int
    """The round of repairs, from 1. The planning and the nodes that come of it are one round."""
    nodes: tuple[Node, ...]
    again: tuple[NodeId, ...] = ()
    """Verifying nodes that come after all these nodes from now on, and are done again."""
    causes: tuple[Cause, ...]
    """The failed verifications, or the planning, that this answers."""
    reason: str
    order: tuple[NodeId, ...]
    """Every node of the amended plan once, as in `plan.accepted`."""
    implied: tuple[ImpliedEdge, ...] = ()
    fixes: tuple[Fix, ...] = ()
    """Which node is for what; empty where a plan is for all of it, and in events of earlier releases."""


class FindingWaived(Payload, frozen=True, kw_only=True):
    """A person said that a finding is none: it keeps nothing from passing any more, and is not put right."""

    type: ClassVar[str] = "node.finding_waived"
    finding: FindingRef
    summary: str
    """What the review said, with its place."""
    by: str
    reason: str


class FindingRestored(Payload, frozen=True, kw_only=True):
    """A person took such a word back: the finding counts again."""

    type: ClassVar[str] = "node.finding_restored"
    finding: FindingRef
    by: str
    reason: str = ""


class NodeExcused(Payload, frozen=True, kw_only=True):
    """Nothing is left for the node to do: it counts as done, without a change.

    What it failed for, or was to put right, was waived; or it is a review, and nothing has landed for it.
    """

    type: ClassVar[str] = "node.excused"
    node_id: NodeId
    reason: str
