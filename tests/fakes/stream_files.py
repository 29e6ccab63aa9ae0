"""Streams files with their phases on disk, and the plans that they become."""

from pathlib import Path

from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.plan import Node, Plan
from cli_multi_rapid.planner.streams import compile_streams
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.streams import load_streams


def write(folder: Path, streams: str, phases: str) -> Path:
    """A multi_stream file with its phases in the folder below."""
    (folder / "phase_definitions").mkdir(parents=True, exist_ok=True)
    (folder / "phase_definitions" / "roadmap.yaml").write_text(phases)
    path = folder / "multi_stream.yaml"
    path.write_text(streams)
    return path


def compile_file(
    path: Path, *, serialize_overlaps: bool = False, default_tool: str | None = None
) -> tuple[Plan | None, Problems]:
    """What a run would do with the file, and all that is to say about it."""
    problems = Problems()
    loaded = load_streams(path, problems, serialize_overlaps=serialize_overlaps)
    if loaded is None:
        return None, problems
    tool = None if default_tool is None else ToolName(default_tool)
    plan = compile_streams(loaded, problems, serialize_overlaps=serialize_overlaps, default_tool=tool)
    return plan, problems


def plan_of(path: Path, *, serialize_overlaps: bool = False, default_tool: str | None = None) -> Plan:
    plan, problems = compile_file(path, serialize_overlaps=serialize_overlaps, default_tool=default_tool)
    assert plan is not None, problems.to_text()
    return plan


def deps(plan: Plan) -> dict[str, set[str]]:
    return {node.id: set(node.deps) for node in plan.nodes}


def node(plan: Plan, name: str) -> Node:
    return plan.by_id[NodeId(name)]


def small(order: str, *streams: str, phases: str | None = None) -> tuple[str, str]:
    """Streams of one line each (`id paths phases…`), all of owner Claude, and phases that say something."""
    names: dict[str, None] = {}
    lines = ["streams:"]
    for line in streams:
        stream, paths, *ids = line.split()
        names.update(dict.fromkeys(ids))
        lines.append(
            f"  - {{id: {stream}, owner: Claude, scope: {{paths: ['{paths}']}}, phases: [{', '.join(ids)}]}}"
        )
    text = "\n".join([*lines, "execution_order:", order, ""])
    defined = "".join(f"\n  - {{id: {name}, title: Do {name}}}" for name in names)
    return text, phases or f"phases:{defined or ' []'}\n"
