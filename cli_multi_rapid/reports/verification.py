"""The verification of what landed: the verdicts on the exact tree of the target, and what is missing."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, TypedDict

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.node_state import NodeState, NodeStatus
from cli_multi_rapid.core.plan import Form, Role
from cli_multi_rapid.core.remedy_words import found_by
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verification_events import NodeVerified
from cli_multi_rapid.reports.amendments import amendment_reports, finding_reports
from cli_multi_rapid.reports.chronicle import CheckRun, Chronicle, read_chronicle
from cli_multi_rapid.reports.document import SCHEMA_VERSION, AmendmentReport, FindingReport
from cli_multi_rapid.reports.quality import (
    checks_of_final_tree,
    coverage_of,
    final_checks,
    final_tree,
    is_document,
    landed_files,
    names_any,
    quality_of,
)
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import iso

_COVERAGE_NAMES: Final = ("coverage", "cov")
_SECURITY_NAMES: Final = ("security", "bandit", "audit")
_DOCUMENT_NAMES: Final = ("doc",)
_TEST_NAMES: Final = ("test", "unittest", "pytest", "integration")
_STYLE_NAMES: Final = ("lint", "eslint", "style", "format", "ruff", "type", "mypy", "quality")


class VerificationChecks(TypedDict):
    """True: passed on the landed tree. False: not. Null: not examined, which is never a pass."""

    code_quality: bool | None
    test_coverage: bool | None
    security_audit: bool | None
    integration_tests: bool | None
    documentation_complete: bool | None


class VerificationMetrics(TypedDict):
    """The quality figures of the run report, and the pages for people among the landed files."""

    files_changed: int
    lines_added: int
    lines_removed: int
    tests_added: int
    test_coverage_pct: float | None
    security_issues: int | None
    documentation_pages: int


class VerdictReport(TypedDict):
    """A verdict of one attempt of a verifying node, on the tree that had landed by then.

    `dropped`: files that a reviewer wrote although it may change nothing; they were thrown away.
    """

    node_id: str
    attempt: int
    commit: str
    tree: str
    verdict: str
    summary: str
    findings: list[FindingReport]
    dropped: list[str]


class VerificationReport(TypedDict):
    """`overall_status`: FAILED when a check of the tree or a verifying node failed, or nothing landed."""

    schema_version: int
    verification_id: str
    run_id: str
    workstream_id: int | str | None
    timestamp: str
    commit: str | None
    tree: str | None
    checks: VerificationChecks
    overall_status: str
    summary: str
    failures: list[str]
    metrics: VerificationMetrics
    recommendations: list[str]
    verdicts: list[VerdictReport]
    amendments: list[AmendmentReport]


def verification_report(
    state: RunState,
    events: Sequence[Event],
    *,
    now: datetime,
    verification_id: str,
    workstream_id: int | str | None = None,
) -> VerificationReport:
    """Verify what landed last. Other trees, for example of candidates that were refused, do not count."""
    chronicle = read_chronicle(events)
    found = final_checks(chronicle)
    measured = coverage_of(checks_of_final_tree(chronicle)) is not None
    checks = _categories(state, found.values(), measured=measured)
    failures = [
        *_nothing_landed(state, chronicle),
        *_failed_checks(found.values()),
        *_failed_verifiers(state),
    ]
    quality = quality_of(state, chronicle)
    return VerificationReport(
        schema_version=SCHEMA_VERSION,
        verification_id=verification_id,
        run_id=state.run_id,
        workstream_id=workstream_id,
        timestamp=iso(now),
        commit=_verified_commit(state, chronicle),
        tree=final_tree(chronicle),
        checks=checks,
        overall_status="FAILED" if failures else "PASSED",
        summary=_summary(state, chronicle, checks, failures),
        failures=failures,
        metrics=VerificationMetrics(
            **quality,
            documentation_pages=len({file.path for file in landed_files(state) if is_document(file.path)}),
        ),
        recommendations=[
            *(_missing_checks(checks) if chronicle.landings else ()),
            *_recommendations(state, found.values(), quality["tests_added"]),
        ],
        verdicts=[_verdict(state, event.data) for event in events if isinstance(event.data, NodeVerified)],
        amendments=amendment_reports(state),
    )


def _verdict(state: RunState, verified: NodeVerified) -> VerdictReport:
    node = state.nodes[verified.node_id]
    return VerdictReport(
        node_id=verified.node_id,
        attempt=verified.attempt,
        commit=verified.commit,
        tree=verified.tree,
        verdict=verified.verdict,
        summary=verified.summary,
        findings=finding_reports(node, verified.attempt),
        dropped=list(verified.dropped),
    )


def _verified_commit(state: RunState, chronicle: Chronicle) -> str | None:
    """The commit of the verified tree: the last landing, or where a verifying node found the target."""
    if chronicle.landings and chronicle.landings[-1].landed.tree == final_tree(chronicle):
        return chronicle.landings[-1].landed.commit
    bases = (node.attempts[-1].base for node in _verifiers(state) if node.attempts)
    return next((base for base in bases if base is not None), None)


# --- what the checks say ------------------------------------------------------------------------------------


def _categories(state: RunState, found: Iterable[CheckRun], *, measured: bool) -> VerificationChecks:
    """Each check counts for the first category whose words its id holds: `test_coverage` is coverage.

    Tests that print a coverage figure (`measured`) examine the coverage as well.
    """
    verdicts: dict[str, list[Verdict | None]] = {}
    for check in found:
        verdicts.setdefault(_category(check.check), []).append(check.verdict)
    coverage = _together(verdicts.get("coverage"))
    if coverage is None and measured:
        coverage = _together(verdicts.get("tests"))
    documents = _together(verdicts.get("documents"))
    return VerificationChecks(
        code_quality=_together(verdicts.get("style")),
        test_coverage=coverage,
        security_audit=_together(verdicts.get("security")),
        integration_tests=_together(verdicts.get("tests")),
        documentation_complete=_documents_landed(state) if documents is None else documents,
    )


def _category(check: str) -> str:
    for category, words in (
        ("coverage", _COVERAGE_NAMES),
        ("security", _SECURITY_NAMES),
        ("documents", _DOCUMENT_NAMES),
        ("tests", _TEST_NAMES),
        ("style", _STYLE_NAMES),
    ):
        if names_any(check, words):
            return category
    return "other"


def _together(verdicts: Sequence[Verdict | None] | None) -> bool | None:
    """False when one failed; null when there is none, or one could not be carried out."""
    if not verdicts:
        return None
    if Verdict.FAILED in verdicts:
        return False
    return True if all(verdict is Verdict.PASSED for verdict in verdicts) else None


def _documents_landed(state: RunState) -> bool | None:
    """Without a check of its own: whether every node that was to write documentation has landed."""
    writers = [node for node in state.nodes.values() if "documentation" in node.node.capabilities]
    return all(node.landed for node in writers) if writers else None


def _nothing_landed(state: RunState, chronicle: Chronicle) -> Iterator[str]:
    if not chronicle.landings and not all(node.landed for node in state.nodes.values()):
        yield "nothing landed"


def _failed_checks(found: Iterable[CheckRun]) -> Iterator[str]:
    for check in found:
        if check.verdict is not Verdict.PASSED and check.finish is not None:
            reason = one_line(check.finish.reason, 200)
            yield f"{check.check} {check.finish.verdict} on the landed tree: {reason}"


def _failed_verifiers(state: RunState) -> Iterator[str]:
    """Nodes that verify the merged target count like checks."""
    for node in _verifiers(state):
        if node.status is NodeStatus.FAILED:
            yield f"{node.node.id} failed: {one_line(node.reason, 200)}"


def _verifiers(state: RunState) -> list[NodeState]:
    return [node for node in state.nodes.values() if node.node.role is Role.IPT]


# --- in words -----------------------------------------------------------------------------------------------


def _summary(
    state: RunState, chronicle: Chronicle, checks: VerificationChecks, failures: Sequence[str]
) -> str:
    name = one_line(state.plan.name) if state.plan else state.run_id
    if failures:
        return f"{name} did not pass the verification: {'; '.join(failures)}."
    if not chronicle.landings:
        return f"{name}: there was nothing to land and nothing to verify."
    examined = [category for category, verdict in checks.items() if verdict is not None]
    missing = [category for category, verdict in checks.items() if verdict is None]
    reviewed = "".join(
        f" {one_line(node.node.id)} reviewed it: {_outcome_of(node)}." for node in _passed_reviews(state)
    )
    if not examined:
        what = "No check was examined, because none" if reviewed else "Nothing was examined, because no check"
        return f"{name} landed.{reviewed} {what} is configured for it."
    text = f"{name} was verified: {_words(examined)} passed.{reviewed}"
    return f"{text} Not examined: {_words(missing)}." if missing else text


def _outcome_of(node: NodeState) -> str:
    if not node.excused:
        return "it passed"
    return "what it found was waived" if node.attempts else "it had nothing to review"


def _passed_reviews(state: RunState) -> Iterator[NodeState]:
    for node in _verifiers(state):
        if node.node.form is Form.REVIEW and node.status is NodeStatus.COMPLETED:
            yield node


def _words(categories: Sequence[str]) -> str:
    return ", ".join(category.replace("_", " ") for category in categories)


def _missing_checks(checks: VerificationChecks) -> Iterator[str]:
    for category, verdict in checks.items():
        if verdict is None:
            yield f"Add a check for {category.replace('_', ' ')} to the checklist: it was not examined"


def _recommendations(state: RunState, found: Iterable[CheckRun], tests_added: int) -> Iterator[str]:
    for check in found:
        if check.verdict is not Verdict.PASSED:
            yield f"Repair what {check.check} found; its output is in {check.log or 'the run log'}"
    if tests_added == 0 and any(not is_document(file.path) for file in landed_files(state)):
        yield "Consider adding tests: no test file is new"
    for node in state.nodes.values():
        for finding in found_by(node):
            if finding.check is None:
                yield f"Put right {finding.place or 'what was found'}: {one_line(finding.summary, 300)}"
        if not node.landed and node.success is not None and node.success.branch is not None:
            yield f"Look at {node.node.id}: its work is on {node.success.branch} and did not land"
