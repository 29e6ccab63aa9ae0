"""Phases: what their keys mean, where they are found, and whether they fit the streams."""

from pathlib import Path
from shutil import copyfile

import pytest

from cli_multi_rapid.core.plan import Script, ShellLine
from cli_multi_rapid.schema.phases import find_phase_files, load_phases
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.stream_rules import check_phases
from cli_multi_rapid.schema.streams import load_streams
from tests.core.schema_reading import (
    STREAMS,
    TOOLS,
    good_streams,
    phases_of,
)

# Phases --------------------------------------------------------------------------------------------------


def test_every_key_of_a_phase_arrives() -> None:
    (phase,), problems = phases_of(
        "taskspec_version: 1\ndescription: d\nphases: [{id: p, name: 'A  b', description: D, goal: P, "
        "tool: Codex, deps: [q], inputs: [i], outputs: [o], capabilities: [c], priority: low, "
        "est_cost: 1, max_cost: 2, timeout_s: 3, retries: 4, model: m, env: {A: 1}, "
        "approval: before, notes: n, acceptance: [x]}]"
    )
    assert not problems
    assert (phase.title, phase.description, phase.prompt, phase.tool) == ("A b", "D", "P", "codex")
    assert [dep.name for dep in phase.deps] == ["q"]
    assert (phase.inputs, phase.outputs, phase.capabilities) == (("i",), ("o",), ("c",))
    assert (phase.priority, phase.est_cost, phase.max_cost) == (2, 1_000_000, 2_000_000)
    assert (phase.timeout_s, phase.retries, phase.model, phase.env) == (3, 4, "m", {"A": "1"})
    assert (phase.approval, phase.acceptance, phase.work) == ("before", ("x",), None)


def test_phases_do_commands_and_scripts_as_nodes_do() -> None:
    (run, script), problems = phases_of("phases: [{id: a, run: make}, {id: b, script: [{write: x}]}]")
    assert not problems
    assert (run.tool, run.work, run.title) == ("shell", ShellLine(run="make"), "a")
    assert (script.tool, script.work) == ("scripted", Script(steps=({"write": "x"},)))


BAD_PHASES = {
    "unknown action": ("{id: p, actions: [{type: rnu}]}", Code.UNKNOWN_ACTION, "`rnu`", "`run`"),
    "unknown action, nothing close": (
        "{id: p, actions: [{type: zzz}]}",
        Code.UNKNOWN_ACTION,
        "`zzz`",
        "types are: run",
    ),
    "action without a type": ("{id: p, actions: [{cmd: x}]}", Code.MISSING_KEY, "no `type`", "types are"),
    "action as a text": ("{id: p, actions: [run]}", Code.WRONG_TYPE, "a mapping", "type: run"),
    "run without a command": ("{id: p, actions: [{type: run}]}", Code.MISSING_KEY, "no `cmd`", "ruff"),
    "empty command": ("{id: p, actions: [{type: run, cmd: []}]}", Code.BAD_VALUE, "empty command", "program"),
    "files without files": ("{id: p, actions: [{type: files}]}", Code.MISSING_KEY, "no `write`", "path"),
    "file without a path": (
        "{id: p, actions: [{type: files, write: [{text: x}]}]}",
        Code.MISSING_KEY,
        "no `path`",
        "path:",
    ),
    "file as a text": ("{id: p, actions: [{type: files, write: [x]}]}", Code.WRONG_TYPE, "a mapping", "path"),
    "mkdirs without paths": ("{id: p, actions: [{type: mkdirs}]}", Code.MISSING_KEY, "no `paths`", "docs"),
    "python without a target": (
        "{id: p, actions: [{type: python}]}",
        Code.MISSING_KEY,
        "no `target`",
        "module:",
    ),
    "unknown key of an action": (
        "{id: p, actions: [{type: tests, agrv: [x]}]}",
        Code.UNKNOWN_KEY,
        "`agrv`",
        "`argv`",
    ),
    "no id": ("{title: t}", Code.MISSING_KEY, "no `id`", "phase1"),
    "bad id": ("{id: a b}", Code.BAD_ID, "a phase id", "short"),
    "duplicate id": ("{id: p}, {id: p}", Code.DUPLICATE_ID, "already defined at phases.yaml:1:15", "own"),
    "unknown tool": ("{id: p, tool: cluade}", Code.UNKNOWN_TOOL, "`cluade`", "`claude`"),
    "shell with actions": (
        "{id: p, tool: aider, actions: []}",
        Code.WORK,
        "does not take `actions`",
        "tool: actions",
    ),
    "phase as a text": ("p", Code.WRONG_TYPE, "a mapping", "id"),
}


@pytest.mark.parametrize("case", BAD_PHASES)
def test_a_bad_phase_is_refused_with_a_message_that_one_can_act_on(case: str) -> None:
    text, code, message, suggestion = BAD_PHASES[case]
    _, problems = phases_of(f"phases: [{text}]")
    (problem,) = problems
    assert problem.code is code, problem.to_text()
    assert message in problem.message, problem.to_text()
    assert suggestion in problem.suggestion, problem.to_text()


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "a/../b", "", "a//b", ".git/config", "a/.GIT/x", "./a", "a\\\\b"]
)
def test_actions_write_inside_the_repository_only(path: str) -> None:
    for action in (f'{{type: mkdirs, paths: ["{path}"]}}', f'{{type: files, write: [{{path: "{path}"}}]}}'):
        _, problems = phases_of(f"phases: [{{id: p, actions: [{action}]}}]")
        assert [p.code for p in problems] == [Code.BAD_PATH]


def test_a_file_without_phases_is_told_what_it_needs() -> None:
    _, problems = phases_of("name: x")
    assert [(p.code, "phases:" in p.suggestion) for p in problems] == [(Code.MISSING_KEY, True)]


# Files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a streams file and two phase files, one of them below `phase_definitions/`."""
    (tmp_path / "multi_stream.yaml").write_text(STREAMS)
    (tmp_path / "phases.yml").write_text("phases: [{id: p1}, {id: p2}]\n")
    (tmp_path / "phase_definitions").mkdir()
    (tmp_path / "phase_definitions" / "docs.yaml").write_text("name: docs\nphases:\n- {id: p3, deps: [p1]}\n")
    (tmp_path / "plan.yaml").write_text("nodes: []\n")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    (tmp_path / "phases.txt").write_text("phases: []\n")
    return tmp_path


def test_phases_are_found_beside_the_streams_and_in_phase_definitions(folder: Path) -> None:
    assert [path.name for path in find_phase_files(folder)] == ["phases.yml", "docs.yaml"]
    problems = Problems()
    assert list(load_phases(folder, problems)) == ["p1", "p2", "p3"]
    assert len(problems) == 0


def test_streams_and_phases_load_together(folder: Path) -> None:
    problems = Problems()
    loaded = load_streams(folder / "multi_stream.yaml", problems, known_tools=TOOLS)
    assert loaded is not None
    assert len(problems) == 0
    assert set(loaded.phases) == {"p1", "p2", "p3"}


def test_a_phase_defined_in_two_files_is_refused_with_both_places(folder: Path) -> None:
    copyfile(folder / "phases.yml", folder / "phase_definitions" / "more.yaml")
    problems = Problems()
    assert load_streams(folder / "multi_stream.yaml", problems) is None
    assert [p.code for p in problems] == [Code.DUPLICATE_ID] * 2
    first = next(iter(problems))
    assert first.file.endswith("more.yaml")
    assert "phases.yml:1:15" in first.message


def test_broken_files_are_reported_together(folder: Path) -> None:
    (folder / "multi_stream.yaml").write_text("streams: [\n")
    (folder / "phases.yml").write_text("phases: [{id: p1, x: 1}]\n")
    (folder / "phase_definitions" / "docs.yaml").write_text("phases: [\n")
    problems = Problems()
    assert load_streams(folder / "multi_stream.yaml", problems) is None
    assert {Path(p.file).name for p in problems} == {"multi_stream.yaml", "phases.yml", "docs.yaml"}


def test_a_phase_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "gone.yaml").symlink_to(folder / "nowhere")
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    assert len(find_phase_files(folder)) == 2


BAD_TOGETHER = {
    "undefined": ("", Code.UNDEFINED_PHASE, "defines the phase `p1` of stream `a`", "add - id: p1"),
    "misspelled": ("{id: p11}, {id: p2}, {id: p3}", Code.UNDEFINED_PHASE, "`p1`", "`p11`"),
    "dep on nothing": ("{id: p1, deps: [p11]}, {id: p2}, {id: p3}", Code.UNKNOWN_PHASE_DEP, "`p11`", "`p1`"),
    "dep on itself": ("{id: p1, deps: [p1]}, {id: p2}, {id: p3}", Code.SELF_DEP, "itself", "remove"),
    "circle": ("{id: p1, deps: [p2]}, {id: p2}, {id: p3}", Code.CYCLE, "a.p1 → a.p2 → a.p1", "order"),
}


@pytest.mark.parametrize("case", BAD_TOGETHER)
def test_phases_that_do_not_fit_the_streams_are_refused(case: str) -> None:
    text, code, message, suggestion = BAD_TOGETHER[case]
    phases, _ = phases_of(f"phases: [{text}]")
    problems = Problems()
    check_phases(good_streams(STREAMS), {phase.id: phase for phase in phases}, problems)
    problem = next(p for p in problems if p.code is code)
    assert message in problem.message
    assert suggestion in problem.suggestion
    assert problem.line


def test_a_phase_that_is_used_elsewhere_is_not_what_was_meant() -> None:
    phases, _ = phases_of("phases: [{id: p2}, {id: p3}]")
    problems = Problems()
    check_phases(good_streams(STREAMS), {phase.id: phase for phase in phases}, problems)
    (problem,) = problems
    assert problem.suggestion.startswith("add - id: p1")


def test_a_stream_runs_a_phase_once_and_its_nodes_have_short_names() -> None:
    long = "p" * 64
    streams = good_streams(STREAMS.replace("[p1, p2]", f"[p1, p1, {long}]"))
    problems = Problems()
    check_phases(streams, {}, problems, undefined_phases=Severity.WARNING)
    assert [p.code for p in problems if p.severity is Severity.ERROR] == [Code.PHASE_TWICE, Code.BAD_ID]
