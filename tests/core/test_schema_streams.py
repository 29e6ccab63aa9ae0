"""Streams and phases: the files that users edit, and what is said when they do not fit together."""

from pathlib import Path
from shutil import copyfile

import pytest

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import Actions, Argv, MakeDirs, Script, ShellLine, WriteFile
from cli_multi_rapid.schema.phases import Phase, find_phase_files, load_phases, parse_phases
from cli_multi_rapid.schema.problems import Code, Problem, Problems, Severity
from cli_multi_rapid.schema.stream_model import GroupKind, StreamsDocument
from cli_multi_rapid.schema.stream_rules import check_phases, phase_graph
from cli_multi_rapid.schema.streams import load_streams, parse_streams
from tests.core.schema_reading import EXAMPLES, document, example

TOOLS = ("claude", "codex", "aider", "shell", "actions")


def streams_of(text: str, *, serialize: bool = False) -> tuple[StreamsDocument | None, list[Problem]]:
    problems = Problems()
    found = parse_streams(
        document(text, "multi_stream.yaml"), problems, known_tools=TOOLS, serialize_overlaps=serialize
    )
    return found, list(problems)


def good_streams(text: str) -> StreamsDocument:
    found, problems = streams_of(text)
    assert found is not None, problems
    return found


def phases_of(text: str) -> tuple[tuple[Phase, ...], list[Problem]]:
    problems = Problems()
    return parse_phases(document(text, "phases.yaml"), problems, known_tools=TOOLS), list(problems)


THREE = """\
streams:
  - {id: a, owner: Claude, scope: {paths: [src/**]}, phases: [p1, p2]}
  - {id: b, owner: Codex, scope: {paths: [docs/**]}, phases: [p3]}
  - {id: c, owner: shell, scope: [tests/], phases: []}
execution_order:
  - parallel: [a, b]
  - sequential: [c]
"""


# The examples --------------------------------------------------------------------------------------------


def test_the_example_of_streams_loads_unchanged() -> None:
    problems = Problems()
    streams = parse_streams(example("multi_stream.yaml"), problems, known_tools=TOOLS)
    assert streams is not None
    assert len(problems) == 0
    assert [s.id for s in streams.streams] == [*(f"stream-{x}" for x in "abcde"), "stream-complete"]
    assert [(s.tool, s.owner) for s in streams.streams[:2]] == [("claude", "Claude"), ("codex", "Codex")]
    assert [p.name for p in streams.streams[4].paths] == ["docs/**", "runbooks/**"]
    assert streams.streams[0].label == "Stream A"
    assert streams.head.name == "Multi-stream roadmap"
    assert streams.head.plan_id == "multi_stream"
    assert [(g.kind, [n.name for n in g.streams]) for g in streams.order] == [
        (GroupKind.PARALLEL, ["stream-a", "stream-b"]),
        (GroupKind.PARALLEL, ["stream-c", "stream-d"]),
        (GroupKind.SEQUENTIAL, ["stream-e"]),
        (GroupKind.SEQUENTIAL, ["stream-complete"]),
    ]


def test_the_example_validates_beside_its_phase_file_although_phases_are_still_missing() -> None:
    problems = Problems()
    loaded = load_streams(EXAMPLES / "multi_stream.yaml", problems, undefined_phases=Severity.WARNING)
    assert loaded is not None
    assert problems.error_count == 0
    assert {p.code for p in problems} == {Code.UNDEFINED_PHASE}
    assert "`phase1`" in next(iter(problems)).message
    assert load_streams(EXAMPLES / "multi_stream.yaml", Problems()) is None


def test_the_example_of_phases_loads_unchanged() -> None:
    problems = Problems()
    first, second = parse_phases(example("phase_definitions.yaml"), problems)
    assert len(problems) == 0
    assert (first.id, first.title, first.tool) == ("phase0", "Baseline", "actions")
    assert first.goals == ("Pin the toolchain", "Add pre-commit")
    assert first.acceptance == ("pre-commit runs clean",)
    assert first.work == Actions(
        actions=(
            MakeDirs(paths=("docs", "scripts")),
            WriteFile(path="Makefile", text="test:\n\tpytest -q\n"),
            Argv(argv=("ruff", "check", "--fix", ".")),
        )
    )
    assert (second.id, second.work, second.tool) == ("phase10", None, None)
    assert (first.at.line, second.at.line) == (8, 20)


# Streams -------------------------------------------------------------------------------------------------


def test_the_order_of_groups_says_which_stream_waits_for_which() -> None:
    text = THREE.replace("{id: b,", "{id: b, depends_on: [a], priority: high,").replace(
        "sequential: [c]", "sequential: []\n  - sequential: [c]"
    )
    streams = good_streams(text)
    assert streams.waits_for() == {"a": (), "b": ("a",), "c": ("a", "b")}
    assert streams.by_id["b"].priority == 0
    one_by_one = good_streams(THREE.replace("parallel", "sequential"))
    assert one_by_one.waits_for() == {"a": (), "b": ("a",), "c": ("a", "b")}


def test_phases_wait_for_their_predecessor_their_deps_and_earlier_streams() -> None:
    text = THREE.replace("phases: []", "phases: [p4]").replace(
        "{paths: [src/**]}", "{paths: [src/**], description: d}"
    )
    phases, problems = phases_of(
        "phases: [{id: p1}, {id: p2, deps: [b.p3]}, {id: p3}, {id: p4, dependencies: [p1]}]"
    )
    assert not problems
    graph = phase_graph(good_streams(text), {phase.id: phase for phase in phases})
    assert graph == {
        "a.p1": [],
        "a.p2": ["a.p1", "b.p3"],
        "b.p3": [],
        "c.p4": ["a.p2", "b.p3", "a.p1"],
    }


def test_a_stream_without_phases_passes_the_order_on() -> None:
    text = (
        THREE.replace("[p3]", "[]")
        .replace("parallel: [a, b]", "sequential: [a, b]")
        .replace("phases: []}\nex", "phases: [p4]}\nex")
    )
    assert phase_graph(good_streams(text), {})[NodeId("c.p4")] == ["a.p2"]


def test_the_head_of_a_plan_may_stand_in_a_streams_file() -> None:
    head = good_streams(
        "global_budget_usd: 9\nbranch_base: dev\nmerge_policy: {checklist: []}\n" + THREE
    ).head
    assert (head.budget, head.branch_base, head.merge_policy.checklist) == (parse_usd(9), "dev", ())


def test_an_owner_that_is_a_person_names_no_tool() -> None:
    problems = Problems()
    streams = parse_streams(document(THREE.replace("Claude", "Ada Lovelace")), problems)
    assert streams is not None
    assert streams.streams[0].tool is None
    assert streams.streams[0].owner == "Ada Lovelace"
    named = parse_streams(document(THREE.replace("Claude", "Ada, tool: aider")), problems, known_tools=TOOLS)
    assert named is not None
    assert named.streams[0].tool == "aider"


BAD_STREAMS = {
    "unknown stream": (THREE.replace("[a, b]", "[a, bb]"), Code.UNKNOWN_STREAM, 6, "`bb`", "`b`"),
    "unknown stream, nothing close": (
        THREE.replace("[c]", "[zz]"),
        Code.UNKNOWN_STREAM,
        7,
        "`zz`",
        "streams are: a",
    ),
    "stream in two groups": (THREE.replace("[c]", "[c, a]"), Code.STREAM_TWICE, 7, "on line 6", "keep one"),
    "stream in no group": (THREE.replace("[c]", "[]"), Code.STREAM_NOT_ORDERED, 4, "`c`", "sequential: [c]"),
    "duplicate stream": (THREE.replace("id: b", "id: a"), Code.DUPLICATE_ID, 3, "second stream", "own"),
    "unknown group": (THREE.replace("parallel", "paralel"), Code.UNKNOWN_KEY, 6, "`paralel`", "`parallel`"),
    "group as a list": (
        THREE.replace("parallel: [a, b]", "[a, b]"),
        Code.WRONG_TYPE,
        6,
        "a mapping",
        "- parallel",
    ),
    "two kinds of group": (
        THREE.replace("parallel: [a, b]", "{parallel: [a], sequential: [b]}"),
        Code.BAD_VALUE,
        6,
        "has one key",
        "- sequential",
    ),
    "no order": (THREE[: THREE.index("exec")], Code.MISSING_KEY, 1, "no `execution_order`", "parallel"),
    "no streams": ("execution_order: []\n", Code.MISSING_KEY, 1, "no `streams`", "scope"),
    "no scope": (
        THREE.replace("scope: {paths: [docs/**]}, ", ""),
        Code.MISSING_KEY,
        3,
        "no `scope`",
        "paths",
    ),
    "no paths": (THREE.replace("{paths: [docs/**]}", "{}"), Code.MISSING_KEY, 3, "no `paths`", "docs"),
    "scope as a text": (
        THREE.replace("{paths: [docs/**]}", "docs"),
        Code.WRONG_TYPE,
        3,
        "a mapping",
        "paths",
    ),
    "bad scope": (THREE.replace("docs/**", "../docs"), Code.BAD_GLOB, 3, "`..`", "root"),
    "no phases": (THREE.replace(", phases: [p3]", ""), Code.MISSING_KEY, 3, "no `phases`", "phase1"),
    "stream as a text": (
        THREE.replace("streams:\n", "streams:\n  - x\n"),
        Code.WRONG_TYPE,
        2,
        "a mapping",
        "id",
    ),
    "no id": (THREE.replace("id: b, ", ""), Code.MISSING_KEY, 3, "no `id`", "stream-2"),
    "bad id": (THREE.replace("{id: b, ", "{id: b/b, "), Code.BAD_ID, 3, "a stream id", "short"),
    "unknown owner": (THREE.replace("Codex", "Codx"), Code.UNKNOWN_TOOL, 3, "`Codx`", "`codex`"),
    "unknown tool": (THREE.replace("owner: Codex", "tool: zz"), Code.UNKNOWN_TOOL, 3, "`zz`", "tools are"),
    "depends on nothing": (
        THREE.replace("{id: b,", "{id: b, depends_on: [aa],"),
        Code.UNKNOWN_STREAM,
        3,
        "`b` depends on `aa`",
        "`a`",
    ),
    "depends on itself": (
        THREE.replace("{id: b,", "{id: b, depends_on: [b],"),
        Code.SELF_DEP,
        3,
        "itself",
        "remove",
    ),
    "depends on a later group": (
        THREE.replace("{id: a,", "{id: a, depends_on: [c],"),
        Code.CYCLE,
        2,
        "a → c → a",
        "execution_order",
    ),
    "scopes overlap": (
        THREE.replace("docs/**", "src/api/*.py"),
        Code.OVERLAP,
        3,
        "`src/api/*.py` of stream `b` overlaps `src/**` of stream `a`",
        "--serialize-overlaps",
    ),
}


@pytest.mark.parametrize("case", BAD_STREAMS)
def test_a_bad_streams_file_is_refused_with_a_message_that_one_can_act_on(case: str) -> None:
    text, code, line, message, suggestion = BAD_STREAMS[case]
    found, problems = streams_of(text)
    assert found is None
    problem = next((p for p in problems if p.code is code), None)
    assert problem is not None, [p.to_text() for p in problems]
    assert problem.line == line, problem.to_text()
    assert message in problem.message, problem.to_text()
    assert suggestion in problem.suggestion, problem.to_text()


def test_a_circle_of_streams_is_shown_with_the_reason_of_each_edge() -> None:
    _, problems = streams_of(THREE.replace("{id: a,", "{id: a, depends_on: [c],"))
    assert problems[0].notes == (
        "a waits for c (depends_on, line 2)",
        "c waits for a (execution_order places it later)",
    )


def test_overlapping_scopes_are_only_a_notice_when_they_shall_be_serialised() -> None:
    found, problems = streams_of(THREE.replace("docs/**", "src/api/*.py"), serialize=True)
    assert found is not None
    assert [p.severity for p in problems] == [Severity.NOTICE]
    assert "one after the other" in problems[0].message


def test_scopes_of_streams_that_wait_for_each_other_may_overlap() -> None:
    text = THREE.replace("docs/**", "src/**")
    assert streams_of(text.replace("parallel", "sequential"))[0] is not None
    assert streams_of(text.replace("{id: b,", "{id: b, depends_on: [a],"))[0] is not None


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
    (tmp_path / "multi_stream.yaml").write_text(THREE)
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
    check_phases(good_streams(THREE), {phase.id: phase for phase in phases}, problems)
    problem = next(p for p in problems if p.code is code)
    assert message in problem.message
    assert suggestion in problem.suggestion
    assert problem.line


def test_a_phase_that_is_used_elsewhere_is_not_what_was_meant() -> None:
    phases, _ = phases_of("phases: [{id: p2}, {id: p3}]")
    problems = Problems()
    check_phases(good_streams(THREE), {phase.id: phase for phase in phases}, problems)
    (problem,) = problems
    assert problem.suggestion.startswith("add - id: p1")


def test_a_stream_runs_a_phase_once_and_its_nodes_have_short_names() -> None:
    long = "p" * 64
    streams = good_streams(THREE.replace("[p1, p2]", f"[p1, p1, {long}]"))
    problems = Problems()
    check_phases(streams, {}, problems, undefined_phases=Severity.WARNING)
    assert [p.code for p in problems if p.severity is Severity.ERROR] == [Code.PHASE_TWICE, Code.BAD_ID]
