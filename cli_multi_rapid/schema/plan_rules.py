"""The rules across the nodes of a plan: ids, dependencies, cycles, claims, tools."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from cli_multi_rapid.core.claims import PathClaim, covered, find_overlaps, suggest_claim
from cli_multi_rapid.core.dag import Deps, find_cycle, implied_edges
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.plan import Form, Role
from cli_multi_rapid.schema.nodes import ParsedNode
from cli_multi_rapid.schema.problems import Code, Severity
from cli_multi_rapid.schema.reading import Reading
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import Value

_MOST_NOTICES: Final = 20
"""Overlaps that are shown one by one; the rest is a number."""
_MOST_PAIRS: Final = 200_000
"""Pairs of nodes with the same claim that are looked at one by one."""


def check_nodes(reading: Reading, nodes: Sequence[ParsedNode], known_tools: Collection[str] | None) -> None:
    """Note every problem that shows only when the nodes are seen together."""
    by_id = _unique(reading, nodes)
    for parsed in nodes:
        _check_deps(reading, parsed, by_id)
        _check_outputs(reading, parsed)
        _check_review(reading, parsed)
    if known_tools is not None:
        _check_tools(reading, nodes, known_tools)
    deps = {name: [dep for dep in parsed.node.deps if dep != name] for name, parsed in by_id.items()}
    if not _report_cycle(reading, by_id, deps):
        _report_overlaps(reading, by_id, deps)
    _report_unclaimed(reading, nodes)


def _unique(reading: Reading, nodes: Sequence[ParsedNode]) -> Mapping[NodeId, ParsedNode]:
    found: dict[NodeId, ParsedNode] = {}
    for parsed in nodes:
        first = found.setdefault(parsed.node.id, parsed)
        if first is not parsed:
            reading.report(
                Code.DUPLICATE_ID,
                parsed.id_at,
                f"a second node has the id {quoted(parsed.node.id)}",
                notes=[f"the first is on line {reading.line(first.id_at)}"],
                suggestion="give each node an id of its own",
            )
    return found


def _check_deps(reading: Reading, parsed: ParsedNode, by_id: Mapping[NodeId, ParsedNode]) -> None:
    for dep in parsed.deps:
        if dep.text == parsed.node.id:
            reading.report(
                Code.SELF_DEP,
                dep.at,
                f"node {quoted(parsed.node.id)} depends on itself",
                suggestion="remove it from deps",
            )
        elif dep.text not in by_id:
            close = reading.did_you_mean(dep.text, by_id)
            reading.report(
                Code.UNKNOWN_DEP,
                dep.at,
                f"node {quoted(parsed.node.id)} depends on {quoted(dep.text)}, and there is no such node",
                suggestion=close or "name the id of a node of this plan",
            )


def _report_cycle(reading: Reading, by_id: Mapping[NodeId, ParsedNode], deps: Deps) -> bool:
    cycle = find_cycle(deps)
    if cycle is None:
        return False
    edges = list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    places = [_dep_at(by_id[node], dep) for node, dep in edges]
    reading.report(
        Code.CYCLE,
        places[0],
        f"these nodes wait for each other: {' → '.join((*cycle, cycle[0]))}",
        notes=[
            f"{node} waits for {dep} (line {reading.line(at)})"
            for (node, dep), at in zip(edges, places, strict=True)
        ],
        suggestion="remove one of these dependencies",
    )
    return True


def _dep_at(parsed: ParsedNode, dep: NodeId) -> Value:
    return next(text.at for text in parsed.deps if text.text == dep)


def _check_outputs(reading: Reading, parsed: ParsedNode) -> None:
    """Outputs of a node that declares claims lie inside them, or the attempt could only fail."""
    node = parsed.node
    if node.role is not Role.WT or not node.path_claims:
        return
    for output in parsed.outputs:
        if covered(output.text, node.path_claims):
            continue
        claimed = ", ".join(quoted(claim.path) for claim in node.path_claims if claim.writes) or "nothing"
        reading.report(
            Code.OUTSIDE_CLAIMS,
            output.at,
            f"node {quoted(node.id)} writes {quoted(output.text)} outside its claims",
            notes=[f"it claims {claimed} (line {reading.line(parsed.claims_at)})"],
            suggestion=f'add {{path: "{suggest_claim(output.text)}", mode: exclusive}} to its path_claims',
        )


def _check_review(reading: Reading, parsed: ParsedNode) -> None:
    """A review is of the work before it. Without any it would be paid for a look at nothing, and pass."""
    if parsed.node.form is Form.REVIEW and not parsed.deps:
        reading.report(
            Code.NO_EFFECT,
            parsed.id_at,
            f"node {quoted(parsed.node.id)} is a review and comes after no node: no work is shown to it",
            suggestion="write deps: [the nodes whose work it reviews]",
            severity=Severity.WARNING,
        )


def _check_tools(reading: Reading, nodes: Sequence[ParsedNode], known: Collection[str]) -> None:
    for parsed in nodes:
        tool = parsed.node.tool
        if parsed.tool_at is not None and tool and tool not in known:
            reading.report(
                Code.UNKNOWN_TOOL,
                parsed.tool_at.at,
                f"node {quoted(parsed.node.id)} names the unknown tool {quoted(parsed.tool_at.text)}",
                suggestion=reading.did_you_mean(tool, known) or f"tools are: {', '.join(sorted(known))}",
            )


def _report_overlaps(reading: Reading, by_id: Mapping[NodeId, ParsedNode], deps: Deps) -> None:
    """Say which nodes will run one after the other although the plan does not order them."""
    claims = {name: p.node.path_claims for name, p in by_id.items() if p.node.role is Role.WT}
    holders = Counter(claim for held in claims.values() for claim in set(held) if claim.writes)
    claim, count = max(holders.items(), key=lambda item: item[1], default=(None, 0))
    if claim is not None and count * count > 2 * _MOST_PAIRS:
        _report_crowd(reading, by_id, claim, count)
        return
    rank = {name: (float(parsed.node.priority),) for name, parsed in by_id.items()}
    edges = implied_edges(deps, find_overlaps(claims), rank)
    for edge in edges[:_MOST_NOTICES]:
        reading.report(
            Code.OVERLAP,
            by_id[edge.after].claim_at(edge.second_claim),
            f"{quoted(edge.after)} will run after {quoted(edge.before)}: {edge.reason}",
            suggestion=f"write deps: [{edge.before}] when that order is meant, or part their claims",
            severity=Severity.NOTICE,
        )
    if len(edges) > _MOST_NOTICES:
        last = edges[_MOST_NOTICES]
        reading.report(
            Code.OVERLAP,
            by_id[last.after].claim_at(last.second_claim),
            f"{len(edges) - _MOST_NOTICES} more pairs of nodes will run one after the other",
            severity=Severity.NOTICE,
        )


def _report_crowd(reading: Reading, by_id: Mapping[NodeId, ParsedNode], claim: PathClaim, count: int) -> None:
    first = next(parsed for parsed in by_id.values() if claim in parsed.node.path_claims)
    reading.report(
        Code.OVERLAP,
        first.claim_at(claim),
        f"{count} nodes claim {quoted(claim.path)} ({claim.mode})",
        suggestion="nodes that write the same paths run one after the other; part their claims",
        severity=Severity.NOTICE,
    )


def _report_unclaimed(reading: Reading, nodes: Sequence[ParsedNode]) -> None:
    """One notice for all: a plan without claims would otherwise drown everything else."""
    found = [p for p in nodes if p.node.role is Role.WT and not p.says_claims]
    if not found:
        return
    names = [parsed.node.id for parsed in found[:8]]
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    plural = len(found) > 1
    reading.report(
        Code.NO_CLAIMS,
        found[0].id_at,
        f"{', '.join(names)}{more} {'have' if plural else 'has'} no path claims and "
        f"{'run' if plural else 'runs'} optimistically: a conflict shows only in the merge queue",
        suggestion='add path_claims: [{path: "src/**", mode: exclusive}]',
        severity=Severity.NOTICE,
    )
