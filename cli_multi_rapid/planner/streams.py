"""Streams and their phases to a plan: each phase becomes the node `<stream>.<phase>`.

The order of streams and phases was checked when the documents were read; what is decided here is who does a
phase, what it is told, and what it may write.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.claims import PathClaim
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.plan import Node, Plan, Prompt, Role
from cli_multi_rapid.core.routing import AUTO
from cli_multi_rapid.planner.stream_order import serialize
from cli_multi_rapid.planner.stream_problems import (
    check_ids,
    check_work,
    check_writes,
    report_empty,
    report_no_tool,
    report_unclaimed,
    report_undefined,
)
from cli_multi_rapid.schema.phases import Phase
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.stream_model import LoadedStreams, Stream
from cli_multi_rapid.schema.stream_rules import phase_graph


def compile_streams(
    loaded: LoadedStreams,
    problems: Problems,
    *,
    serialize_overlaps: bool = False,
    default_tool: ToolName | None = None,
) -> Plan | None:
    """The plan of a streams file, or None when it has errors: the problems tell.

    `serialize_overlaps`: of two streams that may write the same paths and are not ordered, the second starts
    when the first is done. Where neither phase nor owner names a tool, the phase's capabilities choose one
    when it runs; `default_tool` does what asks for none.
    """
    before = problems.error_count
    document = serialize(loaded, problems) if serialize_overlaps else loaded.document
    graph = phase_graph(document, loaded.phases)
    nodes = tuple(_nodes(loaded, graph, problems, default_tool))
    check_ids(document, problems)
    head = document.head
    if not any(stream.phases for stream in document.streams):
        report_empty(document, problems)
    if problems.error_count > before:
        return None
    return Plan(
        plan_id=head.plan_id,
        name=head.name,
        nodes=nodes,
        merge_policy=head.merge_policy,
        rollback_policy=head.rollback_policy,
        fix=head.fix,
        budget=head.budget,
        checks=head.checks,
        branch_base=head.branch_base,
        branch_name=head.branch_name,
        correlation_id=head.correlation_id,
        created_by=head.created_by,
        description=head.description,
    )


def _nodes(
    loaded: LoadedStreams,
    graph: Mapping[NodeId, Sequence[NodeId]],
    problems: Problems,
    default_tool: ToolName | None,
) -> Iterator[Node]:
    for stream in loaded.document.streams:
        claims = tuple(dict.fromkeys(PathClaim(path=path.name) for path in stream.paths))
        if stream.phases and not claims:
            report_unclaimed(stream, problems)
        for named in stream.phases:
            phase = loaded.phases.get(named.name)
            if phase is None:
                report_undefined(stream, named, problems)
                continue
            node_id = NodeId(f"{stream.id}.{phase.id}")
            tool = phase.tool or stream.tool or (AUTO if phase.capabilities else default_tool)
            if tool is None:
                report_no_tool(stream, phase, problems)
                continue
            node = _node(stream, phase, node_id, tool, tuple(graph[node_id]))
            node = node if node.role is Role.IPT else replace(node, path_claims=claims)
            check_work(stream, phase, node, problems)
            check_writes(stream, phase, node, problems)
            yield node


def _node(stream: Stream, phase: Phase, node_id: NodeId, tool: ToolName, deps: tuple[NodeId, ...]) -> Node:
    return Node(
        id=node_id,
        label=phase.title,
        tool=tool,
        role=Role.IPT if tool == VERIFY else Role.WT,
        goal=goal_of(phase),
        work=phase.work or Prompt(),
        inputs=phase.inputs,
        outputs=phase.outputs,
        deps=deps,
        capabilities=phase.capabilities,
        priority=stream.priority if phase.priority is None else phase.priority,
        est_cost=phase.est_cost,
        max_cost=phase.max_cost,
        timeout_s=phase.timeout_s,
        retries=phase.retries,
        model=phase.model,
        env=phase.env,
        approval=phase.approval,
        stream=stream.id,
    )


def goal_of(phase: Phase) -> str:
    """What an agent is told: the prompt, else title, description and goals; then when it is done."""
    if phase.prompt:
        parts = [phase.prompt.strip()]
    else:
        parts = [phase.title, phase.description.strip(), _listed("Goals", phase.goals)]
    parts.append(_listed("Done when", phase.acceptance))
    return "\n\n".join(part for part in parts if part)


def _listed(title: str, lines: Iterable[str]) -> str:
    items = [f"- {line.strip()}" for line in lines if line.strip()]
    return "\n".join([f"{title}:", *items]) if items else ""
