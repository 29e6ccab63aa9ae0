"""The DAG of a plan or of a run, and its texts: for people, for mermaid and for graphviz."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from cli_multi_rapid.core.facts import ImpliedEdge
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.plan import Node, Plan
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.document import RunReport
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.tone import PAINTS, Tone, tone_of_node

_LABEL_WIDTH = 60


class GraphNode(Struct, frozen=True, kw_only=True):
    """A node as it is drawn; without a run it has no status."""

    id: str
    label: str
    tool: str
    role: str = "wt"
    status: str | None = None
    merge_status: str | None = None
    added: bool = False
    """It was not in the plan from the start."""

    @property
    def standing(self) -> str:
        """The status in words; empty without a run."""
        words = (self.status, self.merge_status, "added" if self.added else None)
        return " ".join(word for word in words if word)

    @property
    def tone(self) -> Tone:
        """The status as a tone."""
        return tone_of_node(self.status, self.merge_status)


class GraphEdge(Struct, frozen=True, kw_only=True):
    """`after` waits for `before`; an implied edge says why, a dependency of the plan has no reason."""

    before: str
    after: str
    reason: str = ""


class Graph(Struct, frozen=True, kw_only=True):
    """Nodes in plan order. Edges whose ends are not among the nodes are not drawn."""

    title: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]

    def layers(self) -> list[list[GraphNode]]:
        """The nodes by the longest path that leads to them. What is on or behind a cycle comes last."""
        depth = self._depths()
        behind = max(depth.values(), default=-1) + 1
        found: dict[int, list[GraphNode]] = {}
        for node in self.nodes:
            found.setdefault(depth.get(node.id, behind), []).append(node)
        return [found[level] for level in sorted(found)]

    def _depths(self) -> dict[str, int]:
        waiting = {node.id: 0 for node in self.nodes}
        following: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for edge in self.drawn():
            waiting[edge.after] += 1
            following[edge.before].append(edge.after)
        depth = dict.fromkeys((name for name, count in waiting.items() if not count), 0)
        todo = list(depth)
        for name in todo:  # grows while it is read
            for after in following[name]:
                waiting[after] -= 1
                if not waiting[after]:
                    depth[after] = depth[name] + 1
                    todo.append(after)
        return depth

    def drawn(self) -> Iterable[GraphEdge]:
        """The edges between known nodes."""
        known = {node.id for node in self.nodes}
        return (edge for edge in self.edges if edge.before in known and edge.after in known)


# --- where graphs come from ---------------------------------------------------------------------------------


def graph_of_plan(plan: Plan, implied: Sequence[ImpliedEdge] = ()) -> Graph:
    """The graph of a plan that was not run."""
    return _graph(plan.name, plan.nodes, implied, {})


def graph_of_run(state: RunState) -> Graph:
    """The graph of a run, with where each node stands."""
    nodes = [node.node for node in state.nodes.values()]
    title = state.plan.name if state.plan else state.run_id
    added = {node.id for past in state.amendments for node in past.nodes}
    return _graph(title, nodes, state.implied, state.nodes, added)


def _graph(
    title: str,
    nodes: Sequence[Node],
    implied: Sequence[ImpliedEdge],
    states: Mapping[NodeId, NodeState],
    added: Collection[NodeId] = (),
) -> Graph:
    return Graph(
        title=title,
        nodes=tuple(_graph_node(node, states.get(node.id), added=node.id in added) for node in nodes),
        edges=(
            *(GraphEdge(before=dep, after=node.id) for node in nodes for dep in dict.fromkeys(node.deps)),
            *(
                GraphEdge(before=e.before, after=e.after, reason=e.reason or "claims overlap")
                for e in implied
            ),
        ),
    )


def _graph_node(node: Node, state: NodeState | None, *, added: bool) -> GraphNode:
    used = state.attempts[-1].tool if state and state.attempts else node.tool
    return GraphNode(
        id=node.id,
        label=node.label,
        tool=used,
        role=node.role,
        status=state.shown_status if state else None,
        merge_status=state.merge_status if state else None,
        added=added,
    )


def graph_of_report(report: RunReport) -> Graph:
    """The graph of a report, also of one that was read back from its file."""
    return Graph(
        title=report["workflow_name"],
        nodes=tuple(
            GraphNode(
                id=node["node_id"],
                label=node["label"],
                tool=node["tool"],
                role=node["role"],
                status=node["status"],
                merge_status=node["merge_status"],
                added=bool(node.get("added")),  # reports of earlier releases do not say so
            )
            for node in report["nodes"]
        ),
        edges=(
            *(
                GraphEdge(before=dep, after=node["node_id"])
                for node in report["nodes"]
                for dep in node["deps"]
            ),
            *(
                GraphEdge(before=e["before"], after=e["after"], reason=e["reason"])
                for e in report["implied_edges"]
            ),
        ),
    )


# --- the texts ----------------------------------------------------------------------------------------------


def graph_text(graph: Graph) -> str:
    """Layer by layer: what can run beside what, and what each node waits for."""
    lines = [f"{one_line(graph.title)}: {len(graph.nodes)} nodes"]
    before = _edges_into(graph)
    width = min(40, max((len(node.id) for node in graph.nodes), default=0))
    for number, layer in enumerate(graph.layers(), 1):
        lines.append(f"\nlayer {number}")
        for node in layer:
            lines.append(_text_line(node, width))
            lines += [f"  {'':{width}}     {line}" for line in _text_edges(before.get(node.id, []))]
    return "\n".join(lines) + "\n"


def _text_line(node: GraphNode, width: int) -> str:
    standing = f"  {node.standing}" if node.standing else ""
    sign = PAINTS[node.tone].sign if node.status else " "
    role = ", ipt" if node.role == "ipt" else ""
    label = one_line(node.label, _LABEL_WIDTH)
    return f"  {sign} {node.id:{width}}  {label} [{node.tool}{role}]{standing}"


def _text_edges(edges: Sequence[GraphEdge]) -> list[str]:
    named = [edge.before for edge in edges if not edge.reason]
    lines = [f"after {', '.join(named)}"] if named else []
    return lines + [f"after {edge.before}: {one_line(edge.reason)}" for edge in edges if edge.reason]


def _edges_into(graph: Graph) -> dict[str, list[GraphEdge]]:
    found: dict[str, list[GraphEdge]] = {}
    for edge in graph.drawn():
        found.setdefault(edge.after, []).append(edge)
    return found


def graph_mermaid(graph: Graph) -> str:
    """A mermaid flowchart. Node ids are numbered, because mermaid has words of its own."""
    names = {node.id: f"n{place}" for place, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        parts = [node.id, one_line(node.label, _LABEL_WIDTH), node.tool, node.standing]
        text = "<br>".join(_mermaid(part) for part in parts if part)
        lines.append(f'  {names[node.id]}["{text}"]')
    for edge in graph.drawn():
        arrow = f'-.->|"{_mermaid(one_line(edge.reason))}"|' if edge.reason else "-->"
        lines.append(f"  {names[edge.before]} {arrow} {names[edge.after]}")
    return "\n".join([*lines, *_mermaid_classes(graph, names)]) + "\n"


def _mermaid_classes(graph: Graph, names: Mapping[str, str]) -> list[str]:
    members: dict[Tone, list[str]] = {}
    for node in graph.nodes:
        members.setdefault(node.tone, []).append(names[node.id])
    lines = []
    for tone, found in members.items():
        paint = PAINTS[tone]
        colours = f"fill:{paint.light_ground},stroke:{paint.light},color:{paint.light}"
        lines += [f"  classDef {tone} {colours}", f"  class {','.join(found)} {tone}"]
    return lines


def _mermaid(text: str) -> str:
    """Everything that mermaid or markdown could take for its own is written as a character code."""
    return "".join(c if c.isalnum() or c in " .,:/_-" else f"#{ord(c)};" for c in one_line(text))


def graph_dot(graph: Graph) -> str:
    """A graphviz digraph."""
    lines = [
        "digraph plan {",
        "  rankdir=LR;",
        f"  label={_dot(graph.title)};",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
    ]
    for node in graph.nodes:
        paint = PAINTS[node.tone]
        parts = (node.id, one_line(node.label, _LABEL_WIDTH), node.tool, node.standing)
        label = _dot(*(part for part in parts if part))
        lines.append(
            f"  {_dot(node.id)} [label={label}, color={_dot(paint.light)}, "
            f"fontcolor={_dot(paint.light)}, fillcolor={_dot(paint.light_ground)}];"
        )
    for edge in graph.drawn():
        style = f" [style=dashed, label={_dot(edge.reason)}]" if edge.reason else ""
        lines.append(f"  {_dot(edge.before)} -> {_dot(edge.after)}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot(*lines: str) -> str:
    """A quoted string of graphviz, one line each. A backslash is doubled: `\\N` would be the node's name."""
    escaped = (one_line(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
