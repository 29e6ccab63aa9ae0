"""A plan written as a document is the same plan when it is read, and no document crashes a reader."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.ids import Branch, CheckId, CorrelationId, NodeId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import (
    Action,
    Actions,
    Approval,
    Argv,
    CheckSpec,
    FixMode,
    FixPolicy,
    Form,
    Json,
    MakeDirs,
    MergePolicy,
    MergeWhen,
    Network,
    Node,
    Plan,
    Prompt,
    PythonCall,
    Role,
    RollbackPolicy,
    RunTests,
    Sandbox,
    Script,
    ShellLine,
    Work,
    WriteFile,
)
from cli_multi_rapid.schema.document import document_of, read_document
from cli_multi_rapid.schema.params import escape, expand
from cli_multi_rapid.schema.phases import parse_phases
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.plan_document import plan_to_document
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.published import schema_violations
from cli_multi_rapid.schema.settings_reader import parse_settings
from cli_multi_rapid.schema.streams import parse_streams
from cli_multi_rapid.schema.tools import parse_tools
from tests.core.schema_reading import EXAMPLES, example

CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TEXTS = st.text(CHARACTERS, max_size=12) | st.sampled_from(
    ["${params.x}", "$$${params.a.b}", "yes", "1", "null"]
)
WORDS = st.text("ab${}.params", min_size=1, max_size=8)
LINES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,10}", fullmatch=True)
PATHS = st.lists(st.from_regex(r"[a-c]{1,2}", fullmatch=True), min_size=1, max_size=3).map("/".join)
AMOUNTS = st.integers(0, 10**15).map(MicroUsd)
SECONDS = st.floats(0.01, 2_592_000)
ENV = st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,3}", fullmatch=True), TEXTS, max_size=2)
JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(-1e9, 1e9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(IDS, inner, max_size=3),
    max_leaves=5,
)
ARGVS = st.builds(lambda first, rest: (first, *rest), LINES, st.lists(TEXTS, max_size=3))
CALLS = st.builds(
    PythonCall,
    target=st.sampled_from(["m:f", "a.b_c:d"]),
    kwargs=st.dictionaries(IDS, JSON, max_size=2),
)
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(ShellLine, run=LINES),
    st.builds(Argv, argv=ARGVS),
    CALLS,
    st.builds(MakeDirs, paths=st.lists(PATHS, max_size=2).map(tuple)),
    st.builds(WriteFile, path=PATHS, text=TEXTS),
    st.builds(RunTests, argv=st.just(()) | ARGVS),
)
WORKS: st.SearchStrategy[tuple[str, Work]] = st.one_of(
    st.tuples(st.sampled_from(["claude", "my-agent", "verify"]), st.just(Prompt())),
    st.tuples(st.just("shell"), st.builds(ShellLine, run=LINES) | st.builds(Argv, argv=ARGVS)),
    st.tuples(st.just("python"), CALLS),
    st.tuples(st.just("actions"), st.builds(Actions, actions=st.lists(ACTIONS, max_size=3).map(tuple))),
    st.tuples(
        st.just("scripted"),
        st.builds(Script, steps=st.lists(st.dictionaries(IDS, JSON, max_size=2), max_size=2).map(tuple)),
    ),
)
CLAIMS = st.builds(
    PathClaim, path=PATHS | PATHS.map(lambda path: f"{path}/**"), mode=st.sampled_from(ClaimMode)
)
CHECKS = st.builds(
    CheckSpec,
    id=st.sampled_from(["lint", "tests", "mine", "Mine_2"]).map(CheckId),
    argv=ARGVS,
    inputs=st.lists(PATHS, max_size=2).map(tuple),
    timeout_s=SECONDS,
    min_time_s=st.floats(0, 100),
    env=ENV,
) | st.builds(CheckSpec, id=st.just(CheckId("style")), run=LINES)

FIXES = st.builds(
    FixPolicy,
    mode=st.sampled_from(FixMode),
    rounds=st.integers(1, 10),
    tool=st.none() | st.sampled_from(["claude", "my-agent"]).map(ToolName),
)


@st.composite
def nodes(draw: st.DrawFn, node_id: NodeId, earlier: list[NodeId]) -> Node:
    tool, work = draw(WORKS)
    claims = tuple(draw(st.lists(CLAIMS, max_size=2)))
    outputs = [claim.path for claim in claims if claim.writes]
    form = Form.REVIEW if tool == "claude" and draw(st.booleans()) else None
    if form is not None:
        outputs = []
    return Node(
        id=node_id,
        label=draw(LINES),
        tool=ToolName(tool),
        role=Role.IPT if form else draw(st.sampled_from(Role)),
        form=form,
        goal=draw(LINES),
        work=work,
        inputs=tuple(draw(st.lists(PATHS, max_size=2))),
        outputs=tuple(outputs),
        path_claims=claims,
        deps=tuple(draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2))) if earlier else (),
        capabilities=tuple(draw(st.lists(TEXTS, max_size=2))),
        priority=draw(st.integers(-9, 9)),
        est_cost=draw(st.none() | AMOUNTS),
        max_cost=draw(st.none() | AMOUNTS),
        est_duration_s=draw(st.none() | st.floats(0, 1e6)),
        timeout_s=draw(st.none() | SECONDS),
        retries=draw(st.none() | st.integers(0, 100)),
        model=draw(st.none() | TEXTS),
        env=draw(ENV),
        approval=draw(st.sampled_from(Approval)),
        sandbox=draw(st.sampled_from([None, Sandbox.BWRAP])),
        network=draw(st.none() | st.sampled_from(Network)),
        stream=draw(st.none() | IDS),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = [NodeId(name) for name in draw(st.lists(IDS, min_size=1, max_size=4, unique=True))]
    checks = draw(st.lists(CHECKS, max_size=3, unique_by=lambda check: check.id))
    known = [*(check.id for check in checks), CheckId("security"), CheckId("coverage")]
    return Plan(
        plan_id=draw(IDS),
        name=draw(LINES),
        nodes=tuple(draw(nodes(name, names[:at])) for at, name in enumerate(names)),
        merge_policy=MergePolicy(
            target=Branch(draw(st.sampled_from(["main", "release/1.x"]))),
            checklist=draw(st.none() | st.lists(st.sampled_from(known), unique=True, max_size=3).map(tuple)),
            when=draw(st.sampled_from(MergeWhen)),
            auto_merge=draw(st.booleans()),
        ),
        rollback_policy=RollbackPolicy(
            preserve_worktrees=draw(st.booleans()), max_retry_attempts=draw(st.integers(0, 100))
        ),
        fix=draw(st.none() | FIXES),
        budget=draw(st.none() | AMOUNTS),
        checks=tuple(checks),
        branch_base=Branch(draw(st.sampled_from(["main", "dev"]))),
        branch_name=draw(st.none() | TEXTS),
        correlation_id=draw(st.none() | LINES.map(CorrelationId)),
        created_by=draw(st.none() | TEXTS),
        description=draw(TEXTS),
    )


@given(plans())
def test_a_plan_survives_being_saved_and_read_again(plan: Plan) -> None:
    data = plan_to_document(plan)
    problems = Problems()
    document = read_document(json.dumps(data), "plan.json", problems)
    assert document is not None
    assert parse_plan(document, problems) == plan, problems.to_text()
    assert schema_violations(data, "plan") == []


@pytest.mark.parametrize("name", ["oauth2_plan_long.json"])
def test_an_example_survives_being_saved_and_read_again(name: str) -> None:
    plan = parse_plan(example(name), Problems())
    assert plan is not None
    assert parse_plan(document_of(plan_to_document(plan), "saved"), Problems()) == plan


@given(st.text(st.sampled_from("${}params.x y"), max_size=40) | WORDS)
def test_an_escaped_text_expands_to_itself(text: str) -> None:
    assert expand(escape(text), {}) == text


SEEDS = [
    path.read_text(encoding="utf-8") for path in sorted(Path(EXAMPLES).glob("*")) if path.suffix != ".jsonl"
]
SEEDS.append(
    "params: {a: 1}\nchecks: {c: {run: x}}\nnodes: [{id: a, run: '${params.a}', path_claims: [s/**]}]\n"
    "merge_policy: {checklist: [c]}\nworkers: 3\nbudget: {node_usd: 2}\nworktrees: {lane: flat}\n"
    "execution_order: [{parallel: [a]}]\ntool_limits: {a: 1}\nversion: 1\n"
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A document that users have, with some pieces cut out, doubled or replaced."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(text) - 1, 0)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        middle = draw(
            st.sampled_from(
                ["", text[start:end] * 2, "[]", "{}", "null", "- ", "-1", "'", "x: y\n", "${params.b}"]
            )
        )
        text = text[:start] + middle + text[end:]
    return text


@given(damaged())
def test_no_damaged_document_crashes_a_parser(text: str) -> None:
    for name in ("x.yaml", "x.json"):
        problems = Problems()
        document = read_document(text, name, problems)
        if document is None:
            assert problems.error_count
            continue
        plan = parse_plan(document, problems, known_tools=("claude", "aider"))
        parse_streams(document, problems, known_tools=("claude", "aider"))
        parse_phases(document, problems)
        parse_tools(document, problems, known_tools=("claude",))
        parse_settings([document], problems)
        assert problems.error_count or plan is None
        assert schema_violations(problems.to_data(), "problems") == []
        problems.to_text().encode("utf-8")
