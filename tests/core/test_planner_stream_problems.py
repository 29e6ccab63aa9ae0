"""What is refused or put in order when streams become a plan."""

from collections.abc import Sequence
from pathlib import Path

from cli_multi_rapid.core.dag import topological_order
from cli_multi_rapid.planner.streams import compile_streams
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.streams import load_streams
from tests.fakes.stream_files import compile_file, deps, node, plan_of, small, write

# --- overlaps -----------------------------------------------------------------------------------------------

OVERLAPPING = small("  - parallel: [a, b, c]", "a src/** a1 a2", "b src/auth/*.py b1 b2", "c docs/** c1")


def test_overlapping_scopes_side_by_side_are_refused_with_both_patterns(tmp_path: Path) -> None:
    plan, problems = compile_file(write(tmp_path, *OVERLAPPING))
    assert plan is None
    [problem] = problems
    assert problem.code is Code.OVERLAP
    assert "src/**" in problem.message
    assert "src/auth/*.py" in problem.message


def test_serialized_overlaps_run_one_whole_stream_after_the_other(tmp_path: Path) -> None:
    plan = plan_of(write(tmp_path, *OVERLAPPING), serialize_overlaps=True)
    assert deps(plan) == {
        "a.a1": set(),
        "a.a2": {"a.a1"},
        "b.b1": {"a.a2"},
        "b.b2": {"b.b1"},
        "c.c1": set(),
    }


def test_serialized_overlaps_follow_priority(tmp_path: Path) -> None:
    text, phases = OVERLAPPING
    path = write(tmp_path, text.replace("{id: b,", "{id: b, priority: high,"), phases)
    plan = plan_of(path, serialize_overlaps=True)
    assert deps(plan)["a.a1"] == {"b.b2"}
    assert deps(plan)["b.b1"] == set()


def test_serialized_overlaps_respect_a_dependency_between_phases(tmp_path: Path) -> None:
    text, phases = OVERLAPPING
    path = write(tmp_path, text, phases.replace("title: Do a1", "title: Do a1, deps: [b2]"))
    plan = plan_of(path, serialize_overlaps=True)
    assert deps(plan)["a.a1"] == {"b.b2"}
    assert deps(plan)["b.b1"] == set()


def test_streams_whose_phases_wait_for_each_other_in_turn_are_ordered_phase_by_phase(tmp_path: Path) -> None:
    text, phases = OVERLAPPING
    mutual = phases.replace("Do a2", "Do a2, deps: [b1]").replace("Do b2", "Do b2, deps: [a1]")
    plan, problems = compile_file(write(tmp_path, text, mutual), serialize_overlaps=True)
    assert plan is not None
    assert topological_order({node.id: node.deps for node in plan.nodes})
    assert any("in turn" in problem.message for problem in problems)


def test_a_verifying_stream_overlaps_nobody(tmp_path: Path) -> None:
    text, phases = OVERLAPPING
    path = write(
        tmp_path, text, phases.replace("Do b1", "Do b1, tool: verify").replace("Do b2", "B, tool: verify")
    )
    assert deps(plan_of(path, serialize_overlaps=True))["b.b1"] == set()


# --- problems -----------------------------------------------------------------------------------------------


def codes(problems: Problems, severity: Severity = Severity.ERROR) -> list[Code]:
    return [problem.code for problem in problems if problem.severity is severity]


def refused(path: Path, *, default_tool: str | None = None) -> Sequence[Code]:
    plan, problems = compile_file(path, default_tool=default_tool)
    assert plan is None
    return codes(problems)


def test_an_undefined_phase_is_an_error_at_its_place(tmp_path: Path) -> None:
    text, phases = small("  - parallel: [a]", "a src/** first")
    plan, problems = compile_file(write(tmp_path, text.replace("[first]", "[frist]"), phases))
    assert plan is None
    [problem] = [p for p in problems if p.code is Code.UNDEFINED_PHASE]
    assert problem.line == 2
    assert "did you mean `first`?" in problem.suggestion


def test_a_phase_that_became_undefined_after_loading_is_still_refused(tmp_path: Path) -> None:
    problems = Problems()
    path = write(tmp_path, *small("  - parallel: [a]", "a src/** a1", phases="phases: []"))
    loaded = load_streams(path, problems, undefined_phases=Severity.NOTICE)
    assert loaded is not None
    assert compile_streams(loaded, problems) is None
    assert codes(problems) == [Code.UNDEFINED_PHASE]


def test_a_stream_without_an_owner_needs_a_tool(tmp_path: Path) -> None:
    text, phases = small("  - parallel: [a]", "a src/** a1")
    path = write(tmp_path, text.replace("owner: Claude, ", ""), phases)
    assert refused(path) == [Code.UNKNOWN_TOOL]
    assert node(plan_of(path, default_tool="aider"), "a.a1").tool == "aider"


def test_an_owner_that_is_no_tool_is_named(tmp_path: Path) -> None:
    text, phases = small("  - parallel: [a]", "a src/** a1")
    plan, problems = compile_file(write(tmp_path, text.replace("Claude", "'Team Red!'"), phases))
    assert plan is None
    assert "`Team Red!`" in problems.to_text()


def test_an_owner_that_runs_commands_needs_a_command(tmp_path: Path) -> None:
    text, phases = small("  - parallel: [a]", "a src/** a1")
    assert refused(write(tmp_path, text.replace("Claude", "shell"), phases)) == [Code.WORK]


def test_an_agent_that_is_told_nothing_is_refused(tmp_path: Path) -> None:
    text, _ = small("  - parallel: [a]", "a src/** a1")
    assert refused(write(tmp_path, text, "phases: [{id: a1}]\n")) == [Code.MISSING_KEY]


def test_outputs_outside_the_scope_are_refused_and_writes_are_warned_about(tmp_path: Path) -> None:
    text, _ = small("  - parallel: [a]", "a src/** a1 a2")
    outside = "phases:\n  - {id: a1, title: A, outputs: [docs/a.md]}\n  - {id: a2, title: B}\n"
    assert refused(write(tmp_path, text, outside)) == [Code.OUTSIDE_CLAIMS]
    action = "{type: mkdirs, paths: [docs]}, {type: run, cmd: ls}"
    written = f"phases:\n  - {{id: a1, title: A, actions: [{action}]}}\n  - {{id: a2, title: B}}\n"
    plan, problems = compile_file(write(tmp_path, text, written))
    assert plan is not None
    assert codes(problems, Severity.WARNING) == [Code.OUTSIDE_CLAIMS]
    assert "docs/.gitkeep" in problems.to_text()


def test_a_stream_without_a_scope_runs_optimistically_and_says_so(tmp_path: Path) -> None:
    text, phases = small("  - parallel: [a]", "a src/** a1")
    plan, problems = compile_file(write(tmp_path, text.replace("'src/**'", ""), phases))
    assert plan is not None
    assert codes(problems, Severity.NOTICE) == [Code.NO_CLAIMS]


def test_streams_without_any_phase_are_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path, *small("  - parallel: [a]", "a src/**"))) == [Code.BAD_VALUE]
    assert refused(write(tmp_path, "streams: []\nexecution_order: []\n", "phases: []\n")) == [Code.BAD_VALUE]


def test_two_phases_that_would_become_the_same_node_are_refused(tmp_path: Path) -> None:
    files = small("  - parallel: [a, a.b]", "a src/** b.c", "a.b docs/** c")
    assert Code.DUPLICATE_ID in refused(write(tmp_path, *files))


def test_a_node_id_that_no_branch_can_hold_is_refused(tmp_path: Path) -> None:
    files = small("  - parallel: [a]", f"a src/** {'p' * 63}")
    assert refused(write(tmp_path, *files)) == [Code.BAD_ID]
