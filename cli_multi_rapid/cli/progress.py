"""One plain line for each notable event of a run, for the person who waits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cli_multi_rapid.core import merge_events as merge
from cli_multi_rapid.core import node_events as node
from cli_multi_rapid.core import run_events as run
from cli_multi_rapid.core import tool_events as tool
from cli_multi_rapid.core import verification_events as verification
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import EntryId, EventId, NodeId
from cli_multi_rapid.core.money import format_usd
from cli_multi_rapid.core.routing import NAMED
from cli_multi_rapid.reports.amendments import amended_line
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import span

_LONGEST = 300


class Narrator:
    """Tells a run's events; remembers which node each merge entry belongs to."""

    def __init__(self) -> None:
        self._nodes: dict[EntryId, NodeId] = {}
        self._halt = ""
        self.earlier: Mapping[EventId, datetime] = {}
        """When that happened which this run is told of only now, by the event that told it first."""

    def line_of(self, event: Event) -> str | None:
        """`12:03:05 n1 started (shell)`, in local time; None for events that are not worth a line."""
        data = event.data
        if isinstance(data, merge.MergeEnqueued) and data.entry.node_id is not None:
            self._nodes[data.entry.id] = data.entry.node_id
        if isinstance(data, merge.MergeHalted):
            if data.reason == self._halt:
                return None  # every attempt to go on finds the same
            self._halt = data.reason
        elif isinstance(data, merge.MergeResumed):
            self._halt = ""
        teller = _TELLERS.get(type(data))
        text = teller(data, self) if teller else None
        if not text:
            return None
        happened = self.earlier.get(event.causation_id) if event.causation_id else None
        before = " (before the run was taken up again)" if happened else ""
        return f"{(happened or event.time).astimezone():%H:%M:%S} {one_line(text, _LONGEST)}{before}"

    def names(self, entries: Iterable[EntryId]) -> str:
        """The nodes of merge entries, or the entries' own ids when they are none of this run."""
        return ", ".join(self._nodes.get(entry, entry) for entry in entries)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _drafted(data: run.PlanDrafted, _: Narrator) -> str:
    if data.reason:
        return f"{data.tool} made no plan{_because(data.reason)}"
    took = f"in {span(data.duration_s)}"
    if not data.problems:
        return f"plan by {data.tool} {took}"
    more = f" and {len(data.problems) - 1} more" if len(data.problems) > 1 else ""
    return f"draft {data.attempt} of {data.tool} {took} cannot be run: {data.problems[0]}{more}"


def _kept(data: node.NodeAttemptFailed) -> str:
    where = f"on {data.branch}" if data.branch else f"in {data.slot}" if data.slot else ""
    return f"; its work is kept {where}" if where else ""


def _run_started(data: run.RunStarted, _: Narrator) -> str:
    verb = "taken up again" if data.resumed else "started"
    return f"run {verb}: target {data.target} at {data.base[:8]}, {data.workers} workers"


def _started(data: node.NodeStarted, _: Narrator) -> str:
    again = f", try {data.attempt}" if data.attempt > 1 else ""
    why = "" if data.reason == NAMED else _because(data.reason)
    return f"{data.node_id} started ({data.tool}{again}){why}"


def _succeeded(data: node.NodeSucceeded, _: Narrator) -> str:
    count = len(data.files)
    work = f", {count} {'file' if count == 1 else 'files'} changed" if data.commit else ", nothing to land"
    return f"{data.node_id} completed in {span(data.duration_s)}{work}{_warned(data.warnings)}"


def _warned(warnings: Sequence[str]) -> str:
    return f" (warning: {'; '.join(warnings)})" if warnings else ""


def _attempt_failed(data: node.NodeAttemptFailed, _: Narrator) -> str:
    return f"{data.node_id} try {data.attempt} failed{_because(data.reason)}{_kept(data)}"


def _retry(data: node.NodeRetryScheduled, _: Narrator) -> str:
    with_tool = f" with {data.tool}" if data.tool else ""
    return f"{data.node_id} will be tried again{with_tool} at {data.not_before.astimezone():%H:%M:%S}"


def _rework(data: node.NodeReworkScheduled, _: Narrator) -> str:
    with_tool = f" with {data.tool}" if data.tool else ""
    return f"{data.node_id} will be done again{with_tool}{_because(data.reason)}"


def _pinged(data: tool.ToolPinged, _: Narrator) -> str | None:
    """Only what is not as it should be is worth a line."""
    if data.status is tool.HealthStatus.HEALTHY:
        return None
    return f"the tool {data.tool} is {data.status}{_because(data.reason)}"


def _check_finished(data: merge.CheckFinished, told: Narrator) -> str | None:
    if data.reused:
        return None
    about = f" for {told.names(data.entries)}" if data.entries else ""
    word = "passed" if data.verdict is Verdict.PASSED else data.verdict.replace("_", " ")
    reason = "" if data.verdict is Verdict.PASSED else _because(data.reason)
    return f"check {data.check} {word}{about} in {span(data.duration_s)}{reason}"


def _landed(data: merge.MergeLanded, told: Narrator) -> str:
    there = f", on {data.remote} too" if data.remote else ""
    return f"{told.names(data.entries)} landed in {data.commit[:8]}{there}"


def _held(data: merge.MergeHeld, told: Narrator) -> str:
    return f"{told.names(data.entries)} ready to land{_because(data.reason)}; type: {data.command}"


def _halted(data: merge.MergeHalted, _: Narrator) -> str:
    return f"the merge queue halted{_because(data.reason.rstrip('.'))}{f'. {data.hint}' if data.hint else ''}"


def _approval(data: run.ApprovalRequested, _: Narrator) -> str:
    what = "to start" if data.what == "before" else "to land"
    return f"{data.node_id} waits for your approval {what}"


def _warned_budget(data: run.BudgetWarned, _: Narrator) -> str:
    return (
        f"warning: {data.percent} % of the budget is spent "
        f"({format_usd(data.spent)} of {format_usd(data.limit)})"
    )


def _halted_budget(data: run.BudgetHalted, _: Narrator) -> str:
    return (
        f"budget: {data.percent} % spent ({format_usd(data.spent)} of {format_usd(data.limit)}); "
        "no new attempts start"
    )


# A teller gets the payload of its own type: the table cannot say so.
_TELLERS: Mapping[type[Payload], Callable[[Any, Narrator], str | None]] = {
    run.PlanDrafted: _drafted,
    run.RunStarted: _run_started,
    run.RunPaused: lambda data, _: f"run paused{_because(data.reason)}",
    run.RunUnpaused: lambda data, _: "run goes on",  # noqa: ARG005 - one signature for all
    run.RunCancelling: lambda data, _: f"run is being cancelled{_because(data.reason)}",
    run.BudgetWarned: _warned_budget,
    run.BudgetHalted: _halted_budget,
    run.BudgetChanged: lambda data, _: f"the budget is {format_usd(data.limit)} now",
    run.ApprovalRequested: _approval,
    run.ApprovalGranted: lambda data, _: f"{data.node_id} approved by {data.by}",
    run.ApprovalRejected: lambda data, _: f"{data.node_id} refused by {data.by}{_because(data.reason)}",
    run.CommandRefused: lambda data, _: f"{data.command} refused{_because(data.reason)}",
    node.NodeStarted: _started,
    node.NodeSucceeded: _succeeded,
    node.NodeAttemptFailed: _attempt_failed,
    node.NodeRetryScheduled: _retry,
    node.NodeReworkScheduled: _rework,
    verification.PlanProposed: lambda data, _: (
        f"{data.node_id} planned {', '.join(each.id for each in data.nodes)}"
    ),
    verification.PlanAmended: lambda data, _: f"the plan is amended, {amended_line(data)}",
    verification.FindingWaived: lambda data, _: (
        f"{data.finding.name} ({data.summary}) waived by {data.by}{_because(data.reason)}"
    ),
    verification.FindingRestored: lambda data, _: (
        f"{data.finding.name} counts again, says {data.by}{_because(data.reason)}"
    ),
    verification.NodeExcused: lambda data, _: f"{data.node_id} has nothing left to do{_because(data.reason)}",
    tool.ToolPinged: _pinged,
    tool.BreakerOpened: lambda data, _: (
        f"{data.tool} gets nothing until {data.until.astimezone():%H:%M:%S}{_because(data.reason)}"
    ),
    tool.BreakerClosed: lambda data, _: f"{data.tool} gets work again{_because(data.reason)}",
    node.NodeFailed: lambda data, _: f"{data.node_id} failed{_because(data.reason)}",
    node.NodeSkipped: lambda data, _: f"{data.node_id} skipped{_because(data.reason)}",
    node.NodeCancelled: lambda data, _: f"{data.node_id} cancelled{_because(data.reason)}",
    node.NodeReset: lambda data, _: f"{data.node_id} will be done again{_because(data.reason)}",
    merge.CheckFinished: _check_finished,
    merge.MergeLanded: _landed,
    merge.MergeMissed: lambda data, told: f"{told.names(data.entries)} not landed yet{_because(data.reason)}",
    merge.MergeHeld: _held,
    merge.MergeHalted: _halted,
    merge.MergeConflicted: lambda data, told: (
        f"{told.names([data.entry_id])} does not merge{_because(data.reason)}"
    ),
    merge.MergeFailed: lambda data, told: (
        f"{told.names([data.entry_id])} did not land{_because(data.reason)}"
    ),
    merge.MergeCancelled: lambda data, told: (
        f"{told.names([data.entry_id])} left the queue{_because(data.reason)}"
    ),
}
