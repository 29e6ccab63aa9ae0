"""Configuration in layers: who wins, where a value came from, and what is said of a wrong one."""

import pytest

from cli_multi_rapid.core.ids import NodeId, RunId, ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import CheckSpec, FixMode, FixPolicy, Sandbox
from cli_multi_rapid.schema.document import Document, document_of
from cli_multi_rapid.schema.environment_layer import environment_layer
from cli_multi_rapid.schema.problems import Code, Problem, Problems, Severity
from cli_multi_rapid.schema.settings import (
    BudgetSettings,
    LandingApproval,
    MergeSettings,
    Settings,
    SlotStrategy,
    Violation,
    WorktreeSettings,
)
from cli_multi_rapid.schema.settings_reader import parse_settings
from tests.core.schema_reading import document

FULL = """\
version: 1
workers: 4
tool_limits: {claude: 2, Aider: 3}
checks: {lint: {argv: [ruff, check, .]}, unit_tests: {argv: [pytest, -q], timeout_s: 900, min_time_s: 0}}
merge_policy: {target: main, checklist: [lint, test], workers: 3,
  per_change: true, retry_flaky: 2, approval: manual}
budget: {warn_pct: 70, halt_pct: 90, node_usd: 1.50, day_usd: 50}
worktrees: {strategy: linked, pool: 3, hydrate: [uv, sync], links: [.env], lane: flat}
landing: {update_checkout: false, push: origin}
claims: {violation: strip}
verification: {fix: ask, rounds: 1, tool: Aider}
sandbox: bwrap
retention_days: 7
"""


def settings_of(*layers: Document) -> tuple[Settings | None, list[Problem]]:
    problems = Problems()
    return parse_settings(layers, problems), list(problems)


def good_settings(*layers: Document) -> Settings:
    found, problems = settings_of(*layers)
    assert found is not None, problems
    return found


def test_without_any_layer_the_built_in_values_hold() -> None:
    settings = good_settings()
    assert settings == Settings()
    assert (settings.workers, settings.retention_days, settings.sandbox) == (4, 30, Sandbox.NONE)
    assert settings.merge_policy == MergeSettings(workers=2, retry_flaky=1)
    assert settings.budget == BudgetSettings(warn_pct=80, halt_pct=95, node_usd=parse_usd(2), day_usd=None)
    assert (settings.checks, settings.merge_policy.checklist) == ({}, None)
    assert settings.landing.update_checkout
    assert settings.claims.violation is Violation.FAIL
    assert settings.verification.policy == FixPolicy(mode=FixMode.OFF, rounds=2, tool=None)
    assert settings.source_of("workers") == "built-in"


def test_every_documented_key_arrives() -> None:
    settings = good_settings(document(FULL, "orchestrator.yaml"))
    assert (settings.workers, settings.sandbox, settings.retention_days) == (4, Sandbox.BWRAP, 7)
    assert settings.tool_limits == {"claude": 2, "aider": 3}
    assert settings.checks == {
        "lint": CheckSpec(id="lint", argv=("ruff", "check", ".")),  # type: ignore[arg-type] # a name is a text
        "tests": CheckSpec(id="tests", argv=("pytest", "-q")),  # type: ignore[arg-type] # a name is a text
    }
    policy = settings.merge_policy
    assert (policy.target, policy.checklist, policy.workers) == ("main", ("lint", "tests"), 3)
    assert (policy.per_change, policy.retry_flaky, policy.approval) == (True, 2, LandingApproval.MANUAL)
    assert settings.budget == BudgetSettings(
        warn_pct=70, halt_pct=90, node_usd=parse_usd("1.5"), day_usd=parse_usd(50)
    )
    slots = settings.worktrees
    assert (slots.strategy, slots.pool, slots.hydrate) == (SlotStrategy.LINKED, 3, ("uv", "sync"))
    assert (slots.links, slots.lane) == ((".env",), "lane-{run}-{node}")
    assert (settings.landing.update_checkout, settings.landing.push) == (False, "origin")
    assert settings.claims.violation is Violation.STRIP
    assert settings.verification.policy == FixPolicy(mode=FixMode.ASK, rounds=1, tool=ToolName("aider"))
    assert settings.source_of("budget.node_usd") == "orchestrator.yaml"


def test_the_last_layer_wins_key_by_key_and_is_named() -> None:
    settings = good_settings(
        document(
            "budget: {node_usd: 1, day_usd: 5}\ntool_limits: {a: 1, b: 1}\nchecks: {lint: x, mine: y}", "user"
        ),
        document("budget: {node_usd: 3}\ntool_limits: {b: 2}\nchecks: {lint: z}", "repository"),
        document_of({"workers": 9}, "flags"),
    )
    assert (settings.budget.node_usd, settings.budget.day_usd) == (parse_usd(3), parse_usd(5))
    assert settings.tool_limits == {ToolName("a"): 1, ToolName("b"): 2}
    assert {name: check.run for name, check in settings.checks.items()} == {"lint": "z", "mine": "y"}
    assert {
        key: settings.source_of(key)
        for key in (
            "budget.node_usd",
            "budget.day_usd",
            "tool_limits.a",
            "tool_limits.b",
            "checks.lint",
            "workers",
        )
    } == {
        "budget.node_usd": "repository",
        "budget.day_usd": "user",
        "tool_limits.a": "user",
        "tool_limits.b": "repository",
        "checks.lint": "repository",
        "workers": "flags",
    }


def test_null_takes_back_what_a_lower_layer_set() -> None:
    settings = good_settings(
        document(FULL, "user"),
        document(
            "budget: {day_usd: null}\nmerge_policy: {checklist: ~, target: null}\nlanding: {push: null}\n"
            "worktrees: {hydrate: null, pool: null}\n",
            "repository",
        ),
    )
    assert (settings.budget.day_usd, settings.landing.push) == (None, None)
    assert (settings.merge_policy.checklist, settings.merge_policy.target) == (None, None)
    assert (settings.worktrees.hydrate, settings.worktrees.pool) == ((), 3)
    assert settings.source_of("budget.day_usd") == "repository"


def test_a_lane_is_named_from_its_template() -> None:
    for template, lane in (
        ("lane/{run}/{node}", "lane/r1/n1"),
        ("nested", "lane/r1/n1"),
        ("x-{node}/{run}", "x-n1/r1"),
    ):
        settings = good_settings(document(f"worktrees: {{lane: '{template}'}}"))
        assert settings.worktrees.lane_of(RunId("r1"), NodeId("n1")) == lane
    assert WorktreeSettings().lane_of(RunId("r"), NodeId("n")) == "lane/r/n"


BAD = {
    "unknown key": ("workerz: 3", Code.UNKNOWN_KEY, "`workers`"),
    "unknown key of a section": ("budget: {node: 3}", Code.UNKNOWN_KEY, "node_usd"),
    "section as a text": ("budget: 3", Code.WRONG_TYPE, "keys are: warn_pct"),
    "no workers": ("workers: 0", Code.BAD_VALUE, "between 1"),
    "half a worker": ("workers: 1.5", Code.WRONG_TYPE, ""),
    "many percent": ("budget: {warn_pct: 101}", Code.BAD_VALUE, "0 and 100"),
    "warning after the stop": ("budget: {warn_pct: 96}", Code.BAD_VALUE, "smaller"),
    "stop before the warning": ("budget: {halt_pct: 50}", Code.BAD_VALUE, "smaller"),
    "bad amount": ("budget: {day_usd: lots}", Code.BAD_AMOUNT, "4.50"),
    "bad limit": ("tool_limits: {claude: no}", Code.WRONG_TYPE, ""),
    "limits as a list": ("tool_limits: [claude]", Code.WRONG_TYPE, ""),
    "bad sandbox": ("sandbox: docker", Code.BAD_VALUE, "none"),
    "bad approval": ("merge_policy: {approval: manul}", Code.BAD_VALUE, "`manual`"),
    "bad target": ("merge_policy: {target: 'a b'}", Code.BAD_BRANCH, "no spaces"),
    "push like an option": ("landing: {push: --mirror}", Code.BAD_BRANCH, "no spaces"),
    "link out of the repository": ("worktrees: {links: [../.env]}", Code.BAD_PATH, "root"),
    "lane without a node": ("worktrees: {lane: 'lane/{run}'}", Code.BAD_BRANCH, "{node}"),
    "lane without a run": ("worktrees: {lane: 'lane/{node}'}", Code.BAD_BRANCH, "nested"),
    "lane that is no branch": ("worktrees: {lane: 'a b/{run}/{node}'}", Code.BAD_BRANCH, "nested"),
    "flag in words": ("landing: {update_checkout: on}", Code.WRONG_TYPE, "true or false"),
    "fixes in no round": ("verification: {fix: auto, rounds: 0}", Code.BAD_VALUE, "fix: off"),
    "check without a command": ("checks: {lint: {}}", Code.WORK, "argv"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_setting_is_refused_with_a_message_that_one_can_act_on(case: str) -> None:
    text, code, suggestion = BAD[case]
    found, problems = settings_of(document(text, "orchestrator.yaml"))
    assert found is None
    (problem,) = problems
    assert problem.code is code, problem.to_text()
    assert suggestion in problem.suggestion, problem.to_text()
    assert problem.line


def test_an_unknown_agent_for_the_fixes_is_refused_where_it_stands() -> None:
    layers = [
        document("verification: {tool: nobody}", "user"),
        document("verification:\n  tool: aidr", "file"),
    ]
    problems = Problems()
    assert parse_settings(layers, problems, known_tools=("aider",)) is None
    (found,) = problems
    assert (found.file, found.line, found.column, found.code) == ("file", 2, 9, Code.UNKNOWN_TOOL)
    assert "`aider`" in found.suggestion
    assert parse_settings(layers, Problems(), known_tools=("aidr",)) is not None
    assert parse_settings(layers, Problems()) is not None


def test_all_layers_are_reported_together() -> None:
    _, problems = settings_of(document("workers: x", "user"), document("sandbox: y", "repository"))
    assert [p.file for p in problems] == ["repository", "user"]


# The environment -----------------------------------------------------------------------------------------


def layer(environment: dict[str, str]) -> tuple[Document | None, list[Problem]]:
    problems = Problems()
    return environment_layer(environment, problems), list(problems)


def test_the_environment_is_a_layer() -> None:
    found, problems = layer(
        {
            "CLI_ORCHESTRATOR_BUDGET__NODE_USD": "3.25",
            "CLI_ORCHESTRATOR_BUDGET__DAY_USD": "null",
            "CLI_ORCHESTRATOR_WORKTREES__HYDRATE": "[uv, sync]",
            "CLI_ORCHESTRATOR_CHECKS__TESTS": "{run: make test, env: {A: '1'}}",
            "CLI_ORCHESTRATOR_TOOL_LIMITS__CLAUDE": "1",
            "WT_PARALLEL_LIMIT": "7",
            "HOME": "/home/x",
        }
    )
    assert not problems
    assert found is not None
    settings = good_settings(document("budget: {day_usd: 5}"), found)
    assert (settings.workers, settings.budget.node_usd, settings.budget.day_usd) == (
        7,
        parse_usd("3.25"),
        None,
    )
    assert settings.worktrees.hydrate == ("uv", "sync")
    (check,) = settings.checks.values()
    assert (check.run, check.env) == ("make test", {"A": "1"})
    assert settings.tool_limits == {"claude": 1}
    assert settings.source_of("workers") == "environment"


def test_our_own_variable_wins_over_the_old_one_and_empty_ones_say_nothing() -> None:
    found, _ = layer(
        {"WT_PARALLEL_LIMIT": "7", "CLI_ORCHESTRATOR_WORKERS": "2", "CLI_ORCHESTRATOR_SANDBOX": ""}
    )
    assert found is not None
    assert good_settings(found).workers == 2


def test_a_wrong_variable_is_shown_as_it_would_be_typed() -> None:
    found, _ = layer({"CLI_ORCHESTRATOR_CHECKS__A__INPUTS": "[../x]", "CLI_ORCHESTRATOR_WORKERS": "many"})
    assert found is not None
    _, problems = settings_of(found)
    assert [p.code for p in problems] == [Code.WORK, Code.BAD_GLOB, Code.WRONG_TYPE]
    assert "CLI_ORCHESTRATOR_WORKERS=many" in problems[2].frame
    assert problems[1].frame.splitlines()[1].index("^") == problems[1].frame.splitlines()[0].index("../x")


def test_a_broken_list_in_the_environment_is_a_problem() -> None:
    found, problems = layer({"CLI_ORCHESTRATOR_WORKTREES__LINKS": "[a"})
    assert [p.code for p in problems] == [Code.SYNTAX]
    assert found is not None
    assert found.errors == 1


def test_a_misspelled_variable_is_a_warning_that_never_shows_its_value() -> None:
    found, problems = layer({"CLI_ORCHESTRATOR_BUDGET_NODE_USD": "s3cret"})
    assert found is None
    (warning,) = problems
    assert warning.severity is Severity.WARNING
    assert "`CLI_ORCHESTRATOR_BUDGET__NODE_USD`" in warning.suggestion
    assert "s3cret" not in warning.to_text()


def test_other_variables_of_ours_are_left_alone() -> None:
    assert layer({"CLI_ORCHESTRATOR_HOME": "/x", "CLI_ORCHESTRATOR_RUN_ID": "r1"}) == (None, [])
