"""What was added to a run, and why; what its verifications found."""

from collections.abc import Iterator

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verification_events import Amending, Finding, PlanAmended
from cli_multi_rapid.reports.document import AmendmentReport, FindingReport
from cli_multi_rapid.reports.safe_text import one_line

_WHAT = {
    Amending.FIX: "fixes",
    Amending.PLANNING: "a plan is made",
    Amending.REMEDY: "as planned",
}


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


def finding_reports(node: NodeState) -> list[FindingReport]:
    """What the last verdict of a node names."""
    verified = node.attempts[-1].verified if node.attempts else None
    return [finding_report(finding) for finding in verified.findings] if verified else []


def finding_report(finding: Finding) -> FindingReport:
    """One finding as scripts read it."""
    return FindingReport(
        severity=finding.severity,
        check=finding.check,
        file=finding.file or None,
        line=finding.line,
        node=finding.node,
        summary=finding.summary,
    )
