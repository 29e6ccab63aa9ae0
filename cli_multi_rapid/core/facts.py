"""The values that events are made of."""

from enum import StrEnum
from typing import ClassVar, Final

from msgspec import Struct

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.money import ZERO, MicroUsd


class FailureClass(StrEnum):
    """Why an attempt failed; decides whether trying again makes sense."""

    TOOL_FAILED = "tool_failed"
    TOOL_MISSING = "tool_missing"
    TRANSIENT = "transient"
    """The tool's service had a passing fault: overload, rate limit, network."""
    REFUSED = "refused"
    """A wrong key or a denied permission: trying again changes nothing."""
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    """The orchestrator died or was told to stop while the attempt ran."""
    NO_CHANGE = "no_change"
    MISSING_OUTPUT = "missing_output"
    OUTSIDE_CLAIMS = "outside_claims"
    UNSAFE_TREE = "unsafe_tree"
    """The slot holds what must not be committed, for example an embedded repository."""
    BASE_CONFLICT = "base_conflict"
    """The heads of the dependencies do not merge into one base."""
    HYDRATION = "hydration"
    REJECTED = "rejected"
    """A review of the landed tree found what must be put right."""
    BAD_ANSWER = "bad_answer"
    """The answer is not of the form that was asked for: it is asked for again, with what is wrong."""
    ENVIRONMENT = "environment"
    """Disk, permissions, git: the machine, not the tool."""


class Verdict(StrEnum):
    """The outcome of one check on one tree."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The check itself could not be carried out; says nothing about the tree."""
    TIMED_OUT = "timed_out"


class RunStatus(StrEnum):
    """Where a run stands, in the words of the report."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    BUDGET_STOPPED = "BUDGET_STOPPED"
    WAITING = "WAITING"


UNKNOWN: Final = "unknown"
"""The source of a cost that nobody can tell."""


class Usage(Struct, frozen=True, kw_only=True):
    """What an attempt consumed, by its tool's own account or from the price table."""

    cost: MicroUsd = ZERO
    input_tokens: int = 0
    """All that was sent, from a cache or not."""
    output_tokens: int = 0
    cached_tokens: int = 0
    """The part of the input that the provider had in its cache."""
    model: str | None = None
    source: str = "none"
    """Where the cost comes from: `tool`, `prices`, `assumed` (the attempt's end was not seen), `unknown`
    (nobody can tell, so `cost` is not to be shown as 0) or `none` (nothing was spent)."""

    @property
    def unknown(self) -> bool:
        """Whether something was spent and nobody can tell how much."""
        return self.source == UNKNOWN

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class ChangedFile(Struct, frozen=True, kw_only=True):
    """One path that an attempt changed. Binary files count no lines."""

    path: str
    status: str
    """A, M, D, R or T, as git names them."""
    added: int = 0
    removed: int = 0
    old_path: str | None = None


class ImpliedEdge(Struct, frozen=True, kw_only=True):
    """An order between two nodes that comes from their claims, not from the plan's `deps`."""

    before: NodeId
    after: NodeId
    reason: str


class FindingRef(Struct, frozen=True, kw_only=True):
    """One finding of one verdict on the landed tree."""

    node_id: NodeId
    attempt: int
    """Of the node that verifies."""
    number: int
    """Its place among all findings of the verdict, from 1."""

    @property
    def name(self) -> str:
        """`look.1`, as people call it: then the last verdict of the node is meant."""
        return f"{self.node_id}.{self.number}"


class Payload(Struct, frozen=True, kw_only=True):
    """The facts of one event. Each subclass names its `type` and `version` and is listed in `CATALOGUE`."""

    type: ClassVar[str]
    version: ClassVar[int] = 1
