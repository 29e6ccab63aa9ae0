"""The part of the run report about one node."""

from datetime import datetime

from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.node_state import MERGE_DEAD, Attempt, MergeStatus, NodeState, NodeStatus
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.amendments import added_because, finding_reports
from cli_multi_rapid.reports.chronicle import Chronicle, Span
from cli_multi_rapid.reports.document import AttemptReport, FileReport, NodeReport, WaitReport
from cli_multi_rapid.reports.next_step import Advice
from cli_multi_rapid.reports.spent import known_usd
from cli_multi_rapid.reports.times import iso, iso_or_none, minutes
from cli_multi_rapid.reports.waits import Wait, waits_of


def attempt_span(attempt: Attempt, chronicle: Chronicle) -> Span:
    """From its start to its end. What a dead process left behind ended with that process's last fact."""
    session_end = chronicle.session_end(attempt.started_at)
    ends = [end for end in (attempt.ended_at, session_end) if end is not None]
    return Span(start=attempt.started_at, end=max(attempt.started_at, min(ends)) if ends else None)


def usage_of(node: NodeState, attempt: Attempt, chronicle: Chronicle) -> Usage:
    """What was charged for an attempt; until that is settled, what the attempt itself says."""
    settled = chronicle.settled.get((node.node.id, attempt.number))
    return settled.usage if settled else attempt.usage


def node_report(
    run: RunState, node: NodeState, chronicle: Chronicle, advice: Advice, now: datetime, *, checking: bool
) -> NodeReport:
    """All that the report says of a node. `checking`: whether a living process works on the merge queue."""
    attempts = [_attempt_report(node, attempt, chronicle, now) for attempt in node.attempts]
    spans = [attempt_span(attempt, chronicle) for attempt in node.attempts]
    usages = [usage_of(node, attempt, chronicle) for attempt in node.attempts]
    start = spans[0].start if spans else None
    end = spans[-1].end if spans and node.status is not NodeStatus.RUNNING else None
    ejected = chronicle.ejected.get(node.entry_id) if node.entry_id else None
    blocked = node.shown_status is NodeStatus.BLOCKED
    files = node.success.files if node.success else ()
    return NodeReport(
        node_id=node.node.id,
        label=node.node.label,
        tool=node.attempts[-1].tool if node.attempts else node.node.tool,
        role=node.node.role,
        stream=node.node.stream,
        deps=list(node.node.deps),
        status=node.shown_status,
        reason=reason_of(node),
        failure=node.failure,
        merge_status=_merge_status(node, checking=checking),
        merge_reason=node.merge_reason,
        merge_files=list(node.merge_files) if node.merge_status in MERGE_DEAD else [],
        merge_log=ejected.log if ejected else "",
        merge_evidence=ejected.evidence if ejected else "",
        blocked_by=node.blocked_by if blocked else None,
        branch=_branch_of(node),
        slot=(node.attempts[-1].kept or None) if node.attempts else None,
        commit=node.head or _last_commit(node, chronicle),
        landed_commit=node.landed_commit,
        added=added_because(run, node.node.id),
        findings=finding_reports(node),
        attempts=attempts,
        start_time=iso_or_none(start),
        end_time=iso_or_none(end),
        duration_min=minutes(Span(start=start, end=end).seconds(now)) if start else 0.0,
        tokens_used=sum(usage.tokens for usage in usages),
        cost_usd=known_usd(usages),
        files_modified=len(files),
        files=[FileReport(path=f.path, status=f.status, added=f.added, removed=f.removed) for f in files],
        warnings=list(node.success.warnings) if node.success else [],
        waits=[_wait_report(wait, now) for wait in waits_of(run, node, chronicle, now)],
        next=advice.of_node(node),
    )


def _merge_status(node: NodeState, *, checking: bool) -> MergeStatus | None:
    """Where its work stands on the way to the target; None: there is none.

    Work that is sealed when a run is interrupted may not be in the queue yet: it waits all the same. So does
    what was under check when the process died that checked it.
    """
    if node.merge_status is MergeStatus.CHECKING and not checking:
        return MergeStatus.QUEUED
    if node.merge_status is None and node.success is not None and node.success.commit is not None:
        return MergeStatus.QUEUED
    return node.merge_status


def reason_of(node: NodeState) -> str:
    """Why a node stands where it stands. What kept its work from landing comes before its success."""
    if node.shown_status is NodeStatus.BLOCKED:
        return f"{node.blocked_by} did not complete or land"
    if node.requested:
        return f"waits for approval ({', '.join(sorted(node.requested))})"
    if node.status is NodeStatus.PENDING and node.open_edges:
        return f"waits for {', '.join(sorted(node.open_edges))}"
    if node.status is NodeStatus.RUNNING:
        return node.attempts[-1].reason
    if node.status is NodeStatus.COMPLETED and not node.landed and node.merge_reason:
        return node.merge_reason
    return f"{node.reason}{_overruled(node)}"


def _overruled(node: NodeState) -> str:
    """What a person has said since of a failed verification, which goes on to blame the rest."""
    if node.status is not NodeStatus.FAILED:
        return ""
    names = [ref.name for ref in node.waived if ref.attempt == node.attempts[-1].number]
    return f" (waived: {', '.join(names)})" if names else ""


def kept_where(node: NodeReport) -> str:
    """`on BRANCH` or `in FOLDER`: where work that did not land is; empty when there is none."""
    if node["branch"]:
        return f"on {node['branch']}"
    return f"in {node['slot']}" if node["slot"] else ""


def _branch_of(node: NodeState) -> str | None:
    return next((attempt.branch for attempt in reversed(node.attempts) if attempt.branch), None)


def _last_commit(node: NodeState, chronicle: Chronicle) -> str | None:
    known = (chronicle.commits.get((node.node.id, attempt.number)) for attempt in reversed(node.attempts))
    return next((commit for commit in known if commit), None)


def _attempt_report(node: NodeState, attempt: Attempt, chronicle: Chronicle, now: datetime) -> AttemptReport:
    span = attempt_span(attempt, chronicle)
    usage = usage_of(node, attempt, chronicle)
    return AttemptReport(
        number=attempt.number,
        tool=attempt.tool,
        tool_reason=attempt.reason,
        model=usage.model,
        start_time=iso(span.start),
        end_time=iso_or_none(span.end),
        duration_min=minutes(span.seconds(now)),
        outcome=_outcome(attempt),
        reason=attempt.refused or attempt.outcome,
        failure=attempt.failure,
        evidence=attempt.evidence,
        log=attempt.log,
        sandbox=attempt.sandbox,
        cost_usd=known_usd([usage]),
        cost_source=usage.source,
        session_id=attempt.session_id,
        tokens_used=usage.tokens,
        base=attempt.base,
        branch=attempt.branch,
        commit=chronicle.commits.get((node.node.id, attempt.number)),
    )


def _outcome(attempt: Attempt) -> str:
    if attempt.ended_at is None:
        return "running"
    if attempt.refused:
        return "refused"
    return "failed" if attempt.failure else "succeeded"


def _wait_report(wait: Wait, now: datetime) -> WaitReport:
    return WaitReport(
        kind=wait.kind,
        what=wait.what,
        start_time=iso(wait.span.start),
        end_time=iso_or_none(wait.span.end),
        duration_min=minutes(wait.span.seconds(now)),
    )
