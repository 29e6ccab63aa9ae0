"""Short ways to read documents in the tests of the schema."""

from collections.abc import Collection, Mapping
from pathlib import Path

from cli_multi_rapid.core.plan import Node, Plan
from cli_multi_rapid.schema.document import Document, load_document, read_document
from cli_multi_rapid.schema.phases import Phase, parse_phases
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Problem, Problems, Severity
from cli_multi_rapid.schema.stream_model import StreamsDocument
from cli_multi_rapid.schema.streams import parse_streams

EXAMPLES = Path(__file__).resolve().parent.parent / "data" / "examples"


def document(text: str, name: str = "doc.yaml") -> Document:
    """A document that must be readable."""
    problems = Problems()
    found = read_document(text, name, problems)
    assert found is not None, problems.to_text()
    return found


def example(name: str) -> Document:
    """A document that users have."""
    problems = Problems()
    found = load_document(EXAMPLES / name, problems, name=name)
    assert found is not None, problems.to_text()
    return found


def plan_problems(
    text: str,
    *,
    known_tools: Collection[str] | None = None,
    params: Mapping[str, str] | None = None,
) -> list[Problem]:
    """All problems of a plan's text, in order."""
    problems = Problems()
    found = read_document(text, "plan.yaml", problems)
    if found is not None:
        parse_plan(found, problems, known_tools=known_tools, params=params)
    return list(problems)


def errors(problems: list[Problem]) -> list[Problem]:
    """Those that refuse the document."""
    return [problem for problem in problems if problem.severity is Severity.ERROR]


def good_plan(text: str, *, params: Mapping[str, str] | None = None) -> Plan:
    """The plan of a text that must have no errors."""
    problems = Problems()
    plan = parse_plan(document(text, "plan.yaml"), problems, params=params)
    assert plan is not None, problems.to_text()
    return plan


def only_node(keys: str) -> Node:
    """The node of a plan with one node, from its keys as YAML in braces without the braces."""
    return good_plan(f"nodes: [{{{keys}}}]").nodes[0]


TOOLS = ("claude", "codex", "aider", "shell", "actions")


def streams_of(text: str, *, serialize: bool = False) -> tuple[StreamsDocument | None, list[Problem]]:
    """The streams of a text, and its problems."""
    problems = Problems()
    found = parse_streams(
        document(text, "multi_stream.yaml"), problems, known_tools=TOOLS, serialize_overlaps=serialize
    )
    return found, list(problems)


def good_streams(text: str) -> StreamsDocument:
    """The streams of a text that must have no errors."""
    found, problems = streams_of(text)
    assert found is not None, problems
    return found


def phases_of(text: str) -> tuple[tuple[Phase, ...], list[Problem]]:
    """The phases of a text, and its problems."""
    problems = Problems()
    return parse_phases(document(text, "phases.yaml"), problems, known_tools=TOOLS), list(problems)


STREAMS = """\
streams:
  - {id: a, owner: Claude, scope: {paths: [src/**]}, phases: [p1, p2]}
  - {id: b, owner: Codex, scope: {paths: [docs/**]}, phases: [p3]}
  - {id: c, owner: shell, scope: [tests/], phases: []}
execution_order:
  - parallel: [a, b]
  - sequential: [c]
"""
