"""Short ways to read documents in the tests of the schema."""

from collections.abc import Collection, Mapping
from pathlib import Path

from cli_multi_rapid.core.plan import Node, Plan
from cli_multi_rapid.schema.document import Document, load_document, read_document
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Problem, Problems

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


def good_plan(text: str, *, params: Mapping[str, str] | None = None) -> Plan:
    """The plan of a text that must have no errors."""
    problems = Problems()
    plan = parse_plan(document(text, "plan.yaml"), problems, params=params)
    assert plan is not None, problems.to_text()
    return plan


def only_node(keys: str) -> Node:
    """The node of a plan with one node, from its keys as YAML in braces without the braces."""
    return good_plan(f"nodes: [{{{keys}}}]").nodes[0]
