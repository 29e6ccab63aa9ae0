"""What a model may say in a plan, and what our rules make of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli_multi_rapid.core.ids import Branch, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.plan import Plan, Role
from cli_multi_rapid.planner.from_model import first_prompt, plan_of_draft, repair_prompt
from cli_multi_rapid.planner.template import Request
from cli_multi_rapid.planner.tool_choice import Toolbox
from cli_multi_rapid.schema.plan_draft import MOST_NODES, draft_schema, parse_draft
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.tools import ToolConfig

CLAUDE, AIDER = ToolName("claude"), ToolName("aider")
TOOLS = (CLAUDE, AIDER)
REQUEST = Request(
    text="Add OAuth2 login", target=Branch("main"), files=("src/auth/",), budget=MicroUsd(15_000_000)
)
TOOLBOX = Toolbox(default=CLAUDE, tools=(ToolConfig(name=AIDER, capabilities=("code",), cost_hint=0.5),))


def a_node(name: str = "n1", **keys: Any) -> dict[str, Any]:
    return {
        "id": name,
        "label": "Do it",
        "goal": "Do the thing",
        "tool": "claude",
        "deps": [],
        "inputs": [],
        "outputs": [f"{name}/out.py"],
        "path_claims": [{"path": f"{name}/**", "mode": "exclusive"}],
        "capabilities": ["code"],
        "priority": "high",
        "estimated_duration_min": 10,
        **keys,
    }


def a_draft(*nodes: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"name": "A plan", "nodes": list(nodes or (a_node(),)), **keys}


def read(draft: object) -> tuple[Plan | None, list[str]]:
    problems = Problems()
    text = draft if isinstance(draft, str) else json.dumps(draft, indent=2)
    plan = parse_draft(text, "draft.json", problems, tools=TOOLS, default_base="main")
    return plan, [problem.to_text() for problem in problems if problem.severity == "error"]


VERIFY = a_node("v", tool="verify", deps=["n1", "n2"], outputs=[], path_claims=[])


def test_a_draft_of_the_schema_is_a_plan() -> None:
    draft = a_draft(a_node(), a_node("n2", tool="aider", deps=["n1"]), VERIFY)
    Draft202012Validator(draft_schema(TOOLS)).validate(draft)

    plan, errors = read(draft)

    assert errors == []
    assert plan is not None
    assert [(node.id, node.tool, node.role) for node in plan.nodes] == [
        ("n1", "claude", Role.WT),
        ("n2", "aider", Role.WT),
        ("v", "verify", Role.IPT),
    ]


def test_every_object_of_the_schema_is_closed_and_whole_as_providers_demand() -> None:
    def objects(schema: Any) -> Iterator[dict[str, Any]]:
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                yield schema
            for value in schema.values():
                yield from objects(value)

    found = list(objects(draft_schema(TOOLS)))

    assert len(found) == 3
    for each in found:
        assert each["additionalProperties"] is False
        assert sorted(each["required"]) == sorted(each["properties"])


@pytest.mark.parametrize(
    ("draft", "says"),
    [
        (a_draft(a_node("a", deps=["b"]), a_node("b", deps=["a"])), "draft.json:10:9: error[E204]"),
        (a_draft(a_node(outputs=["else.py"])), "writes `else.py` outside its claims"),
        (a_draft(a_node(tool="rm")), "unknown tool `rm`"),
        (a_draft(a_node(tool="shell", run="id")), "the key `run` is not for a planner to set"),
        (a_draft(a_node(env={"A": "b"})), "the key `env` is not for a planner to set"),
        (a_draft(a_node(max_cost=100)), "the key `max_cost` is not for a planner to set"),
        (a_draft(a_node(wings=2)), "unknown key `wings`"),
        (a_draft(a_node(**{"x-note": "n"})), "the key `x-note` is not for a planner to set"),
        (a_draft(checks={"x": {"run": "id"}}), "the key `checks` is not for a planner to set"),
        (a_draft(merge_policy={"checklist": []}), "the key `merge_policy` is not for a planner to set"),
        (a_draft({**VERIFY, "deps": []}), "no node of the plan changes anything"),
        (a_draft(*(a_node(f"n{at}") for at in range(MOST_NODES + 1))), "41 nodes"),
        ({"name": "A plan"}, "nodes"),
        (["no", "mapping"], "the document must be a mapping"),
        ("Sorry, no JSON from me.", "this is not JSON"),
        ("", "is empty"),
    ],
)
def test_a_draft_that_breaks_a_rule_is_refused_with_the_place(draft: object, says: str) -> None:
    plan, errors = read(draft)

    assert plan is None
    assert says in "\n".join(errors)


def made(*nodes: dict[str, Any], spent: int = 0, request: Request = REQUEST) -> Plan:
    plan, errors = read(a_draft(*nodes))
    assert plan is not None, errors
    return plan_of_draft(plan, request, TOOLBOX, planner=CLAUDE, spent=MicroUsd(spent)).plan


def test_the_nodes_share_what_the_planning_has_left_of_the_budget() -> None:
    plan = made(a_node(), a_node("n2"), VERIFY, spent=5_000_000)

    assert plan.budget == 15_000_000
    assert [node.max_cost for node in plan.nodes] == [5_000_000, 5_000_000, None]
    assert plan.by_id[plan.nodes[2].id].est_cost == ZERO


def test_cost_follows_from_our_rule_the_price_of_the_tool_and_the_time_within_bounds() -> None:
    unlimited = Request(text=REQUEST.text, target=REQUEST.target)
    minutes = (1, 10_000, 0)

    plan = made(
        *(a_node(f"n{at}", estimated_duration_min=each) for at, each in enumerate(minutes)),
        a_node("cheap", tool="aider", estimated_duration_min=0),
        request=unlimited,
    )
    brief, endless, unsaid, cheap = (node.est_cost or 0 for node in plan.nodes)

    assert brief == round(unsaid * 0.3)
    assert endless == unsaid * 2
    assert cheap == round(unsaid * 0.5)


def test_the_plan_says_who_made_it_and_has_an_id_of_its_own() -> None:
    plan = made(a_node())

    assert plan.created_by == "claude"
    assert plan.description == "Add OAuth2 login"
    assert plan.plan_id.startswith("add-oauth2-login-")
    assert plan.plan_id != made(a_node("other")).plan_id


def test_the_model_is_told_the_request_the_tools_and_the_files_near_it_first() -> None:
    listing = [*(f"lib/{at}.py" for at in range(400)), "src/auth/user.py"]

    prompt = first_prompt(REQUEST, TOOLBOX, TOOLS, listing)

    assert "Add OAuth2 login\nIt is about: src/auth/\nThe budget is $15.00." in prompt
    assert "- aider: good at code; relative price 0.5" in prompt
    assert "Files of the repository:\nsrc/auth/user.py\nlib/0.py" in prompt
    assert prompt.endswith("and 101 more")


def test_a_repair_stands_for_itself() -> None:
    repair = repair_prompt("the question", '{"nodes": []}', ["draft-1.json:1:1: error[E1]: bad"])

    for part in ("the question", '{"nodes": []}', "draft-1.json:1:1: error[E1]: bad"):
        assert part in repair


@pytest.mark.parametrize("letter", ["x", "\u20ac", "\ud800"])
def test_a_repair_shows_the_beginning_of_what_is_too_long_and_all_of_what_was_asked(letter: str) -> None:
    repair = repair_prompt("the question", "answer " + letter * 200_000, ["problem " + letter * 200_000])

    assert len(repair.encode("utf-8", "replace")) < 64 * 1024
    for part in ("problem ", "answer ", "bytes are left out here", "the question"):
        assert part in repair
