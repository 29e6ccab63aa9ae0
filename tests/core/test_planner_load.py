"""Whatever file a person names, to a plan or to every problem that it has."""

import json
import subprocess
from pathlib import Path

import pytest

from cli_multi_rapid.adapters.script_steps import Write, steps_of
from cli_multi_rapid.core.claims import paths_outside
from cli_multi_rapid.core.dag import topological_order
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import Actions, Argv, Node, Role, Script, ShellLine, WriteFile
from cli_multi_rapid.planner.estimate import estimate
from cli_multi_rapid.planner.load import load_plan, read_plan, validate
from cli_multi_rapid.schema.problems import Code, InvalidInput, Problems, Severity
from cli_multi_rapid.schema.validation import DocumentKind, Surroundings

PLAN = """\
plan_id: hello
nodes:
  - {id: n1, tool: shell, run: echo hello, path_claims: ["out/**"]}
  - {id: n2, tool: claude-cli, goal: Look at it, deps: [n1], path_claims: ["docs/**"]}
"""
STREAMS = """\
streams:
  - {id: a, owner: Claude, scope: {paths: ['src/**']}, phases: [one]}
  - {id: b, owner: Codex, scope: {paths: ['src/b/**']}, phases: [two]}
execution_order:
  - sequential: [a, b]
"""
PHASES = """\
phases:
  - {id: one, title: First}
  - {id: two, title: Second}
"""


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def codes(error: InvalidInput) -> list[Code]:
    return [problem.code for problem in error.problems]


def refusal(path: Path, around: Surroundings | None = None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        load_plan(path, around)
    return caught.value


def test_a_yaml_plan_is_loaded_with_its_source(tmp_path: Path) -> None:
    path = put(tmp_path / "plan.yaml", PLAN)
    loaded = load_plan(path)
    assert (loaded.kind, loaded.source) == (DocumentKind.PLAN, str(path))
    assert [(node.id, node.tool) for node in loaded.plan.nodes] == [("n1", "shell"), ("n2", "claude")]
    assert loaded.notices == ()


def test_a_json_plan_is_loaded(tmp_path: Path) -> None:
    text = json.dumps({"plan_id": "p", "nodes": [{"id": "n1", "tool": "shell", "argv": ["true"]}]})
    loaded = load_plan(put(tmp_path / "plan.json", text))
    assert loaded.plan.plan_id == "p"
    assert [notice.code for notice in loaded.notices] == [Code.NO_CLAIMS]


def test_params_and_the_branch_of_the_repository_reach_a_plan(tmp_path: Path) -> None:
    path = put(tmp_path / "plan.yaml", PLAN.replace("echo hello", "'echo ${params.word}'"))
    around = Surroundings(params={"word": "moin"}, default_base="trunk")
    plan = load_plan(path, around).plan
    assert "echo moin" in repr(plan.nodes[0].work)
    assert (plan.branch_base, plan.merge_policy.target) == ("trunk", "trunk")


def test_streams_are_compiled_with_the_phases_beside_and_below_them(tmp_path: Path) -> None:
    put(tmp_path / "one.yml", "phases: [{id: one, title: First}]\n")
    put(tmp_path / "phase_definitions" / "two.yaml", "phases: [{id: two, title: Second}]\n")
    put(tmp_path / "other.yaml", "nodes: []\n")
    loaded = load_plan(put(tmp_path / "multi_stream.yaml", STREAMS), Surroundings(default_base="trunk"))
    assert loaded.kind is DocumentKind.STREAMS
    assert [node.id for node in loaded.plan.nodes] == ["a.one", "b.two"]
    assert loaded.plan.branch_base == "trunk"


def test_a_phase_that_is_defined_twice_is_refused_with_both_places(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", PHASES)
    put(tmp_path / "phase_definitions" / "b.yaml", "phases: [{id: one, title: Again}]\n")
    error = refusal(put(tmp_path / "multi_stream.yaml", STREAMS))
    assert codes(error) == [Code.DUPLICATE_ID]
    assert "a.yaml:2" in error.message
    assert "b.yaml:1" in error.message


def test_overlapping_streams_run_only_when_they_may_be_put_in_order(tmp_path: Path) -> None:
    put(tmp_path / "phases.yaml", PHASES)
    path = put(tmp_path / "multi_stream.yaml", STREAMS.replace("sequential", "parallel"))
    assert codes(refusal(path)) == [Code.OVERLAP]
    loaded = load_plan(path, Surroundings(serialize_overlaps=True))
    assert loaded.plan.nodes[1].deps == ("a.one",)
    assert [(notice.code, notice.severity) for notice in loaded.notices] == [(Code.OVERLAP, Severity.NOTICE)]


def test_a_stream_without_an_owner_falls_to_the_default_tool(tmp_path: Path) -> None:
    put(tmp_path / "phases.yaml", PHASES)
    path = put(tmp_path / "multi_stream.yaml", STREAMS.replace("owner: Codex, ", ""))
    assert codes(refusal(path)) == [Code.UNKNOWN_TOOL]
    assert load_plan(path, default_tool=ToolName("aider")).plan.nodes[1].tool == "aider"


def test_unknown_tools_are_refused_in_plans_and_streams(tmp_path: Path) -> None:
    around = Surroundings(known_tools=("shell", "claude"))
    put(tmp_path / "phases.yaml", PHASES)
    assert codes(refusal(put(tmp_path / "multi_stream.yaml", STREAMS), around)) == [Code.UNKNOWN_TOOL]
    misspelled = put(tmp_path / "plan.yaml", PLAN.replace("claude-cli", "cluade"))
    assert codes(refusal(misspelled, around)) == [Code.UNKNOWN_TOOL]


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = PLAN.replace("deps: [n1]", "deps: [n0], prio: 1, goal: again")
    error = refusal(put(tmp_path / "plan.yaml", text))
    assert set(codes(error)) >= {Code.UNKNOWN_DEP, Code.UNKNOWN_KEY, Code.DUPLICATE_KEY}


def test_a_duplicate_key_alone_refuses_a_plan(tmp_path: Path) -> None:
    path = put(tmp_path / "plan.yaml", PLAN + "plan_id: again\n")
    assert codes(refusal(path)) == [Code.DUPLICATE_KEY]


def test_a_duplicate_key_in_streams_is_told_once(tmp_path: Path) -> None:
    put(tmp_path / "phases.yaml", PHASES)
    path = put(tmp_path / "multi_stream.yaml", STREAMS + "streams: []\n")
    assert codes(refusal(path)) == [Code.DUPLICATE_KEY]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("phases.yaml", PHASES),
        ("tools.yaml", "tools: [{name: claude}]\n"),
        ("orchestrator.yaml", "workers: 4\n"),
        ("letter.yaml", "dear: sir\n"),
    ],
)
def test_a_file_of_another_kind_is_no_plan(tmp_path: Path, name: str, text: str) -> None:
    assert codes(refusal(put(tmp_path / name, text))) == [Code.UNKNOWN_KIND]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none.yaml")
    assert codes(error) == [Code.UNREADABLE]
    assert "none.yaml" in error.message


def test_several_files_share_their_problems_but_not_their_fate(tmp_path: Path) -> None:
    problems = Problems()
    assert read_plan(tmp_path / "none.yaml", problems) is None
    good = read_plan(put(tmp_path / "plan.yaml", PLAN), problems)
    assert good is not None
    assert good.notices == ()
    assert problems.error_count == 1


# --- validate -----------------------------------------------------------------------------------------------


def found(path: Path) -> tuple[DocumentKind | None, list[tuple[Code, Severity]]]:
    problems = Problems()
    kind = validate(path, problems)
    return kind, [(problem.code, problem.severity) for problem in problems]


def test_validate_tells_what_shows_only_when_streams_become_a_plan(tmp_path: Path) -> None:
    put(tmp_path / "phases.yaml", PHASES)
    path = put(tmp_path / "multi_stream.yaml", STREAMS.replace("owner: Codex, ", ""))
    assert found(path) == (DocumentKind.STREAMS, [(Code.UNKNOWN_TOOL, Severity.ERROR)])


def test_phases_that_are_still_to_be_written_are_a_warning_to_validate_and_an_error_to_run(
    tmp_path: Path,
) -> None:
    path = put(tmp_path / "multi_stream.yaml", STREAMS)
    assert found(path) == (DocumentKind.STREAMS, 2 * [(Code.UNDEFINED_PHASE, Severity.WARNING)])
    assert codes(refusal(path)) == 2 * [Code.UNDEFINED_PHASE]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("plan.yaml", PLAN, DocumentKind.PLAN),
        ("phases.yaml", PHASES, DocumentKind.PHASES),
        ("tools.yaml", "tools: [{name: claude}]\n", DocumentKind.TOOLS),
        ("orchestrator.yaml", "workers: 4\n", DocumentKind.CONFIG),
    ],
)
def test_validate_knows_every_kind_of_file(tmp_path: Path, name: str, text: str, kind: DocumentKind) -> None:
    assert found(put(tmp_path / name, text)) == (kind, [])


def test_validate_tells_a_problem_with_the_text_once(tmp_path: Path) -> None:
    assert found(put(tmp_path / "plan.yaml", "nodes: [")) == (None, [(Code.SYNTAX, Severity.ERROR)])
    assert found(put(tmp_path / "letter.yaml", "dear: sir")) == (None, [(Code.UNKNOWN_KIND, Severity.ERROR)])


# --- the project's own examples -----------------------------------------------------------------------------

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
FILES = sorted(WORKFLOWS.rglob("*.y*ml"))
EXAMPLES = sorted((WORKFLOWS / "examples").glob("*.yaml"))
PROGRAMS = ("shell", "python", "actions", "scripted", "verify")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(WORKFLOWS)))
def test_every_workflow_of_the_project_is_valid(path: Path) -> None:
    kind, problems = found(path)
    assert kind is not None
    assert [problem for problem in problems if problem[1] is not Severity.NOTICE] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_needs_no_model_and_explains_itself(path: Path) -> None:
    loaded = load_plan(path, Surroundings(known_tools=PROGRAMS))
    assert loaded.plan.plan_id == path.stem
    assert loaded.plan.description
    assert loaded.notices == ()


def do_work(node: Node, folder: Path) -> None:
    """What the node's tool would do in its worktree, on its last attempt."""
    match node.work:
        case ShellLine(run=run):
            subprocess.run(["sh", "-c", run], cwd=folder, check=True)
        case Argv(argv=argv):
            subprocess.run(argv, cwd=folder, check=True)
        case Actions(actions=actions):
            for action in actions:
                if isinstance(action, WriteFile):
                    put(folder / action.path, action.text)
        case Script(steps=steps):
            for step in steps_of(steps, 2):
                if isinstance(step, Write):
                    put(folder / step.path, step.text)
        case _:
            assert node.role is Role.IPT


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_writes_what_it_says_within_its_claims_and_passes_its_checks(
    tmp_path: Path, path: Path
) -> None:
    plan = load_plan(path).plan
    before: set[str] = set()
    for node_id in topological_order({node.id: node.deps for node in plan.nodes}):
        node = plan.by_id[node_id]
        do_work(node, tmp_path)
        after = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
        assert set(node.outputs) <= after
        assert paths_outside(sorted(after - before), node.path_claims) == []
        before = after
    for check in plan.checks:
        argv = ["sh", "-c", check.run] if check.run else list(check.argv)
        assert subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False).returncode == 0, check.id


def test_the_budget_example_has_one_node_too_many() -> None:
    plan = load_plan(WORKFLOWS / "examples" / "budget.yaml").plan
    assert [left.node_id for left in estimate(plan).left_out] == ["poster"]
    assert estimate(plan, budget_limit=parse_usd(2)).fits


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} >= {"hello", "diamond", "budget", "checks"}
