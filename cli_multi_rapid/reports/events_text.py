"""One readable line per event, and the envelope as JSON."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from cli_multi_rapid.core import inquiry_events as inquiry
from cli_multi_rapid.core import merge_events as merge
from cli_multi_rapid.core import node_events as node
from cli_multi_rapid.core import run_events as run
from cli_multi_rapid.core import tool_events as tool
from cli_multi_rapid.core import verification_events as verification
from cli_multi_rapid.core.events import Event, Unknown, payload_to_data
from cli_multi_rapid.core.facts import Payload, Usage
from cli_multi_rapid.core.money import MicroUsd, format_usd
from cli_multi_rapid.reports.amendments import amended_line
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import iso, span

_LONGEST = 400


class EventDocument(TypedDict):
    """The envelope of an event with its fields."""

    id: str
    seq: int
    run_id: str
    type: str
    version: int
    time: str
    source: str
    causation_id: str | None
    correlation_id: str | None
    data: dict[str, Any]


def event_document(event: Event) -> EventDocument:
    """The JSON of an event, as `events --format json` writes it."""
    return EventDocument(
        id=event.id,
        seq=event.seq,
        run_id=event.run_id,
        type=event.type,
        version=event.version,
        time=event.time.isoformat().replace("+00:00", "Z"),
        source=event.source,
        causation_id=event.causation_id,
        correlation_id=event.correlation_id,
        data=payload_to_data(event.data),
    )


def event_line(event: Event) -> str:
    """`14:05:30.002Z    12  node.started          n1 try 1 with aider: …`."""
    clock = iso(event.time).partition("T")[2]
    return f"{clock:13} {event.seq:5}  {event.type:22} {describe(event.data)}".rstrip()


def event_lines(events: Iterable[Event]) -> str:
    """The lines of several events, with the date where it changes."""
    lines: list[str] = []
    day = ""
    for event in events:
        today = iso(event.time).partition("T")[0]
        if today != day:
            lines.append(f"-- {today}")
            day = today
        lines.append(event_line(event))
    return "".join(f"{line}\n" for line in lines)


def describe(payload: Payload) -> str:
    """The facts of an event in a line of words."""
    if isinstance(payload, Unknown):
        text = f"of a later release (version {payload.of_version}): {_fields(payload.data)}"
        return one_line(text, _LONGEST)
    teller = _TELLERS.get(type(payload))
    return one_line(teller(payload) if teller else _fields(payload_to_data(payload)), _LONGEST)


def _fields(data: Mapping[str, Any]) -> str:
    """What has no line of its own yet is shown field by field."""
    return ", ".join(f"{key}={value}" for key, value in data.items())


# --- one teller per type ------------------------------------------------------------------------------------


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _confined(sandbox: str) -> str:
    return f" in {sandbox}" if sandbox else ""


def _entries(entries: Sequence[str]) -> str:
    return ", ".join(entries)


def _usage(usage: Usage) -> str:
    model = f" ({usage.model})" if usage.model else ""
    cost = "cost unknown" if usage.unknown else format_usd(usage.cost)
    return f"{cost}, {usage.tokens} tokens{model}"


def _run_started(data: run.RunStarted) -> str:
    verb = "taken up again" if data.resumed else "begun"
    budget = "no budget" if data.budget is None else f"budget {format_usd(data.budget)}"
    where = f"in {data.repository} for {data.target} at {data.base[:10]}"
    return f"{verb} {where}, {data.workers} workers, {budget}, pid {data.pid} on {data.host}"


def _plan_accepted(data: run.PlanAccepted) -> str:
    implied = f", {len(data.implied)} implied edges" if data.implied else ""
    plan = data.plan
    return f"{plan.plan_id} ({plan.name}), {len(plan.nodes)} nodes{implied}, from {data.source}"


def _plan_drafted(data: run.PlanDrafted) -> str:
    what = f"draft {data.attempt} by {data.tool} in {span(data.duration_s)}"
    if data.reason:
        return f"{what} did not come: {data.reason}"
    return f"{what}, {len(data.problems)} problems: {data.problems[0]}" if data.problems else what


def _command(data: run.CommandGiven) -> str:
    about = ", ".join(ref.name for ref in data.findings) or data.node_id or data.entry_id
    amount = f" {format_usd(data.amount)}" if data.amount is not None else ""
    dependents = " with dependents" if data.with_dependents else ""
    return (
        f"{data.command}{f' {about}' if about else ''}{amount}{dependents} by {data.by}{_because(data.text)}"
    )


def _succeeded(data: node.NodeSucceeded) -> str:
    work = f", {len(data.files)} files on {data.branch}" if data.branch else ", nothing to land"
    return f"{data.node_id} try {data.attempt} in {span(data.duration_s)}{work}{_because(data.summary)}"


def _attempt_failed(data: node.NodeAttemptFailed) -> str:
    where = f"on {data.branch}" if data.branch else f"in {data.slot}" if data.slot else ""
    kept = f", kept {where}" if where else ""
    how = f"{data.failure} after {span(data.duration_s)}"
    return f"{data.node_id} try {data.attempt} {how}{kept}{_because(data.reason)}"


def _verified(data: verification.NodeVerified) -> str:
    found = "; ".join(
        f"{data.node_id}.{number} {finding.severity} {finding.place or finding.check or ''}".rstrip()
        + f": {finding.summary}"
        for number, finding in enumerate(data.findings, 1)
    )
    dropped = f", dropped {_entries(data.dropped)}" if data.dropped else ""
    what = f"{data.node_id} try {data.attempt} {data.verdict} on tree {data.tree[:10]}{dropped}"
    return f"{what}{_because(found or data.summary)}"


def _pinged(data: tool.ToolPinged) -> str:
    took = "" if data.response_time_ms is None else f" in {data.response_time_ms} ms"
    return f"{data.tool} {data.status}{took} at {iso(data.checked_at)}{_because(data.reason)}"


def _halted(data: run.BudgetHalted) -> str:
    return f"{data.percent} % spent, no new attempts: {format_usd(data.spent)} of {format_usd(data.limit)}"


def _reserved(data: run.BudgetReserved) -> str:
    most = f", at most {format_usd(MicroUsd(data.amount + data.lent))}" if data.lent else ""
    return f"{format_usd(data.amount)} for {data.node_id} try {data.attempt} ({data.source}){most}"


def _refused(data: run.BudgetRefused) -> str:
    if data.limit_name == run.UNPRICED:
        return f"nobody can tell what {data.node_id} would cost, so no limit can be kept"
    needed, left = format_usd(data.needed), format_usd(data.available)
    return f"{data.node_id} needs {needed}, {left} is left of the {data.limit_name} budget"


def _checking(data: merge.MergeChecking) -> str:
    return f"{_entries(data.entries)} on {data.tip[:10]} as {data.commit[:10]} (tree {data.tree[:10]})"


def _check_finished(data: merge.CheckFinished) -> str:
    source = f" from {data.log}" if data.log else ""
    how = f"reused{source}" if data.reused else f"in {span(data.duration_s)}"
    about = f" for {_entries(data.entries)}" if data.entries else ""
    return f"{data.check} {data.verdict} {how} on tree {data.tree[:10]}{about}{_because(data.reason)}"


def _enqueued(data: merge.MergeEnqueued) -> str:
    entry = data.entry
    approval = ", needs approval" if entry.needs_approval else ""
    return f"{entry.id}: {entry.branch} at {entry.head[:10]} for {entry.target}{approval}"


_TELLERS: Mapping[type[Payload], Callable[[Any], str]] = {
    run.PlanDrafted: _plan_drafted,
    run.PlanReady: lambda d: (
        f"{d.plan_id} by {d.planner}, estimated {format_usd(d.estimated_cost)}, in {d.path}"
    ),
    run.PlanAccepted: _plan_accepted,
    run.RunStarted: _run_started,
    run.RunPaused: lambda d: d.reason,
    run.RunUnpaused: lambda _: "attempts start again",
    run.RunCancelling: lambda d: d.reason,
    run.RunFinished: lambda d: f"{d.status} (exit code {d.exit_code}){_because(d.reason)}",
    run.BudgetReserved: _reserved,
    run.BudgetSettled: lambda d: f"{d.node_id} try {d.attempt} with {d.tool}: {_usage(d.usage)}",
    run.BudgetWarned: lambda d: f"{d.percent} % spent: {format_usd(d.spent)} of {format_usd(d.limit)}",
    run.BudgetHalted: _halted,
    run.BudgetRefused: _refused,
    run.BudgetChanged: lambda d: f"limit {format_usd(d.limit)}",
    run.ApprovalRequested: lambda d: f"{d.node_id} ({d.what})",
    run.ApprovalGranted: lambda d: f"{d.node_id} ({d.what}) by {d.by}",
    run.ApprovalRejected: lambda d: f"{d.node_id} ({d.what}) by {d.by}{_because(d.reason)}",
    run.CommandGiven: _command,
    run.CommandRefused: lambda d: f"{d.command}{_because(d.reason)}",
    node.NodeStarted: lambda d: (
        f"{d.node_id} try {d.attempt} with {d.tool}{_confined(d.sandbox)}{_because(d.reason)}"
    ),
    node.NodeBased: lambda d: (
        f"{d.node_id} try {d.attempt} on {d.base[:10]}{f' with {_entries(d.merged)}' if d.merged else ''}"
    ),
    node.NodeSucceeded: _succeeded,
    node.NodeAttemptFailed: _attempt_failed,
    node.NodeRetryScheduled: lambda d: (
        f"{d.node_id} not before {iso(d.not_before)}{f' with {d.tool}' if d.tool else ''}{_because(d.reason)}"
    ),
    node.NodeReworkScheduled: lambda d: (
        f"{d.node_id}{f' with {d.tool}' if d.tool else ''}{_because(d.reason)}"
    ),
    verification.NodeVerified: _verified,
    verification.PlanProposed: lambda d: (
        f"{d.node_id} try {d.attempt}: {_entries([node.id for node in d.nodes])}"
    ),
    verification.PlanAmended: amended_line,
    verification.FindingWaived: lambda d: (
        f"{d.finding.name} try {d.finding.attempt} ({d.summary}) by {d.by}{_because(d.reason)}"
    ),
    verification.FindingRestored: lambda d: (
        f"{d.finding.name} try {d.finding.attempt} by {d.by}{_because(d.reason)}"
    ),
    verification.NodeExcused: lambda d: f"{d.node_id}{_because(d.reason)}",
    tool.ToolPinged: _pinged,
    tool.BreakerOpened: lambda d: f"{d.tool} until {iso(d.until)}{_because(d.reason)}",
    tool.BreakerClosed: lambda d: f"{d.tool}{_because(d.reason)}",
    node.NodeFailed: lambda d: f"{d.node_id} {d.failure}{_because(d.reason)}",
    node.NodeSkipped: lambda d: f"{d.node_id}{_because(d.reason)}",
    node.NodeCancelled: lambda d: f"{d.node_id}{_because(d.reason)}",
    node.NodeReset: lambda d: f"{d.node_id}{_because(d.reason)}",
    node.WorktreeKept: lambda d: f"{d.node_id} try {d.attempt} in {d.path}{_because(d.reason)}",
    node.ContextInjected: lambda d: f"for {d.node_id or 'every node'}{_because(d.text)}",
    merge.MergeEnqueued: _enqueued,
    merge.MergeApproved: lambda d: f"{d.entry_id} by {d.by}",
    merge.MergeChecking: _checking,
    merge.CheckStarted: lambda d: (
        f"{d.check} on tree {d.tree[:10]} for {_entries(d.entries) or 'the target'}"
    ),
    merge.CheckFinished: _check_finished,
    merge.MergeVouched: lambda d: (
        f"{_entries(d.entries)} pass on the tip before: they go with the next train"
    ),
    merge.MergePreempted: lambda d: f"the check of {_entries(d.entries)} makes room for {d.by}",
    merge.MergeSplit: lambda d: f"{_entries(d.entries)} fail together at {d.check}{_because(d.reason)}",
    merge.MergeLanding: lambda d: f"{_entries(d.entries)}: {d.expected[:10]} -> {d.commit[:10]}",
    merge.MergeLanded: lambda d: (
        f"{_entries(d.entries)} as {d.commit[:10]}{' (found done after a crash)' if d.recovered else ''}"
    ),
    merge.MergeMissed: lambda d: f"{_entries(d.entries)}{_because(d.reason)}",
    merge.MergeHeld: lambda d: f"{_entries(d.entries)}{_because(d.reason)}; type: {d.command}",
    merge.MergeResealed: lambda d: f"{d.entry_id} at {d.head[:10]}, without {d.without}",
    merge.MergeConflicted: lambda d: (
        f"{d.entry_id} with {d.partner} in {_entries(d.files)}{_because(d.reason)}"
    ),
    merge.MergeFailed: lambda d: (
        f"{d.entry_id}{f' at {d.check}' if d.check else ''}{_because(d.reason)}"
        f"{f'; see {_entries(d.files)}' if d.files else ''}"
    ),
    inquiry.MergeQuestioned: lambda d: (
        f"{d.entry_id} fails {d.check}: is it the entry, or one of {len(d.since)} that came since its base?"
        if d.since
        else f"{d.entry_id} fails {d.check} by itself: nothing came since its base"
    ),
    inquiry.MergeProbed: lambda d: (
        f"{d.entry_id} by itself"
        if d.place == 0
        else f"{d.entry_id} on the first {d.place} that came since its base"
        + ("" if d.commit else ": does not merge there")
    ),
    inquiry.MergeAcquitted: lambda d: f"{d.entry_id} passes after all: it waits in line again",
    merge.MergeCancelled: lambda d: f"{d.entry_id}{_because(d.reason)}",
    merge.MergeHalted: lambda d: f"{d.reason}{f' ({d.hint})' if d.hint else ''}",
    merge.MergeResumed: lambda d: d.reason,
}
"""The types whose facts read better as a sentence than as fields."""
