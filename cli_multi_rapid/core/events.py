"""The event catalogue: every fact that this program records, with its envelope and its way to JSON and back.

Events are past tense, immutable and typed: their fields are defined once, in `run_events`, `node_events`,
`merge_events` and their neighbours. The store writes them as JSON and lifts old versions at its edge. A type
that this release does not know is kept as `Unknown` and skipped by the fold, never dropped.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from msgspec import Struct

from cli_multi_rapid.core.codec import CorruptDocument, from_data, to_data
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import CorrelationId, EventId, RunId
from cli_multi_rapid.core.inquiry_events import MergeAcquitted, MergeProbed, MergeQuestioned
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    CheckStarted,
    MergeApproved,
    MergeCancelled,
    MergeChecking,
    MergeConflicted,
    MergeDeferred,
    MergeEnqueued,
    MergeFailed,
    MergeHalted,
    MergeHeld,
    MergeLanded,
    MergeLanding,
    MergeMissed,
    MergePreempted,
    MergeResealed,
    MergeResumed,
    MergeSplit,
    MergeVouched,
)
from cli_multi_rapid.core.node_events import (
    ContextInjected,
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
    WorktreeKept,
)
from cli_multi_rapid.core.plan import JsonObject
from cli_multi_rapid.core.run_events import (
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRequested,
    BudgetChanged,
    BudgetHalted,
    BudgetRefused,
    BudgetReserved,
    BudgetSettled,
    BudgetWarned,
    CommandGiven,
    CommandRefused,
    PlanAccepted,
    PlanDrafted,
    PlanReady,
    RunCancelling,
    RunFinished,
    RunPaused,
    RunStarted,
    RunUnpaused,
)
from cli_multi_rapid.core.tool_events import BreakerClosed, BreakerOpened, ToolPinged
from cli_multi_rapid.core.verification_events import (
    FindingRestored,
    FindingWaived,
    NodeExcused,
    NodeVerified,
    PlanAmended,
    PlanProposed,
)


class Unknown(Payload, frozen=True, kw_only=True):
    """An event of a type or version that this release does not know: kept as it is, skipped by the fold."""

    type: ClassVar[str] = "unknown"
    name: str
    of_version: int
    data: JsonObject


CATALOGUE: Mapping[str, type[Payload]] = {
    payload.type: payload
    for payload in (
        PlanDrafted, PlanReady, PlanAccepted, RunStarted, RunPaused, RunUnpaused, RunCancelling, RunFinished,
        NodeStarted, NodeBased, NodeSucceeded, NodeAttemptFailed, NodeRetryScheduled, NodeFailed, NodeSkipped,
        NodeReworkScheduled, NodeCancelled, NodeReset, WorktreeKept, ContextInjected,
        BudgetReserved, BudgetSettled, BudgetWarned, BudgetHalted, BudgetRefused, BudgetChanged,
        ApprovalRequested, ApprovalGranted, ApprovalRejected,
        MergeEnqueued, MergeApproved, MergeChecking, MergeDeferred, MergeSplit, MergeVouched, MergePreempted,
        MergeQuestioned, MergeProbed, MergeAcquitted, MergeLanding, MergeLanded, MergeMissed,
        MergeHeld, MergeResealed, MergeConflicted, MergeFailed, MergeCancelled, MergeHalted, MergeResumed,
        CheckStarted, CheckFinished, CommandGiven, CommandRefused,
        ToolPinged, BreakerOpened, BreakerClosed,
        NodeVerified, PlanProposed, PlanAmended, FindingWaived, FindingRestored, NodeExcused,
    )
}  # fmt: skip
"""Every event type by its name."""

DURABLE: frozenset[str] = frozenset(
    name
    for name in CATALOGUE
    if name.startswith(("merge.land", "budget.", "approval.")) or name == "merge.approved"
)
"""Types that are on disk (full sync) before anybody acts on them."""

Lifter = Callable[[dict[str, Any]], dict[str, Any]]
LIFTERS: Mapping[tuple[str, int], Lifter] = {}
"""(type, version) -> the function that lifts its data by one version. Empty while all are at 1."""


class NewEvent(Struct, frozen=True, kw_only=True):
    """A fact about to be appended; the store gives it its place in the stream."""

    id: EventId
    time: datetime
    source: str
    data: Payload
    causation_id: EventId | None = None
    correlation_id: CorrelationId | None = None


class Event(Struct, frozen=True, kw_only=True):
    """An appended fact: the envelope of `architecture.md`. `seq` counts from 1 without gaps per stream."""

    id: EventId
    seq: int
    run_id: RunId
    time: datetime
    source: str
    data: Payload
    causation_id: EventId | None = None
    correlation_id: CorrelationId | None = None

    @property
    def type(self) -> str:
        """The dotted name in the catalogue."""
        return self.data.name if isinstance(self.data, Unknown) else self.data.type

    @property
    def version(self) -> int:
        """The version of the type's fields."""
        return self.data.of_version if isinstance(self.data, Unknown) else self.data.version


def payload_to_data(payload: Payload) -> dict[str, Any]:
    """The JSON fields of a payload."""
    if isinstance(payload, Unknown):
        return dict(payload.data)
    result: dict[str, Any] = to_data(payload)
    return result


def payload_from_data(name: str, version: int, data: dict[str, Any]) -> Payload:
    """Read a payload back, lifted to the newest version. Raises `CorruptDocument` when fields do not fit."""
    known = CATALOGUE.get(name)
    if known is None or version > known.version:
        return Unknown(name=name, of_version=version, data=data)
    return from_data(known, _lift(name, version, known.version, data))


def _lift(name: str, version: int, newest: int, data: dict[str, Any]) -> dict[str, Any]:
    try:
        for old in range(version, newest):
            data = LIFTERS[name, old](data)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CorruptDocument(f"{name} of version {version} cannot be lifted: {error!r}") from error
    return data
