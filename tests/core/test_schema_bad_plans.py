"""Bad plans: each is refused with a message that one can act on, and all problems are told at once."""

from textwrap import dedent

import pytest
from msgspec import Struct

from cli_multi_rapid.schema.document import read_document
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Code, Problems
from tests.core.schema_reading import errors, plan_problems

TOOLS = ("aider", "claude", "codex", "shell", "python", "actions", "scripted", "verify")


class Bad(Struct, frozen=True):
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
    "a text as timeout": Bad(
        node("timeout_s: soon"), Code.WRONG_TYPE, 5, "a number, found the text", "such as 600"
    ),
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
    "network of no sandbox": Bad(
        node("sandbox: none\nnetwork: loopback"), Code.BAD_VALUE, 6, "`sandbox` is none", "sandbox: bwrap"
    ),
    # Reviews and what follows them.
    "review by who cannot": Bad(
        node("review: true"), Code.BAD_VALUE, 5, "`aider` cannot answer in the form", "tool: claude or codex"
    ),
    "review that changes": Bad(
        node("review: true\nrole: wt", tool="claude"), Code.BAD_VALUE, 6, "changes nothing", "role: ipt"
    ),
    "review with outputs": Bad(
        node("outputs: [a]\nreview: true", tool="claude"), Code.WORK, 5, "cannot have `outputs`", "its own"
    ),
    "review perhaps": Bad(node("review: maybe", tool="claude"), Code.WRONG_TYPE, 5, "true or false", "true"),
    "fixes sometimes": Bad(
        "verification: {fix: sometimes}\n" + node(""), Code.BAD_VALUE, 1, "off, ask, auto", "write off"
    ),
    "fixes for ever": Bad(
        "verification: {rounds: 99}\n" + node(""), Code.BAD_VALUE, 1, "between 1 and 10", "a number"
    ),
    "fixes in no round": Bad(
        "verification:\n  fix: auto\n  rounds: 0\n" + node(""), Code.BAD_VALUE, 3, "in 0 rounds", "fix: off"
    ),
    "fixes by a shell": Bad(
        "verification: {tool: shell}\n" + node(""), Code.BAD_ID, 1, "`shell` cannot put anything", "an agent"
    ),
    "fixes by an unknown tool": Bad(
        "verification: {tool: aidr}\n" + node(""), Code.UNKNOWN_TOOL, 1, "unknown tool `aidr`", "`aider`"
    ),
    "variable with a dash": Bad(node("env: {A-B: 1}"), Code.BAD_ID, 5, "environment variable", "letters"),
    "branch that no disk holds": Bad(
        f"branch_base: {'x' * 300}\n" + node(""), Code.BAD_BRANCH, 1, "`xxx", "no spaces"
    ),
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


def test_of_thousands_of_wrong_deps_only_the_first_cost_a_search_for_the_right_one() -> None:
    rows = "".join(f"- {{id: node{i}, run: x, path_claims: [p{i}], deps: [nod{i}]}}\n" for i in range(2000))
    found = plan_problems(f"nodes:\n{rows}")
    assert len(found) == 2000
    assert found[0].suggestion == "did you mean `node0`?"
    assert sum("did you mean" in problem.suggestion for problem in found) == 30
