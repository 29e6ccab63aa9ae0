"""The shape of the run report: the JSON document that scripts rely on.

Keys are only ever added. Times are ISO 8601 in UTC, `…_min` are minutes, `…_s` seconds, `…_usd` dollars; null
means "not known" or "has not happened", never zero.
"""

from typing import Final, TypedDict

SCHEMA_VERSION: Final = 1
ASSUMED: Final = "assumed"
"""The source of an amount that was reserved for an attempt whose end nobody saw."""
ASSUMED_WORDS: Final = "is assumed: an interrupted attempt counts with all that was reserved for it"


class NextStep(TypedDict):
    """What happens next (`text`), and what a person must type for it (`command`; null: nothing)."""

    text: str
    command: str | None


class AttemptReport(TypedDict):
    """One try of a node. `outcome`: `running`, `succeeded`, `failed`, or `refused`, when its work could not
    land and was given back. `tool_reason`: why this tool. `sandbox`: empty for none. `cost_usd` null: nobody
    can tell. `session_id`: the tool's own name for the conversation.
    """

    number: int
    tool: str
    tool_reason: str
    model: str | None
    start_time: str
    end_time: str | None
    duration_min: float
    outcome: str
    reason: str
    failure: str | None
    evidence: str
    log: str
    sandbox: str
    cost_usd: float | None
    cost_source: str
    session_id: str | None
    tokens_used: int
    base: str | None
    branch: str | None
    commit: str | None


class WaitReport(TypedDict):
    """A time that a node spent waiting.

    `kind`: `dependency`, `claims`, `approval`, `retry`, `worker` or `queue`. `end_time` null: it still waits.
    """

    kind: str
    what: str
    start_time: str
    end_time: str | None
    duration_min: float


class FileReport(TypedDict):
    """A path that the node changed; `status` as git names it: A, M, D, R or T."""

    path: str
    status: str
    added: int
    removed: int


class WaiverReport(TypedDict):
    """Who says that a finding is none, why and since when."""

    by: str
    reason: str
    time: str


class FindingReport(TypedDict):
    """What a verification found. `check`: the one that failed; null: a review found it. `line` from 1.

    `id`: what `waive` calls it while the verdict is the last one of its node; `waived` null: it counts.
    """

    id: str
    severity: str
    check: str | None
    file: str | None
    line: int | None
    node: str | None
    summary: str
    waived: WaiverReport | None


class AmendmentReport(TypedDict):
    """Nodes that were added to the running plan. `kind`: `fix`, `planning` or `remedy` (what was planned).

    `causes`: the nodes that it answers; `again`: the verifications that are done again behind it.
    """

    round: int
    kind: str
    nodes: list[str]
    again: list[str]
    causes: list[str]
    reason: str


class NodeReport(TypedDict):
    """One node: what became of it, why, and what to type when its work did not land.

    `added`: why it was added to the running plan; null: it was in it from the start. `findings`: what its
    last verdict on the landed tree names.

    `slot`: the folder that holds the work of its last attempt, when no branch could take it. `cost_usd`: what
    is known of its cost; null when nothing is.
    """

    node_id: str
    label: str
    tool: str
    role: str
    stream: str | None
    deps: list[str]
    status: str
    reason: str
    failure: str | None
    merge_status: str | None
    merge_reason: str
    merge_files: list[str]
    merge_log: str
    merge_evidence: str
    blocked_by: str | None
    branch: str | None
    slot: str | None
    commit: str | None
    landed_commit: str | None
    added: str | None
    findings: list[FindingReport]
    attempts: list[AttemptReport]
    start_time: str | None
    end_time: str | None
    duration_min: float
    tokens_used: int
    cost_usd: float | None
    files_modified: int
    files: list[FileReport]
    warnings: list[str]
    waits: list[WaitReport]
    next: NextStep | None


class CostSummary(TypedDict):
    """Money. Without a limit `budget_usd`, `budget_remaining_usd` and `utilization_pct` are null.

    `assumed_usd`: the part of `total_used_usd` of attempts whose end was not seen. `unknown_attempts`: how
    many have a cost that nobody can tell and that is in no sum; a tool with only such is null in `breakdown`.
    """

    budget_usd: float | None
    total_used_usd: float
    assumed_usd: float
    unknown_attempts: int
    reserved_usd: float
    budget_remaining_usd: float | None
    utilization_pct: float | None
    breakdown: dict[str, float | None]


class ParallelEfficiency(TypedDict):
    """All attempts one after the other, beside the time it took: 250 % means 2.5 times as fast."""

    sequential_time_estimate_min: float
    actual_parallel_time_min: float
    critical_path_min: float
    efficiency_pct: float | None
    most_at_once: int
    note: str


class MergeSummary(TypedDict):
    """What the queue did for this run, checks of candidates only. Reused verdicts are not among those run."""

    branches_merged: int
    merge_conflicts: int
    pre_merge_checks_run: int
    pre_merge_checks_passed: int
    verdicts_reused: int
    trains: int


class QualityMetrics(TypedDict):
    """Of the landed nodes only; see `quality.py` for how each is counted."""

    files_changed: int
    lines_added: int
    lines_removed: int
    tests_added: int
    test_coverage_pct: float | None
    security_issues: int | None


class CheckReport(TypedDict):
    """One examination of a tree. `verdict` null: begun, and its end is not known."""

    check: str
    tree: str
    verdict: str | None
    reason: str
    exit_code: int | None
    start_time: str | None
    end_time: str | None
    duration_s: float
    log: str
    evidence: str
    entries: list[str]
    nodes: list[str]
    reused: bool


class LandingReport(TypedDict):
    """One move of the target ref; several nodes when they landed as a train."""

    commit: str
    tree: str
    time: str
    nodes: list[str]
    entries: list[str]
    recovered: bool


class EdgeReport(TypedDict):
    """An order that comes from path claims and not from `deps`."""

    before: str
    after: str
    reason: str


class RunReport(TypedDict):
    """The whole report of a run."""

    schema_version: int
    run_id: str
    coordination_id: str
    plan_id: str
    workflow_name: str
    status: str
    exit_code: int | None
    reason: str
    repository: str | None
    target: str | None
    base: str | None
    workers: int | None
    created_at: str
    completed_at: str | None
    reported_at: str
    total_duration_min: float
    nodes: list[NodeReport]
    cost_summary: CostSummary
    parallel_efficiency: ParallelEfficiency
    merge_summary: MergeSummary
    quality_metrics: QualityMetrics
    checks: list[CheckReport]
    landings: list[LandingReport]
    implied_edges: list[EdgeReport]
    amendments: list[AmendmentReport]
    next: list[NextStep]
    artifacts_generated: list[str]
