"""A request to a plan by rules: the nodes, claims, tools, costs and thoughts that follow from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, NodeId, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd, parse_usd
from cli_multi_rapid.core.plan import Role
from cli_multi_rapid.planner.assessment import Assessment, Risk
from cli_multi_rapid.planner.named_files import FileKind, kind_of, read_files
from cli_multi_rapid.planner.template import Request, TemplatePlan, plan_request, slug
from cli_multi_rapid.planner.tool_choice import Toolbox, choose_tool
from cli_multi_rapid.schema.document import document_of
from cli_multi_rapid.schema.names import what_is_wrong_with_id
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.plan_document import plan_to_document
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.tools import ToolConfig

CLAUDE = ToolConfig(name=ToolName("claude"), capabilities=("planning", "nlp", "testing"), cost_hint=1.0)
AIDER = ToolConfig(name=ToolName("aider"), capabilities=("python", "refactor", "tests"), cost_hint=0.6)
CURSOR = ToolConfig(name=ToolName("cursor"), capabilities=("editor", "typescript", "docs"), cost_hint=0.4)
TOOLBOX = Toolbox(default=ToolName("codex"), tools=(CLAUDE, AIDER, CURSOR))
MAIN = Branch("main")


def planned(
    text: str, *files: str, budget: MicroUsd | None = None, toolbox: Toolbox = TOOLBOX, language: str = ""
) -> TemplatePlan:
    languages = (language,) if language else ()
    request = Request(text=text, files=files, budget=budget, target=MAIN, languages=languages)
    return plan_request(request, toolbox)


def claims(made: TemplatePlan, node: str) -> list[str]:
    return [claim.path for claim in made.plan.by_id[NodeId(node)].path_claims]


def ids(made: TemplatePlan) -> list[str]:
    return [node.id for node in made.plan.nodes]


def assess(text: str, *files: str) -> Assessment:
    return planned(text, *files).assessment


# --- nodes and claims ---------------------------------------------------------------------------------------


def test_code_is_implemented_tested_documented_and_verified() -> None:
    made = planned("Add OAuth2 login", "src/auth/")
    assert {node.id: node.deps for node in made.plan.nodes} == {
        "implement": (),
        "tests": ("implement",),
        "docs": ("implement",),
        "verify": ("implement", "tests", "docs"),
    }
    assert claims(made, "implement") == ["src/auth/**"]
    assert claims(made, "tests") == ["tests/**"]
    assert claims(made, "docs") == ["docs/**", "README.md"]
    verify = made.plan.by_id[NodeId("verify")]
    assert (verify.role, verify.tool, verify.path_claims) == (Role.IPT, "verify", ())


def test_every_node_is_told_the_request_and_where_it_belongs() -> None:
    made = planned("Add OAuth2 login\nwith refresh tokens", "src/auth/")
    for node in made.plan.nodes:
        assert "Add OAuth2 login\nwith refresh tokens" in node.goal
        assert node.label.endswith(": Add OAuth2 login")
    assert "src/auth/**" in made.plan.nodes[1].goal


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["docs/guide.md"], {"docs": ["docs/guide.md"], "verify": []}),
        (["tests/test_auth.py"], {"tests": ["tests/**"], "verify": []}),
        (["pyproject.toml", ".github/"], {"implement": ["pyproject.toml", ".github/**"], "verify": []}),
        ([], {"implement": [], "verify": []}),
        (
            ["src/app.py", "tests/unit/", "CHANGELOG.md"],
            {"implement": ["src/**"], "tests": ["tests/unit/**"], "docs": ["CHANGELOG.md"], "verify": []},
        ),
        (
            ["pkg/server/"],
            {
                "implement": ["pkg/server/**"],
                "tests": ["tests/**"],
                "docs": ["docs/**", "README.md"],
                "verify": [],
            },
        ),
    ],
)
def test_the_named_files_decide_the_nodes(files: list[str], expected: dict[str, list[str]]) -> None:
    made = planned("Do it well please", *files)
    assert {node: claims(made, node) for node in ids(made)} == expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["src/auth/"], ["src/auth/**"]),
        (["./src/auth/login.py"], ["src/auth/**"]),
        (["src/auth/login.py", "src/"], ["src/**"]),
        (["src/a.py", "src/b.py"], ["src/**"]),
        (["main.py"], ["main.py"]),
        (["src/auth"], ["src/auth", "src/auth/**"]),
        (["src/*.py"], ["src/*.py"]),
        (["."], ["**"]),
        (["./"], ["**"]),
        (["Makefile"], ["Makefile"]),
        (["src/x/", "src/x/**", " "], ["src/x/**"]),
    ],
)
def test_claims_follow_from_how_a_file_is_named(named: list[str], expected: list[str]) -> None:
    assert claims(planned("Do it well please", *named), "implement") == expected


def test_go_and_web_tests_may_lie_beside_the_code() -> None:
    assert claims(planned("Add it", "pkg/x.go"), "tests") == ["tests/**", "pkg/**/*_test.go"]
    assert claims(planned("Add it", "web/"), "tests") == ["tests/**"]
    beside = claims(planned("Add it", "web/", language="typescript"), "tests")
    assert beside == ["tests/**", "web/**/*.test.*", "web/**/*.spec.*"]
    assert claims(planned("Add it", "main.go"), "tests") == ["tests/**", "**/*_test.go"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("src/app.py", FileKind.CODE),
        ("src/**", FileKind.CODE),
        ("app", FileKind.CODE),
        ("src/app.test.ts", FileKind.TESTS),
        ("tests", FileKind.TESTS),
        ("tests/README.md", FileKind.TESTS),
        ("src/test_app.py", FileKind.TESTS),
        ("src/tests.py", FileKind.CODE),
        ("README", FileKind.DOCS),
        ("docs/conf.py", FileKind.DOCS),
        ("notes.txt", FileKind.DOCS),
        ("requirements-dev.txt", FileKind.CONFIG),
        (".gitignore", FileKind.CONFIG),
        ("deploy/app.yaml", FileKind.CONFIG),
    ],
)
def test_a_file_is_known_by_its_name_and_folders(path: str, kind: FileKind) -> None:
    assert kind_of(path) is kind


def test_paths_that_leave_the_repository_are_refused_all_at_once() -> None:
    with pytest.raises(UserError) as caught:
        read_files(["../secrets", "/etc/passwd", "src/", "caf\udce9.py"])
    assert "../secrets" in caught.value.message
    assert "/etc/passwd" in caught.value.message
    assert "'caf\\udce9.py' is not UTF-8" in caught.value.message
    assert caught.value.hint


def test_an_empty_request_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        planned(" \n ")


def test_half_characters_of_a_terminal_do_no_harm() -> None:
    assert planned("caf\udce9 \x00").plan.description == "caf� �"


# --- tools --------------------------------------------------------------------------------------------------


def test_tools_are_chosen_by_capability_and_price() -> None:
    made = planned("Add a flag", "src/app.py")
    assert {node.id: node.tool for node in made.plan.nodes} == {
        "implement": "aider",
        "tests": "aider",
        "docs": "cursor",
        "verify": "verify",
    }
    assert {choice.node_id: choice.pick.reason for choice in made.choices} == {
        "implement": "the only tool that fits python",
        "tests": "the cheapest (cost_hint 0.6) of 2 tools that fit tests",
        "docs": "the only tool that fits docs",
    }


def test_the_default_does_what_no_tool_is_configured_for() -> None:
    made = planned("Add a flag", "src/app.py", toolbox=Toolbox(default=ToolName("codex")))
    assert {node.tool for node in made.plan.nodes} == {"codex", "verify"}
    assert made.choices[0].pick.reason == "the default: no usable tool is configured for python or code"
    assert made.assessment.confidence < assess("Add a flag", "src/app.py").confidence


def test_a_tool_that_is_down_is_passed_over() -> None:
    assert choose_tool(TOOLBOX, ("tests",)).tool == "aider"
    assert choose_tool(replace(TOOLBOX, down=(ToolName("aider"),)), ("tests",)).tool == "claude"


def test_latency_decides_between_equal_prices_and_the_name_after_that() -> None:
    twins = tuple(ToolConfig(name=ToolName(name), capabilities=("docs",)) for name in ("b", "a"))
    box = Toolbox(default=ToolName("x"), tools=twins)
    assert choose_tool(box, ("docs",)).tool == "a"
    assert choose_tool(replace(box, latency_ms={ToolName("b"): 20.0}), ("docs",)).tool == "b"
    assert choose_tool(box, ("docs",)).reason == "the cheapest of 2 tools that fit docs"


def test_a_tool_for_security_goes_first_where_security_is_touched() -> None:
    careful = ToolConfig(name=ToolName("claude"), capabilities=("python", "security_review"), cost_hint=3.0)
    box = replace(TOOLBOX, tools=(AIDER, careful))
    assert planned("Add a flag", "src/a.py", toolbox=box).plan.nodes[0].tool == "aider"
    implement = planned("Check passwords", "src/a.py", toolbox=box).plan.nodes[0]
    assert (implement.tool, implement.capabilities) == ("claude", ("python", "security"))
    assert planned("Check passwords", "src/a.py").plan.nodes[0].tool == "aider"


def test_the_language_of_the_repository_helps_when_files_tell_none() -> None:
    assert planned("Add a page", "web/").plan.nodes[0].tool == "aider"
    assert planned("Add a page", "web/", language="typescript").plan.nodes[0].tool == "cursor"


# --- money --------------------------------------------------------------------------------------------------


def test_costs_follow_complexity_kind_and_the_price_of_the_tool() -> None:
    made = planned("Add a flag", "src/app.py")
    assert made.assessment.complexity == 1
    assert [node.est_cost for node in made.plan.nodes] == [
        parse_usd("0.06"),
        parse_usd("0.036"),
        parse_usd("0.012"),
        ZERO,
    ]
    assert made.assessment.est_cost == parse_usd("0.108")
    assert all(node.max_cost is None for node in made.plan.nodes)


def test_free_tools_cost_nothing_and_typical_costs_are_believed() -> None:
    free = ToolConfig(name=ToolName("local"), capabilities=("python", "tests"), cost_class="free")
    known = ToolConfig(name=ToolName("known"), capabilities=("docs",), typical_cost=parse_usd(3))
    box = Toolbox(default=ToolName("x"), tools=(free, known))
    made = planned("Add a flag", "src/app.py", toolbox=box, budget=parse_usd(10))
    assert [node.est_cost for node in made.plan.nodes] == [ZERO, ZERO, parse_usd(3), ZERO]


def test_a_budget_is_shared_out_by_expected_cost() -> None:
    made = planned("Add a flag", "src/app.py", budget=parse_usd(9))
    assert [node.max_cost for node in made.plan.nodes] == [parse_usd(5), parse_usd(3), parse_usd(1), None]
    assert made.plan.nodes[0].est_cost == parse_usd("0.06")
    assert made.plan.budget == parse_usd(9)


def test_a_budget_below_the_estimate_is_still_shared_out_and_the_estimate_is_kept() -> None:
    made = planned("Add a flag", "src/app.py", budget=parse_usd("0.009"))
    assert [node.est_cost for node in made.plan.nodes] == [5000, 3000, 1000, 0]
    assert made.assessment.est_cost == parse_usd("0.108")


def test_without_any_money_no_agent_can_start() -> None:
    made = planned("Add a flag", "src/app.py", budget=ZERO)
    for node in made.plan.nodes[:-1]:
        assert node.max_cost == ZERO
        assert (node.est_cost or ZERO) > ZERO


NAMES = ("src/auth/", "src/app.py", "docs/a.md", "tests/", "Makefile", "web/x.ts", "a/b", "**/*.go", ".")
TEXT = st.text(st.characters(), min_size=1).filter(lambda text: bool(text.strip()))


@given(TEXT, st.lists(st.sampled_from(NAMES)), st.none() | st.integers(0, 10**13))
def test_every_request_makes_a_valid_plan_within_its_budget(
    text: str, files: list[str], budget: int | None
) -> None:
    limit = None if budget is None else MicroUsd(budget)
    made = planned(text, *files, budget=limit)
    plan, problems = made.plan, Problems()
    assert parse_plan(document_of(plan_to_document(plan), "saved"), problems) == plan, problems.to_text()
    assert what_is_wrong_with_id(plan.plan_id) is None
    assert all(what_is_wrong_with_id(node.id) is None for node in plan.nodes)
    assert 0 <= made.assessment.complexity <= 10
    assert 0.05 <= made.assessment.confidence <= 0.9
    if limit is not None:
        affordable = [node for node in plan.nodes if node.max_cost != ZERO]
        assert sum(node.max_cost or 0 for node in plan.nodes) <= limit
        assert sum(node.est_cost or 0 for node in affordable) <= limit


# --- the plan's name ----------------------------------------------------------------------------------------


def test_the_same_request_gets_the_same_plan_and_any_other_another_name() -> None:
    first = planned("Add OAuth2 login", "src/auth/")
    assert first == planned("Add OAuth2 login", "src/auth/")
    assert first.plan.plan_id.startswith("add-oauth2-login-")
    others = [
        planned("Add OAuth2 login!", "src/auth/"),
        planned("Add OAuth2 login", "src/"),
        planned("Add OAuth2 login", "src/auth/", budget=parse_usd(1)),
    ]
    assert len({first.plan.plan_id, *(made.plan.plan_id for made in others)}) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Add OAuth2 login", "add-oauth2-login"),
        ("Größe: prüfen!", "groe-prufen"),
        ("日本語", "request"),
        ("one two three four five six seven eight nine ten", "one-two-three-four-five-six-seven-eight"),
        ("x" * 50, "x" * 40),
    ],
)
def test_the_name_of_a_plan_can_be_read(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_a_long_request_gets_a_short_title() -> None:
    made = planned("Please " + "very " * 30 + "much")
    assert len(made.plan.name) <= 60
    assert made.plan.name.endswith("very…")
    assert made.plan.description.endswith("much")


# --- assessment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "files", "complexity", "risk", "confidence"),
    [
        ("Add a small flag", ["src/a.py"], 1, Risk.LOW, 0.86),
        ("Fix a typo there", ["README.md"], 0, Risk.LOW, 0.90),
        ("Fix it", ["src/a.py"], 1, Risk.LOW, 0.76),
        ("Add a small flag", [], 3, Risk.LOW, 0.63),
        ("Refactor the parser into modules", ["src/"], 6, Risk.MEDIUM, 0.66),
        ("Check the password strength", ["src/a.py"], 3, Risk.MEDIUM, 0.78),
        ("Check the password strength", [], 5, Risk.HIGH, 0.45),
        ("Add a small flag", ["src/a.py", "setup.cfg"], 2, Risk.MEDIUM, 0.82),
        ("Add a small flag", ["a.py", "b.py", "c.py", "d.py", "e.py"], 3, Risk.LOW, 0.78),
        (
            "Migrate the auth database to a distributed service API:\n- one\n- two\n- three\n- four",
            ["src/", "db/", "web/"],
            10,
            Risk.HIGH,
            0.40,
        ),
        ("word " * 90, ["src/a.py"], 3, Risk.LOW, 0.78),
        ("word " * 40 + "then one then two", ["src/a.py"], 3, Risk.LOW, 0.78),
    ],
)
def test_complexity_risk_and_confidence_follow_the_rules(
    text: str, files: list[str], complexity: int, risk: Risk, confidence: float
) -> None:
    found = assess(text, *files)
    points = {factor.name: factor.points for factor in found.factors}
    assert (found.complexity, found.risk) == (complexity, risk), points
    assert found.confidence == pytest.approx(confidence)


def test_factors_say_what_they_saw() -> None:
    found = assess("Refactor login and passwords", "src/")
    reasons = {factor.name: factor.reason for factor in found.factors}
    assert reasons["security"] == "it says login, passwords"
    assert found.signals == {"request", "folders", "structure", "security"}


def test_the_duration_is_that_of_the_longest_chain() -> None:
    made = planned("Add a small flag", "src/a.py")
    assert made.assessment.est_duration_s == 180 + 0.6 * 180 + 60
    assert made.assessment.capabilities == ("python", "tests", "docs")
