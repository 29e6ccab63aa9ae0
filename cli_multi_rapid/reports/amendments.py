"""What was added to a run, and why; what its verifications found."""

from collections.abc import Iterator

from cli_multi_rapid.core.facts import FindingRef
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_state import NodeState, NodeStatus, Waiver
from cli_multi_rapid.core.remedy_words import findings_of, headline
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verification_events import Amending, Finding, PlanAmended
from cli_multi_rapid.reports.document import AmendmentReport, FindingReport, RunReport, WaiverReport
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import iso

_WHAT = {
    Amending.FIX: "fixes",
    Amending.PLANNING: "a plan is made",
    Amending.REMEDY: "as planned",
}

_COUNTS = frozenset({NodeStatus.FAILED, NodeStatus.PENDING, NodeStatus.WAITING})


def amendment_reports(state: RunState) -> list[AmendmentReport]:
    """Every amendment of a run, the oldest first."""
    return [
        AmendmentReport(
            round=past.number,
            kind=past.kind,
            nodes=[node.id for node in past.nodes],
            again=list(past.again),
            causes=[cause.node_id for cause in past.causes],
            reason=past.reason,
        )
        for past in state.amendments
    ]


def added_because(state: RunState, node_id: NodeId) -> str | None:
    """Why a node was added to the running plan; None: it was in it from the start."""
    past = next((past for past in state.amendments if _adds(past, node_id)), None)
    return None if past is None else f"round {past.number}, {_WHAT[past.kind]}: {past.reason}"


def _adds(past: PlanAmended, node_id: NodeId) -> bool:
    return any(node.id == node_id for node in past.nodes)


def amended_lines(state: RunState) -> Iterator[str]:
    """What was added, a line for each amendment."""
    for past in state.amendments:
        yield f"amended: {amended_line(past)}"


def amended_line(past: PlanAmended) -> str:
    """`round 1 (fixes): fix-1-1, then verify again, because verify: …`."""
    names = ", ".join(node.id for node in past.nodes)
    again = f", then {', '.join(past.again)} again" if past.again else ""
    return one_line(f"round {past.number} ({_WHAT[past.kind]}): {names}{again}, because {past.reason}", 300)


def finding_reports(node: NodeState, attempt: int | None = None) -> list[FindingReport]:
    """What a verdict of a node names: that of an attempt, or its last one."""
    found = findings_of(node, attempt).items()
    return [_finding_report(ref, finding, node.waived.get(ref)) for ref, finding in found]


def _finding_report(ref: FindingRef, finding: Finding, waiver: Waiver | None) -> FindingReport:
    """One finding as scripts read it."""
    return FindingReport(
        id=ref.name,
        severity=finding.severity,
        check=finding.check,
        file=finding.file or None,
        line=finding.line,
        node=finding.node,
        summary=finding.summary,
        waived=_waiver_report(waiver) if waiver else None,
    )


def _waiver_report(waiver: Waiver) -> WaiverReport:
    return WaiverReport(by=waiver.fact.by, reason=waiver.fact.reason, time=iso(waiver.time))


def waived_findings(report: RunReport) -> Iterator[tuple[FindingReport, WaiverReport]]:
    """What a person has overruled, with that person's word. Reports of earlier releases have none."""
    for node in report["nodes"]:
        for finding in node.get("findings", ()):
            waiver = finding.get("waived")
            if waiver is not None:
                yield finding, waiver


def finding_lines(state: RunState) -> Iterator[str]:
    """What keeps a verification from passing, and what a person has waived, a line for each finding.

    What was found counts until the verification has looked again.
    """
    for node in state.nodes.values():
        for ref, finding in findings_of(node).items():
            if finding.blocks and ref not in node.waived and node.status in _COUNTS:
                yield one_line(f"found: {ref.name} {finding.severity} {headline(finding)}", 300)
        for ref, waiver in node.waived.items():
            fact = waiver.fact
            yield one_line(f"waived: {ref.name} by {fact.by}: {fact.reason} ({fact.summary})", 300)
