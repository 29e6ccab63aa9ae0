"""Plans that are read: what their keys mean, and what is worth saying without refusing them."""

import pytest

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import (
    Actions,
    Approval,
    Argv,
    FixMode,
    FixPolicy,
    Form,
    MakeDirs,
    MergeWhen,
    Prompt,
    PythonCall,
    Role,
    RunTests,
    Script,
    ShellLine,
    WriteFile,
)
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Code, Problem, Problems, Severity
from tests.core.schema_reading import document, errors, example, good_plan, only_node, plan_problems

# The examples that users have ---------------------------------------------------------------------------


def test_the_long_example_is_a_valid_plan() -> None:
    problems = Problems()
    plan = parse_plan(example("oauth2_plan_long.json"), problems, known_tools=("aider", "cursor", "claude"))
    assert plan is not None
    assert len(problems) == 0, problems.to_text()
    assert plan.plan_id == "plan_abc123"
    assert plan.correlation_id == "corr_xyz789"
    assert plan.created_by == "claude-cli"
    assert plan.budget == parse_usd(15)
    assert plan.merge_policy.checklist == ("lint", "tests", "security")
    assert plan.merge_policy.auto_merge is False
    assert [n.tool for n in plan.nodes] == ["aider", "aider", "cursor", "claude"]
    first = plan.nodes[0]
    assert first.goal == "Implement OAuth2 middleware with token validation"
    assert first.capabilities == ("python", "security")
    assert first.est_cost == parse_usd(4)
    assert first.est_duration_s == 900
    assert plan.nodes[3].role is Role.IPT
    assert plan.nodes[3].deps == ("n1", "n2", "n3")


def test_the_short_example_is_refused_and_the_claim_to_add_is_named() -> None:
    problems = Problems()
    assert parse_plan(example("oauth2_plan_short.json"), problems) is None
    (problem,) = problems
    assert problem.code is Code.OUTSIDE_CLAIMS
    assert "node `n1` writes `src/middleware/auth.py` outside its claims" in problem.message
    assert problem.suggestion == 'add {path: "src/middleware/**", mode: exclusive} to its path_claims'
    assert (problem.line, problem.notes) == (8, ("it claims `src/auth/**` (line 9)",))


# What good plans mean -------------------------------------------------------------------------------------


def test_every_key_of_a_node_arrives() -> None:
    node = only_node(
        "id: n1, label: L, role: wt, tool: Claude-CLI, goal: G, inputs: [a], outputs: [s/b.py], "
        "path_claims: [s/, {path: t/*, mode: shared}, {path: u, mode: read}], capabilities: [python], "
        "priority: low, est_cost: $4.50, max_cost: 5, est_duration_s: 1.5, timeout_s: 900, retries: 0, "
        "model: 4, env: {A: yes, B: 012}, approval: landing, stream: docs"
    )
    assert (node.label, node.role, node.tool, node.goal, node.work) == ("L", Role.WT, "claude", "G", Prompt())
    assert (node.inputs, node.outputs) == (("a",), ("s/b.py",))
    assert node.path_claims == (
        PathClaim(path="s/"),
        PathClaim(path="t/*", mode=ClaimMode.SHARED),
        PathClaim(path="u", mode=ClaimMode.READ),
    )
    assert (node.capabilities, node.priority) == (("python",), 2)
    assert (node.est_cost, node.max_cost) == (4_500_000, 5_000_000)
    assert (node.est_duration_s, node.timeout_s, node.retries) == (1.5, 900, 0)
    assert (node.model, node.env) == ("4", {"A": "yes", "B": "012"})
    assert (node.approval, node.stream) == (Approval.LANDING, "docs")


def test_what_a_node_leaves_out_has_a_default() -> None:
    node = only_node("id: n1, tool: aider, goal: '', prompt: 'Do  this\n\nnow', model: null")
    assert (node.role, node.priority, node.approval) == (Role.WT, 1, Approval.NONE)
    assert (node.goal, node.label) == ("Do  this\nnow", "Do this now")
    assert (node.retries, node.timeout_s, node.model, node.est_cost) == (None, None, None, None)


def test_a_long_goal_makes_a_short_label() -> None:
    label = only_node(f"id: n1, tool: aider, goal: {'word ' * 40}").label
    assert len(label) <= 72
    assert label.endswith("word…")
    assert only_node("id: n1, run: x").label == "n1"


ACTION_KEYS = (
    "actions: [{type: run, cmd: a b}, {type: run, cmd: [a, b]}, {type: mkdirs, paths: [d]}, "
    "{type: files, write: [{path: p, template: t}, {path: q, content: c}, {path: r}]}, "
    "{type: python, call: 'm:f'}, {type: tests}, {type: tests, argv: [tox]}]"
)


@pytest.mark.parametrize(
    ("keys", "tool", "work"),
    [
        ("run: make docs", "shell", ShellLine(run="make docs")),
        ("run: true", "shell", ShellLine(run="true")),
        ("argv: [sleep, 0.5]", "shell", Argv(argv=("sleep", "0.5"))),
        ("target: 'a.b:c'", "python", PythonCall(target="a.b:c")),
        (
            "target: 'a:c', kwargs: {x: [1, no, {y: null}]}",
            "python",
            PythonCall(target="a:c", kwargs={"x": [1, "no", {"y": None}]}),
        ),
        (
            "script: [{write: a, text: b}, {cost: 0.5}]",
            "scripted",
            Script(steps=({"write": "a", "text": "b"}, {"cost": 0.5})),
        ),
        (
            ACTION_KEYS,
            "actions",
            Actions(
                actions=(
                    ShellLine(run="a b"),
                    Argv(argv=("a", "b")),
                    MakeDirs(paths=("d",)),
                    WriteFile(path="p", text="t"),
                    WriteFile(path="q", text="c"),
                    WriteFile(path="r", text=""),
                    PythonCall(target="m:f"),
                    RunTests(),
                    RunTests(argv=("tox",)),
                )
            ),
        ),
    ],
)
def test_the_work_of_a_node_names_its_tool(keys: str, tool: str, work: object) -> None:
    node = only_node(f"id: n1, {keys}")
    assert (node.tool, node.work) == (tool, work)


def test_verify_needs_nothing_and_looks_at_the_merged_target() -> None:
    node = only_node("id: v, tool: verify")
    assert (node.role, node.work) == (Role.IPT, Prompt())


@pytest.mark.parametrize(
    ("written", "tool"),
    [
        ("Claude", "claude"),
        ("claude_code", "claude"),
        ("Codex", "codex"),
        ("bash", "shell"),
        ("my-agent", "my-agent"),
    ],
)
def test_tools_have_one_spelling(written: str, tool: str) -> None:
    keys = "run: x" if tool == "shell" else "goal: g"
    assert only_node(f"id: n1, tool: {written}, {keys}").tool == tool


@pytest.mark.parametrize(
    ("written", "priority"),
    [("high", 0), ("Medium", 1), ("low", 2), ("urgent", 0), ("5", 5), ("-1", -1), ("3.0", 3)],
)
def test_priorities_are_numbers_or_words(written: str, priority: int) -> None:
    assert only_node(f"id: n1, run: x, priority: {written}").priority == priority


def test_old_spellings_mean_the_same() -> None:
    old = good_plan(
        "nodes: [{id: a, run: x}, {id: b, tool: aider, prompt: g, dependencies: [a], estimated_cost: 1, "
        "capabilities_required: [c], estimated_duration_min: 2, path_claims: [p]}]\n"
        "merge_policy: {pre_merge_checks: [test, security_scan, unit-tests, Lint]}\n"
        "rollback: {max_retry_attempts: 5}\n"
    )
    new = good_plan(
        "nodes: [{id: a, run: x}, {id: b, tool: aider, goal: g, deps: [a], est_cost: 1, capabilities: [c], "
        "est_duration_s: 120, path_claims: [{path: p, mode: exclusive}]}]\n"
        "merge_policy: {checklist: [tests, security, lint]}\nrollback_policy: {max_retry_attempts: 5}\n"
    )
    assert old == new
    assert new.rollback_policy.max_retry_attempts == 5


def test_both_spellings_with_the_same_value_are_fine() -> None:
    node = only_node("id: n1, run: x, est_cost: 2, estimated_cost: 2.0, deps: [], dependencies: null")
    assert node.est_cost == parse_usd(2)


def test_the_head_of_a_plan_arrives() -> None:
    plan = good_plan(
        "version: '1.0'\nplan_id: p1\nname: N\ndescription: D\nbranch_base: dev\nbranch_name: f/x\n"
        "created_at: 2025-01-01\ncreated_by: me\ncorrelation_id: c\nglobal_budget_usd: 1.5\n"
        "checks: {style: ruff check ., tests: [pytest, -q], slow: {run: make, inputs: [src/**], "
        "timeout_s: 5, min_time_s: 1, env: {A: 1}}}\n"
        "merge_policy: {strategy: merge-queue, target: main, checklist: [style, slow], when: after_all, "
        "auto_merge_on_success: false, require_passing_ci: true}\n"
        "rollback_policy: {strategy: any, preserve_worktrees_on_failure: false}\n"
        "x-mine: {anything: goes}\nnodes: [{id: n1, run: x}]\n"
    )
    assert (plan.plan_id, plan.name, plan.description) == ("p1", "N", "D")
    assert (plan.branch_base, plan.branch_name, plan.created_by) == ("dev", "f/x", "me")
    assert (plan.correlation_id, plan.budget) == ("c", 1_500_000)
    assert [(c.id, c.run, c.argv) for c in plan.checks] == [
        ("style", "ruff check .", ()),
        ("tests", None, ("pytest", "-q")),
        ("slow", "make", ()),
    ]
    slow = plan.checks[2]
    assert (slow.inputs, slow.timeout_s, slow.min_time_s, slow.env) == (("src/**",), 5, 1, {"A": "1"})
    policy = plan.merge_policy
    assert (policy.target, policy.checklist, policy.when) == ("main", ("style", "slow"), MergeWhen.AFTER_ALL)
    assert policy.auto_merge is False
    assert plan.rollback_policy.preserve_worktrees is False


def test_a_review_of_nothing_is_warned_of_before_it_is_paid_for() -> None:
    text = "nodes: [{id: n1, run: x, path_claims: [a]}, {id: look, tool: claude, review: true%s}]\n"
    (found,) = plan_problems(text % "")
    assert (found.code, found.severity) == (Code.NO_EFFECT, Severity.WARNING)
    assert "`look` is a review and comes after no node" in found.message
    assert plan_problems(text % ", deps: [n1]") == []


def test_a_review_looks_at_what_has_landed_and_needs_no_goal() -> None:
    plan = good_plan(
        "verification: {fix: auto, rounds: 1, tool: Aider}\n"
        "nodes: [{id: n1, run: x}, {id: look, tool: claude, review: true, deps: [n1]}]\n"
    )
    assert plan.fix == FixPolicy(mode=FixMode.AUTO, rounds=1, tool=ToolName("aider"))
    look = plan.nodes[1]
    assert (look.role, look.form, look.work) == (Role.IPT, Form.REVIEW, Prompt())
    assert look.label == "Review what has landed"


def test_fixes_of_what_is_never_looked_at_are_warned_of_at_their_place() -> None:
    text = "verification:\n  rounds: 1\n  fix: auto\nnodes: [{id: n1, run: x, path_claims: [a]}%s]\n"
    (found,) = plan_problems(text % "")
    assert (found.code, found.severity, found.line, found.column) == (
        Code.NO_EFFECT,
        Severity.WARNING,
        3,
        8,
    )
    assert "`fix: auto` has no effect: no node verifies" in found.message
    assert plan_problems(text % ", {id: v, tool: verify, deps: [n1]}") == []


def test_an_unknown_agent_for_the_fixes_is_marked_where_it_stands() -> None:
    problems = Problems()
    text = (
        "verification:\n  fix: off\n  tool: aidr\nnodes: [{id: n1, run: x, tool: shell, path_claims: [a]}]\n"
    )
    parse_plan(document(text), problems, known_tools=("aider", "shell"))
    (found,) = problems
    assert (found.code, found.line, found.column) == (Code.UNKNOWN_TOOL, 3, 9)


@pytest.mark.parametrize("word", ["off", "false", "'off'"])
def test_fixes_are_off_however_that_is_written(word: str) -> None:
    plan = good_plan(f"verification: {{fix: {word}}}\nnodes: [{{id: n1, run: x}}]\n")
    assert plan.fix == FixPolicy(mode=FixMode.OFF)
    assert good_plan("nodes: [{id: n1, run: x}]").fix is None


def test_a_plan_without_a_head_takes_its_name_from_the_file_and_its_branch_from_the_caller() -> None:
    text = "nodes: [{id: n1, run: x}]"
    plan = parse_plan(document(text, "dir/my plan.v2.yaml"), Problems(), default_base="trunk")
    assert plan is not None
    assert (plan.plan_id, plan.name, plan.branch_base, plan.merge_policy.target) == (
        "my-plan-v2",
        "my-plan-v2",
        "trunk",
        "trunk",
    )
    assert plan.merge_policy.checklist is None
    stdin = parse_plan(document(text, "-"), Problems())
    assert stdin is not None
    assert stdin.plan_id == "plan"


def test_checks_of_the_configuration_may_be_named() -> None:
    text = "merge_policy: {checklist: [style]}\nnodes: [{id: n1, run: x}]"
    assert errors(plan_problems(text))
    assert parse_plan(document(text), Problems(), known_checks=("style",)) is not None


def test_params_fill_texts_and_values_of_this_run_win() -> None:
    text = (
        "params: {api: v1, dir: src, n: 3}\n"
        "nodes: [{id: n1, tool: python, target: 'm:f', goal: 'G ${params.api}', label: '$${params.api} $5',"
        " kwargs: {a: ['x${params.n}']}, env: {A: '${params.dir}/${params.api}'},"
        " outputs: ['${params.dir}/a.py'], path_claims: ['${params.dir}/**']}]\n"
    )
    plan = good_plan(text, params={"api": "v2"})
    (node,) = plan.nodes
    assert (node.goal, node.label) == ("G v2", "${params.api} $5")
    assert node.work == PythonCall(target="m:f", kwargs={"a": ["x3"]})
    assert (node.env, node.outputs) == ({"A": "src/v2"}, ("src/a.py",))
    assert node.path_claims == (PathClaim(path="src/**"),)


def test_a_param_may_be_left_to_the_run() -> None:
    text = "params: {api: null}\nnodes: [{id: n1, run: 'x ${params.api}'}]"
    assert good_plan(text, params={"api": "v2"}).nodes[0].work == ShellLine(run="x v2")
    assert [p.code for p in errors(plan_problems(text))] == [Code.WRONG_TYPE, Code.UNKNOWN_PARAM]


# What is worth saying without refusing ----------------------------------------------------------------------


def notices(text: str) -> list[Problem]:
    found = plan_problems(text)
    assert errors(found) == []
    return found


def test_overlapping_claims_without_an_order_are_a_notice_that_names_order_and_reason() -> None:
    text = (
        "nodes:\n- {id: a, run: x, priority: 2, path_claims: [src/**]}\n"
        "- {id: b, run: x, path_claims: [docs/**, src/auth/*.py]}\n"
        "- {id: c, run: x, deps: [a], path_claims: [src/**]}\n"
    )
    found = notices(text)
    assert [(p.code, p.severity) for p in found] == [(Code.OVERLAP, Severity.NOTICE)]
    assert "`a` will run after `b`" in found[0].message
    assert "src/auth/*.py" in found[0].message
    assert "deps: [b]" in found[0].suggestion


def test_many_overlaps_do_not_drown_the_rest() -> None:
    text = "nodes:\n" + "".join(f"- {{id: n{i}, run: x, path_claims: [src/**]}}\n" for i in range(60))
    found = notices(text)
    assert len(found) == 21
    assert any("39 more pairs" in problem.message for problem in found)
    crowd = "nodes:\n" + "".join(f"- {{id: n{i}, run: x, path_claims: [src/**]}}\n" for i in range(700))
    (only,) = notices(crowd)
    assert "700 nodes claim `src/**` (exclusive)" in only.message


def test_nodes_without_claims_are_one_notice() -> None:
    (one,) = notices("nodes: [{id: a, run: x}]")
    assert "a has no path claims and runs optimistically" in one.message
    (many,) = notices("nodes: [" + ", ".join(f"{{id: n{i}, run: x}}" for i in range(10)) + "]")
    assert "n7 and 2 more have no path claims and run optimistically" in many.message
    assert notices("nodes: [{id: a, run: x, role: ipt}]") == []


def test_outputs_of_a_node_that_lands_nothing_are_not_held_against_claims() -> None:
    assert notices("nodes: [{id: a, run: x, role: ipt, outputs: [r.json], path_claims: [s/**]}]") == []


def test_execution_order_that_deps_do_not_keep_is_a_warning() -> None:
    nodes = "nodes: [{id: a, run: x, path_claims: [a]}, {id: b, run: x, path_claims: [b]}]\n"
    for order in ("{one: [a], two: [b]}", "[[a], [b]]", "[{parallel: [a]}, {sequential: [b]}]"):
        (warning,) = notices(f"{nodes}execution_order: {order}")
        assert (warning.code, warning.severity) == (Code.ORDER_WITHOUT_DEPS, Severity.WARNING)
        assert "`b`" in warning.message


def test_a_key_without_effect_is_a_warning() -> None:
    text = "merge_policy: {require_passing_ci: false}\nnodes: [{id: a, run: x, path_claims: [a]}]"
    assert [p.code for p in notices(text)] == [Code.NO_EFFECT]


def test_claims_that_are_wrong_are_not_said_to_be_missing() -> None:
    for claims, hint in (("a.txt", "write [a.txt]"), ("[{mode: exclusive}]", "write {path: ")):
        (problem,) = plan_problems(f"nodes: [{{id: n1, run: x, path_claims: {claims}}}]")
        assert problem.suggestion.startswith(hint)
    (notice,) = plan_problems("nodes: [{id: n1, run: x, path_claims: []}]")
    assert notice.code is Code.NO_CLAIMS
