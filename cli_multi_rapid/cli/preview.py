"""What a run would do, without doing it: nodes, order, money and checks, as text and as a document."""

from collections.abc import Sequence
from typing import TypedDict

from msgspec import Struct

from cli_multi_rapid.cli.preflight import missing_program
from cli_multi_rapid.core.dag import layers
from cli_multi_rapid.core.facts import ImpliedEdge
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.money import format_usd, to_usd
from cli_multi_rapid.core.plan import CheckSpec, Node, Plan
from cli_multi_rapid.planner.assessment import Assessment
from cli_multi_rapid.planner.estimate import Estimate
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import span
from cli_multi_rapid.schema.problems import SCHEMA_VERSION


class NodePreview(TypedDict):
    """One node. `fits` false: the budget leaves no room for it, `reason` says why."""

    node_id: str
    label: str
    tool: str
    role: str
    deps: list[str]
    path_claims: list[str]
    est_cost_usd: float
    cost_source: str
    est_duration_min: float
    fits: bool
    reason: str


class EdgePreview(TypedDict):
    """An order that comes from path claims."""

    before: str
    after: str
    reason: str


class CheckPreview(TypedDict):
    """A check that must pass before anything lands. `argv` empty: `run` is a line for the shell.

    `program_found` false: its program is not on the PATH, so the check would fail.
    """

    check: str
    argv: list[str]
    run: str | None
    program_found: bool


class EstimatePreview(TypedDict):
    """Money and time of the whole plan; `least_duration_min` is with the given workers."""

    total_usd: float
    budget_usd: float | None
    fits: bool
    fitting_usd: float
    least_duration_min: float
    critical_path: list[str]


class FactorPreview(TypedDict):
    """One reason for the complexity."""

    name: str
    points: int
    reason: str


class AssessmentPreview(TypedDict):
    """How hard, risky and certain a request is; null for plans that a person wrote."""

    complexity: int
    factors: list[FactorPreview]
    risk: str
    confidence: float
    capabilities: list[str]


class PreviewDocument(TypedDict):
    """What `execute --dry-run` and `plan` print as JSON. `checks` null: no repository was looked at."""

    schema_version: int
    plan_id: str
    name: str
    source: str
    planner: str
    path: str | None
    target: str | None
    workers: int
    order: list[str]
    nodes: list[NodePreview]
    implied_edges: list[EdgePreview]
    checks: list[CheckPreview] | None
    estimate: EstimatePreview
    assessment: AssessmentPreview | None


class Preview(Struct, frozen=True, kw_only=True):
    """All that is shown before a run."""

    plan: Plan
    source: str
    planner: str
    workers: int
    order: tuple[NodeId, ...]
    implied: tuple[ImpliedEdge, ...]
    estimate: Estimate
    checks: tuple[CheckSpec, ...] | None = None
    assessment: Assessment | None = None
    target: str | None = None
    path: str | None = None
    """Where the plan was saved; None: nowhere."""


def preview_document(preview: Preview) -> PreviewDocument:
    """The published `preview` document."""
    plan, estimate = preview.plan, preview.estimate
    left_out = {out.node_id: out.reason for out in estimate.left_out}
    return PreviewDocument(
        schema_version=SCHEMA_VERSION,
        plan_id=plan.plan_id,
        name=plan.name,
        source=preview.source,
        planner=preview.planner,
        path=preview.path,
        target=preview.target,
        workers=preview.workers,
        order=list(preview.order),
        nodes=[_node(plan.by_id[name], estimate, left_out.get(name)) for name in preview.order],
        implied_edges=[EdgePreview(before=e.before, after=e.after, reason=e.reason) for e in preview.implied],
        checks=None if preview.checks is None else [_check(check) for check in preview.checks],
        estimate=EstimatePreview(
            total_usd=to_usd(estimate.total),
            budget_usd=None if estimate.budget is None else to_usd(estimate.budget),
            fits=estimate.fits,
            fitting_usd=to_usd(estimate.fitting_total),
            least_duration_min=_minutes(estimate.duration_s(preview.workers)),
            critical_path=list(estimate.critical_path),
        ),
        assessment=None if preview.assessment is None else _assessment(preview.assessment),
    )


def _node(node: Node, estimate: Estimate, left_out: str | None) -> NodePreview:
    expected = estimate.by_id[node.id]
    return NodePreview(
        node_id=node.id,
        label=node.label,
        tool=node.tool,
        role=node.role,
        deps=list(node.deps),
        path_claims=[f"{claim.path} ({claim.mode})" for claim in node.path_claims],
        est_cost_usd=to_usd(expected.cost),
        cost_source=expected.cost_source,
        est_duration_min=_minutes(expected.duration_s),
        fits=left_out is None,
        reason=left_out or "",
    )


def _check(check: CheckSpec) -> CheckPreview:
    return CheckPreview(
        check=check.id, argv=list(check.argv), run=check.run, program_found=missing_program(check) is None
    )


def _assessment(found: Assessment) -> AssessmentPreview:
    return AssessmentPreview(
        complexity=found.complexity,
        factors=[FactorPreview(name=f.name, points=f.points, reason=f.reason) for f in found.factors],
        risk=found.risk,
        confidence=found.confidence,
        capabilities=list(found.capabilities),
    )


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 2)


# --- the text -----------------------------------------------------------------------------------------------


def preview_text(preview: Preview) -> str:
    """The same for a person; plain text."""
    document = preview_document(preview)
    target = f", to land on {document['target']}" if document["target"] else ""
    head = f"{document['plan_id']}: {one_line(document['name'])} ({len(document['nodes'])} nodes{target})"
    lines = [head, *_assessment_lines(document["assessment"]), "order (nodes of one step run side by side):"]
    by_id = {node["node_id"]: node for node in document["nodes"]}
    for place, names in enumerate(_steps(preview), 1):
        for number, name in enumerate(names):
            sign = f"{place}." if number == 0 else ""
            lines += _node_lines(sign, by_id[name], document["implied_edges"])
    lines += _check_lines(document["checks"])
    return "\n".join([*lines, *_estimate_lines(preview)])


def _assessment_lines(found: AssessmentPreview | None) -> list[str]:
    if found is None:
        return []
    why = "; ".join(f"{factor['reason']} {factor['points']:+d}" for factor in found["factors"])
    return [
        f"complexity {found['complexity']} of 10 ({why})",
        f"risk {found['risk']}, confidence {found['confidence']:.2f}",
    ]


def _steps(preview: Preview) -> list[list[NodeId]]:
    """The nodes by how many others must be done before them, each step in the order of starts."""
    deps: dict[NodeId, list[NodeId]] = {node.id: list(node.deps) for node in preview.plan.nodes}
    for edge in preview.implied:
        deps[edge.after].append(edge.before)
    rank = {name: place for place, name in enumerate(preview.order)}
    return [sorted(names, key=rank.__getitem__) for names in layers(deps)]


def _node_lines(place: str, node: NodePreview, edges: Sequence[EdgePreview]) -> list[str]:
    cost = f" ${node['est_cost_usd']:.2f}" if node["est_cost_usd"] else ""
    role = ", ipt" if node["role"] == "ipt" else ""
    lines = [f"  {place:<2} {node['node_id']}  {one_line(node['label'], 60)} [{node['tool']}{role}]{cost}"]
    if node["deps"]:
        lines.append(f"       after {', '.join(node['deps'])}")
    lines += [
        f"       after {edge['before']}: {one_line(edge['reason'])}"
        for edge in edges
        if edge["after"] == node["node_id"]
    ]
    if node["path_claims"]:
        lines.append(f"       claims {', '.join(one_line(claim) for claim in node['path_claims'])}")
    if not node["fits"]:
        lines.append(f"       does not fit the budget: {one_line(node['reason'])}")
    return lines


def _check_lines(checks: Sequence[CheckPreview] | None) -> list[str]:
    if checks is None:
        return []
    if not checks:
        return ["checks before landing: none"]
    return ["checks before landing:", *map(_check_line, checks)]


def _check_line(check: CheckPreview) -> str:
    gone = "" if check["program_found"] else "  (would fail: the program is not on the PATH)"
    return f"  {check['check']}: {one_line(check['run'] or ' '.join(check['argv']), 100)}{gone}"


def _estimate_lines(preview: Preview) -> list[str]:
    estimate = preview.estimate
    least = span(estimate.duration_s(preview.workers))
    time = f"at least {least} with {preview.workers} workers"
    assumed = sum(1 for node in estimate.nodes if node.duration_assumed)
    if assumed == len(estimate.nodes):
        time = "how long it takes is not known: no node has an est_duration_s"
    elif assumed:
        nodes = "1 node is" if assumed == 1 else f"{assumed} nodes are"
        time += f" (the time of {nodes} assumed: no est_duration_s)"
    lines = [f"estimate: {estimate.to_text()}", time]
    if not estimate.fits:
        lines.append(f"would run: {', '.join(estimate.fitting) or 'nothing'}")
        lines.append(f"would stay behind: {', '.join(out.node_id for out in estimate.left_out)}")
    return lines


def budget_notice(estimate: Estimate) -> str:
    """What the budget leaves out, said before the start."""
    outs = [f"  {out.node_id}: {one_line(out.reason)}" for out in estimate.left_out[:20]]
    rest = len(estimate.left_out) - len(outs)
    limit = "" if estimate.budget is None else f" (budget {format_usd(estimate.budget)})"
    more = [f"  and {rest} more"] if rest else []
    return "\n".join([f"{estimate.to_text()}; left out{limit}:", *outs, *more])
