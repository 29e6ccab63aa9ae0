"""Figures of what landed: the size of the change, its tests, and what the checks say of the landed tree."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

from cli_multi_rapid.core.facts import ChangedFile, Verdict
from cli_multi_rapid.core.ids import Tree
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.chronicle import CheckRun, Chronicle
from cli_multi_rapid.reports.document import QualityMetrics

_TEST_NAMES: Final = re.compile(
    r"test_.+\..+|.+_test\..+|.+[.](?:test|spec)\.[^.]+|.+_spec\..+|(?:.+[a-z0-9])?Tests?\.(?:java|kt|cs|php|swift)"
)
_DOCUMENT_SUFFIXES: Final = frozenset((".md", ".rst", ".adoc", ".txt"))
_DOCUMENT_FOLDERS: Final = frozenset(("docs", "doc"))
_COVERAGE: Final = re.compile(
    r"^TOTAL\s.*?(\d+(?:\.\d+)?)%"  # coverage.py
    r"|[Tt]otal coverage:?\s+(\d+(?:\.\d+)?)\s?%"  # pytest-cov with a threshold
    r"|^coverage:\s+(\d+(?:\.\d+)?)% of statements"  # go test
    r"|^All files\s*\|\s*(\d+(?:\.\d+)?)\s*\|",  # istanbul
    re.MULTILINE,
)
_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")
_BANDIT_ISSUE: Final = re.compile(r"^>> Issue: ", re.MULTILINE)


def is_test_file(path: str) -> bool:
    """Whether a path is a file of tests by the naming habits of common test runners."""
    return _TEST_NAMES.fullmatch(PurePosixPath(path).name) is not None


def is_document(path: str) -> bool:
    """Whether a path is a page for people: a text format, or anything below `docs/`."""
    parts = PurePosixPath(path)
    return parts.suffix.lower() in _DOCUMENT_SUFFIXES or not _DOCUMENT_FOLDERS.isdisjoint(parts.parts[:-1])


def landed_files(run: RunState) -> list[ChangedFile]:
    """Every change of every landed node. A path that two nodes changed is there twice."""
    return [
        file
        for node in run.nodes.values()
        if node.merge_status is MergeStatus.MERGED and node.success is not None
        for file in node.success.files
    ]


def final_tree(chronicle: Chronicle) -> Tree | None:
    """The tree that the target has: of the last landing, or the one that was verified after it.

    A check without entries is no candidate's: it examined the target itself, which others may have moved.
    """
    landing = chronicle.landings[-1] if chronicle.landings else None
    newest = next((check for check in reversed(chronicle.checks) if check.finished_at), None)
    if landing is None:
        return newest.tree if newest is not None and not newest.entries else None
    verified_later = (
        newest is not None and newest.finished_at is not None and newest.finished_at >= landing.at
    )
    return (
        newest.tree if newest is not None and verified_later and not newest.entries else landing.landed.tree
    )


def final_checks(chronicle: Chronicle) -> dict[str, CheckRun]:
    """The newest verdict of each check on the tree that the target has."""
    return {check.check: check for check in checks_of_final_tree(chronicle)}


def checks_of_final_tree(chronicle: Chronicle) -> list[CheckRun]:
    """Every finished check of the tree that the target has, oldest first."""
    tree = final_tree(chronicle)
    return [check for check in chronicle.checks if check.tree == tree and check.finish is not None]


def quality_of(run: RunState, chronicle: Chronicle) -> QualityMetrics:
    """The figures of the report.

    `tests_added` counts landed files that are new and named as tests (`is_test_file`). `test_coverage_pct` is
    what a check on the last landed tree printed, `security_issues` 0 when a security check passed there and
    the number of findings that it printed when it failed; both are null when no check says so.
    """
    files = landed_files(run)
    return QualityMetrics(
        files_changed=len({file.path for file in files}),
        lines_added=sum(file.added for file in files),
        lines_removed=sum(file.removed for file in files),
        tests_added=len({file.path for file in files if file.status == "A" and is_test_file(file.path)}),
        test_coverage_pct=coverage_of(checks_of_final_tree(chronicle)),
        security_issues=security_issues(final_checks(chronicle).values()),
    )


def coverage_of(checks: Iterable[CheckRun]) -> float | None:
    """The last coverage figure that the checks printed, in percent. Reused verdicts print nothing."""
    found: float | None = None
    for check in checks:
        for match in _COVERAGE.finditer(check.finish.evidence if check.finish else ""):
            found = float(next(group for group in match.groups() if group is not None))
    return found


def security_issues(checks: Iterable[CheckRun]) -> int | None:
    """How many findings the security checks have; None when there was none or it does not say."""
    runs = [check for check in checks if names_any(check.check, ("security", "bandit", "audit"))]
    counts = [_findings(check) for check in runs]
    if not counts or None in counts:
        return None
    return sum(count for count in counts if count is not None)


def _findings(check: CheckRun) -> int | None:
    if check.verdict is Verdict.PASSED:
        return 0
    evidence = check.finish.evidence if check.finish else ""
    return len(_BANDIT_ISSUE.findall(evidence)) or None


def names_any(check: str, words: Sequence[str]) -> bool:
    """Whether a part of a check's id begins with one of some words: `unit_tests` with `test`."""
    return any(part.startswith(tuple(words)) for part in _SEPARATORS.split(check.lower()))
