"""Plans: every bad one is refused with messages that one can act on; the good ones mean what they say."""

import time
from dataclasses import dataclass
from textwrap import dedent

import pytest

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import (
    Actions,
    Approval,
    Argv,
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
from cli_multi_rapid.schema.document import read_document
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Code, Problem, Problems, Severity
from tests.core.schema_reading import document, example, good_plan, only_node, plan_problems

TOOLS = ("aider", "claude", "codex", "shell", "python", "actions", "scripted", "verify")


@dataclass(frozen=True, slots=True)
class Bad:
    """A bad plan, the code and line of its problem, and words that its message and help must hold."""

    text: str
    code: Code
    line: int
    message: str
    help: str


def node(keys: str, *, tool: str = "aider", goal: str = "g") -> str:
    """A plan with one node `n1`, whose own keys begin on line 5."""
    return f"nodes:\n- id: n1\n  tool: {tool}\n  goal: {goal}\n" + dedent(keys).replace("\n", "\n  ").join(
        ("  ", "\n")
    )


TWO = "nodes:\n- {id: n1, tool: aider, goal: g, deps: [%s]}\n- {id: n2, tool: aider, goal: g, deps: [%s]}\n"

BAD: dict[str, Bad] = {
    # The shape of the document.
    "unknown key": Bad(node("dep: [n0]"), Code.UNKNOWN_KEY, 5, "`dep` in node `n1`", "`deps`"),
    "unknown key, nothing close": Bad(node("zzz: 1"), Code.UNKNOWN_KEY, 5, "`zzz`", "keys are: id, label"),
    "unknown key of the plan": Bad(
        node("").replace("nodes", "x: 1\nnodes", 1), Code.UNKNOWN_KEY, 1, "`x`", "keys"
    ),
    "no nodes": Bad("name: x\n", Code.MISSING_KEY, 1, "no `nodes`", "nodes:"),
    "empty nodes": Bad("nodes: []\n", Code.BAD_VALUE, 1, "no nodes", "add"),
    "nodes as a mapping": Bad("nodes: {n1: {}}\n", Code.WRONG_TYPE, 1, "a list of nodes", ""),
    "a node that is a text": Bad(
        "nodes: [n1]\n", Code.WRONG_TYPE, 1, "node number 1 must be a mapping", "id"
    ),
    "no id": Bad("nodes: [{tool: aider, goal: g}]\n", Code.MISSING_KEY, 1, "no `id`", "id: n1"),
    "no tool": Bad("nodes: [{id: n1, goal: g}]\n", Code.MISSING_KEY, 1, "no `tool`", "tool: claude"),
    "no goal": Bad("nodes: [{id: n1, tool: codex}]\n", Code.MISSING_KEY, 1, "no `goal`", "codex shall do"),
    "a list as label": Bad(node("label: [a]"), Code.WRONG_TYPE, 5, "`label` of node `n1` must be a text", ""),
    "a text as deps": Bad(node("deps: n0"), Code.WRONG_TYPE, 5, "list of texts, found the text `n0`", "[n0]"),
    "a text as timeout": Bad(node("timeout_s: soon"), Code.WRONG_TYPE, 5, "a number, found the text", ""),
    "a quoted number": Bad(node("timeout_s: '9'"), Code.WRONG_TYPE, 5, "a number", "without quotes"),
    "infinite time": Bad(node("timeout_s: .inf"), Code.WRONG_TYPE, 5, "finite", ""),
    "no time": Bad(node("timeout_s: 0"), Code.BAD_VALUE, 5, "between 0.01 and", "write a number"),
    "half a retry": Bad(node("retries: 1.5"), Code.WRONG_TYPE, 5, "a whole number", ""),
    "too many retries": Bad(node("retries: 101"), Code.BAD_VALUE, 5, "between 0 and 100", ""),
    "yes as a flag": Bad(
        node("") + "merge_policy: {auto_merge_on_success: yes}\n", Code.WRONG_TYPE, 6, "true or false", "true"
    ),
    "unknown role": Bad(node("role: worker"), Code.BAD_VALUE, 5, "one of wt, ipt", "write wt"),
    "misspelled approval": Bad(
        node("approval: landng"), Code.BAD_VALUE, 5, "none, before, landing", "`landing`"
    ),
    "misspelled priority": Bad(
        node("priority: hihg"), Code.BAD_VALUE, 5, "a whole number or one of", "`high`"
    ),
    "two spellings": Bad(
        node("est_cost: 1\nestimated_cost: 2"),
        Code.TWO_SPELLINGS,
        6,
        "`est_cost` and `estimated_cost`",
        "keep",
    ),
    "two durations": Bad(
        node("est_duration_s: 60\nestimated_duration_min: 2"), Code.TWO_SPELLINGS, 6, "two estimates", "keep"
    ),
    "duplicate key": Bad(node("label: a\nlabel: b"), Code.DUPLICATE_KEY, 6, "already on line 5", "keep one"),
    "a newer format": Bad("version: 2\n" + node(""), Code.BAD_VALUE, 1, "version `2`", "version: 1"),
    # Amounts.
    "negative cost": Bad(node("est_cost: -1"), Code.BAD_AMOUNT, 5, "an amount", "4.50"),
    "cost in words": Bad(node("max_cost: cheap"), Code.BAD_AMOUNT, 5, "found `cheap`", "4.50"),
    "a list as cost": Bad(node("max_cost: [1]"), Code.WRONG_TYPE, 5, "in dollars, found a list", "4.50"),
    "budget not a number": Bad("global_budget_usd: .nan\n" + node(""), Code.BAD_AMOUNT, 1, "`.nan`", "4.50"),
    # Names.
    "id with a slash": Bad(node("").replace("n1", "a/b"), Code.BAD_ID, 2, "letters, digits", "short name"),
    "id with two dots": Bad(node("").replace("n1", "a..b"), Code.BAD_ID, 2, "holds `..`", "short name"),
    "id ending in .lock": Bad(node("").replace("n1", "a.lock"), Code.BAD_ID, 2, ".lock", "short name"),
    "id ending in a dot": Bad(node("").replace("n1", "'a.'"), Code.BAD_ID, 2, "`.`", "short name"),
    "empty id": Bad(node("").replace("n1", "''"), Code.BAD_ID, 2, "is empty", "short name"),
    "long id": Bad(node("").replace("n1", "a" * 65), Code.BAD_ID, 2, "longer than 64", "short name"),
    "tool with a space": Bad(node("", tool="my tool"), Code.BAD_ID, 3, "name of a tool", "claude"),
    "plan_id as a path": Bad("plan_id: ../x\n" + node(""), Code.BAD_ID, 1, "a plan_id", "short name"),
    "variable with a dash": Bad(node("env: {A-B: 1}"), Code.BAD_ID, 5, "environment variable", "letters"),
    "branch like an option": Bad("branch_base: -f\n" + node(""), Code.BAD_BRANCH, 1, "`-f`", "no spaces"),
    "target with a space": Bad(
        node("") + "merge_policy: {target: a b}\n", Code.BAD_BRANCH, 6, "`a b`", "no spaces"
    ),
    # The graph.
    "unknown dep": Bad(TWO % ("", "n1x"), Code.UNKNOWN_DEP, 3, "depends on `n1x`", "did you mean `n1`?"),
    "unknown dep, nothing close": Bad(
        TWO % ("", "zzz"), Code.UNKNOWN_DEP, 3, "`zzz`", "name the id of a node"
    ),
    "self dep": Bad(TWO % ("n1", ""), Code.SELF_DEP, 2, "depends on itself", "remove"),
    "cycle": Bad(TWO % ("n2", "n1"), Code.CYCLE, 2, "n1 → n2 → n1", "remove one"),
    "duplicate id": Bad((TWO % ("", "")).replace("n2", "n1"), Code.DUPLICATE_ID, 3, "second node", "own"),
    "order of unknown nodes": Bad(
        node("") + "execution_order: {first: [n1x]}\n", Code.UNKNOWN_DEP, 6, "`n1x`", "`n1`"
    ),
    "order as a text": Bad(node("") + "execution_order: n1\n", Code.WRONG_TYPE, 6, "a mapping", ""),
    # Claims.
    "output outside claims": Bad(
        node("outputs: [src/middleware/auth.py]\npath_claims: [{path: src/auth/**}]"),
        Code.OUTSIDE_CLAIMS,
        5,
        "writes `src/middleware/auth.py` outside its claims",
        'add {path: "src/middleware/**", mode: exclusive}',
    ),
    "output in a read claim": Bad(
        node("outputs: [README.md]\npath_claims: [{path: '**', mode: read}]"),
        Code.OUTSIDE_CLAIMS,
        5,
        "outside",
        'add {path: "README.md", mode: exclusive}',
    ),
    "claim out of the repository": Bad(node("path_claims: [../x]"), Code.BAD_GLOB, 5, "`..`", "root"),
    "absolute claim": Bad(node("path_claims: [/etc/x]"), Code.BAD_GLOB, 5, "starts with /", "root"),
    "negated claim": Bad(node("path_claims: ['!a']"), Code.BAD_GLOB, 5, "nothing is negated", "root"),
    "bad output": Bad(node("outputs: [a//b]"), Code.BAD_GLOB, 5, "empty part", "root"),
    "bad input": Bad(node("inputs: ['a[']"), Code.BAD_GLOB, 5, "[ without ]", "root"),
    "unknown claim mode": Bad(
        node("path_claims: [{path: a, mode: write}]"),
        Code.BAD_VALUE,
        5,
        "exclusive, shared, read",
        "exclusive",
    ),
    "claim without a path": Bad(node("path_claims: [{mode: read}]"), Code.MISSING_KEY, 5, "no `path`", "src"),
    "claims as a mapping": Bad(node("path_claims: {a: b}"), Code.WRONG_TYPE, 5, "a list of path claims", ""),
    "claim as a list": Bad(node("path_claims: [[a]]"), Code.WRONG_TYPE, 5, "a mapping, found a list", "path"),
    # Tools, work, checks, params.
    "unknown tool": Bad(node("", tool="adier"), Code.UNKNOWN_TOOL, 3, "unknown tool `adier`", "`aider`"),
    "unknown tool, nothing close": Bad(
        node("", tool="zz"), Code.UNKNOWN_TOOL, 3, "`zz`", "tools are: actions"
    ),
    "shell without a command": Bad(node("", tool="shell"), Code.WORK, 3, "needs `run` or `argv`", "add run:"),
    "python without a target": Bad(node("", tool="python"), Code.WORK, 3, "needs `target`", "add target:"),
    "scripted without a script": Bad(
        node("", tool="scripted"), Code.WORK, 3, "needs `script`", "add script:"
    ),
    "actions without actions": Bad(node("", tool="actions"), Code.WORK, 3, "needs `actions`", "add actions:"),
    "run and argv": Bad(node("run: a\nargv: [a]", tool="shell"), Code.WORK, 6, "does one thing", "two nodes"),
    "a command for an agent": Bad(
        node("run: a"), Code.WORK, 5, "`aider` of node `n1` does not take `run`", "shell"
    ),
    "kwargs alone": Bad(node("kwargs: {a: 1}"), Code.WORK, 5, "`kwargs` without `target`", "add target"),
    "no program": Bad(node("argv: []", tool="shell"), Code.BAD_VALUE, 5, "names no program", "make"),
    "no function": Bad(node("target: os.system", tool="python"), Code.BAD_VALUE, 5, "a function", "module:"),
    "script of texts": Bad(node("script: [a]", tool="scripted"), Code.WRONG_TYPE, 5, "a mapping", "write:"),
    "unknown action": Bad(
        node("actions: [{type: rn, cmd: a}]", tool="actions"), Code.UNKNOWN_ACTION, 5, "type `rn`", "`run`"
    ),
    "unknown check": Bad(
        node("") + "merge_policy: {checklist: [lnt]}\n", Code.UNKNOWN_CHECK, 6, "no check `lnt`", "`lint`"
    ),
    "unknown check, nothing close": Bad(
        node("") + "merge_policy: {checklist: [zz]}\n",
        Code.UNKNOWN_CHECK,
        6,
        "`zz`",
        "define it: checks: {zz:",
    ),
    "check without a command": Bad(node("") + "checks: {c: {}}\n", Code.WORK, 6, "has no command", "argv"),
    "check with two commands": Bad(
        node("") + "checks: {c: {run: a, argv: [a]}}\n", Code.WORK, 6, "both `argv` and `run`", "argv"
    ),
    "one check twice": Bad(
        node("") + "checks: {test: a, unit_tests: b}\n",
        Code.TWO_SPELLINGS,
        6,
        "the same check",
        "another name",
    ),
    "check with a bad name": Bad(
        node("") + "checks: {'a b': x}\n", Code.BAD_ID, 6, "name of a check", "lint"
    ),
    "check with a bad input": Bad(
        node("") + "checks: {c: {run: a, inputs: [/x]}}\n", Code.BAD_GLOB, 6, "starts with /", "root"
    ),
    "unknown strategy": Bad(
        node("") + "merge_policy: {strategy: rebase}\n",
        Code.BAD_VALUE,
        6,
        "one of merge-queue",
        "merge-queue",
    ),
    "unknown param": Bad(
        node("label: ${params.vers}") + "params: {version: 2}\n",
        Code.UNKNOWN_PARAM,
        5,
        "no param `vers`",
        "`version`",
    ),
    "param without params": Bad(
        node("label: ${params.x}"), Code.UNKNOWN_PARAM, 5, "no param `x`", "define it"
    ),
    "params as a list": Bad(node("") + "params: [a]\n", Code.WRONG_TYPE, 6, "`params` must be a mapping", ""),
    "a list as a param": Bad(node("") + "params: {a: [1]}\n", Code.WRONG_TYPE, 6, "param `a`", ""),
    "param with a space": Bad(
        node("") + "params: {'a b': 1}\n", Code.BAD_ID, 6, "name of a param", "letters"
    ),
}


def errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity is Severity.ERROR]


@pytest.mark.parametrize("case", BAD)
def test_a_bad_plan_is_refused_with_a_message_that_one_can_act_on(case: str) -> None:
    bad = BAD[case]
    found = errors(plan_problems(bad.text, known_tools=TOOLS))
    matching = [problem for problem in found if problem.code is bad.code]
    assert matching, [problem.to_text() for problem in found]
    problem = matching[0]
    assert problem.line == bad.line, problem.to_text()
    assert bad.message in problem.message, problem.to_text()
    assert bad.help in problem.suggestion, problem.to_text()
    assert "^" in problem.frame
    # One mistake is one problem, except where what is missing makes two keys missing.
    assert len(found) == 1 or case in {"no tool"}, [problem.to_text() for problem in found]


def test_all_problems_of_a_plan_are_told_at_once() -> None:
    text = """
    plan_id: ../x
    global_budget_usd: -3
    nodes:
      - {id: a, tool: aider, goal: g, deps: [b, zz], retires: 1}
      - {id: b, tool: aidr, goal: g, deps: [a], timeout_s: never}
      - {id: b, tool: shell, path_claims: [../x]}
    merge_policy: {checklist: [lint, none-such]}
    """
    codes = [problem.code for problem in errors(plan_problems(text, known_tools=TOOLS))]
    assert sorted(codes, key=lambda code: code.code) == [
        Code.UNKNOWN_KEY,
        Code.WRONG_TYPE,
        Code.BAD_AMOUNT,
        Code.BAD_ID,
        Code.BAD_GLOB,
        Code.DUPLICATE_ID,
        Code.UNKNOWN_DEP,
        Code.CYCLE,
        Code.UNKNOWN_TOOL,
        Code.WORK,
        Code.UNKNOWN_CHECK,
    ]


def test_the_shortest_cycle_is_shown_with_the_line_of_each_edge() -> None:
    text = "nodes:\n" + "".join(
        f"- {{id: n{i}, tool: aider, goal: g, deps: [{deps}]}}\n"
        for i, deps in enumerate(("n1", "n2, n4", "n3", "n0", "n1"))
    )
    (cycle,) = [p for p in plan_problems(text) if p.code is Code.CYCLE]
    assert cycle.message.endswith("n1 → n4 → n1")
    assert cycle.notes == ("n1 waits for n4 (line 3)", "n4 waits for n1 (line 6)")


def test_a_document_with_duplicate_keys_never_becomes_a_plan() -> None:
    problems = Problems()
    read = read_document("nodes: [{id: n1, tool: aider, goal: a, goal: b}]", "p.yaml", problems)
    assert read is not None
    assert parse_plan(read, problems) is None
    assert parse_plan(read, Problems()) is None


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
    began = time.process_time()
    (only,) = notices(crowd)
    assert "700 nodes claim `src/**` (exclusive)" in only.message
    assert time.process_time() - began < 2


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


def test_thousands_of_wrong_deps_are_reported_quickly() -> None:
    rows = "".join(f"- {{id: node{i}, run: x, path_claims: [p{i}], deps: [nod{i}]}}\n" for i in range(2000))
    began = time.process_time()
    found = plan_problems(f"nodes:\n{rows}")
    assert time.process_time() - began < 4
    assert len(found) == 2000
    assert found[0].suggestion == "did you mean `node0`?"
