"""Streams and phases to a plan, from real files."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.dag import ancestors, topological_order
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import Actions, MakeDirs, Node, Plan, Prompt, Role, ShellLine, WriteFile
from cli_multi_rapid.planner.streams import compile_streams
from cli_multi_rapid.schema.document import document_of
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.plan_document import plan_to_document
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.streams import load_streams

ROADMAP = """\
version: '1.0'
name: Multi-stream roadmap
description: Streams that run side by side, then a final validation
global_budget_usd: 12.5
merge_policy: {target: develop, checklist: [lint, tests]}
streams:
  - id: stream-a
    label: Stream A
    owner: Claude
    scope: {paths: ['.github/**', 'README.md', 'Makefile']}
    phases: [phase0, phase1]
  - id: stream-b
    label: Stream B
    owner: Codex
    scope: {paths: ['contracts/**', 'tests/**']}
    phases: [phase2, phase3]
  - id: stream-c
    label: Stream C
    owner: aider
    priority: low
    scope: {paths: ['services/**']}
    phases: [phase4]
  - id: stream-complete
    label: Final
    owner: Claude
    scope: {paths: ['src/**']}
    phases: [complete1, complete2]
execution_order:
  - parallel: [stream-a, stream-b]
  - parallel: [stream-c]
  - sequential: [stream-complete]
"""

PHASES = """\
taskspec_version: '1.0'
name: Roadmap phases
phases:
  - id: phase0
    title: Baseline
    goals: [Pin the toolchain, Add pre-commit]
    acceptance: [pre-commit runs clean]
    actions:
      - type: mkdirs
        paths: [.github/workflows]
      - type: files
        write:
          - {path: Makefile, template: "test:\\n\\tpytest -q\\n"}
  - {id: phase1, title: Build, run: make all, timeout_s: 30, env: {CC: gcc}, outputs: [README.md]}
  - {id: phase2, title: Schemas, description: Write them., goals: [One each], acceptance: [They validate],
     est_cost: 1.5, max_cost: 2, priority: high, retries: 1, model: m-1, capabilities: [json]}
  - {id: phase3, prompt: Check the schemas., tool: aider, inputs: [src/a.py], approval: landing}
  - {id: phase4, title: Services, deps: [phase2]}
  - {id: complete1, title: Look at everything, tool: verify}
  - {id: complete2, title: Tidy up}
"""


def write(folder: Path, streams: str = ROADMAP, phases: str = PHASES) -> Path:
    """A multi_stream file with its phases in the folder below."""
    (folder / "phase_definitions").mkdir(parents=True, exist_ok=True)
    (folder / "phase_definitions" / "roadmap.yaml").write_text(phases)
    path = folder / "multi_stream.yaml"
    path.write_text(streams)
    return path


def compile_file(
    path: Path, *, serialize_overlaps: bool = False, default_tool: str | None = None
) -> tuple[Plan | None, Problems]:
    """What a run would do with the file, and all that is to say about it."""
    problems = Problems()
    loaded = load_streams(path, problems, serialize_overlaps=serialize_overlaps)
    if loaded is None:
        return None, problems
    tool = None if default_tool is None else ToolName(default_tool)
    plan = compile_streams(loaded, problems, serialize_overlaps=serialize_overlaps, default_tool=tool)
    return plan, problems


def plan_of(path: Path, *, serialize_overlaps: bool = False, default_tool: str | None = None) -> Plan:
    plan, problems = compile_file(path, serialize_overlaps=serialize_overlaps, default_tool=default_tool)
    assert plan is not None, problems.to_text()
    return plan


def deps(plan: Plan) -> dict[str, set[str]]:
    return {node.id: set(node.deps) for node in plan.nodes}


def node(plan: Plan, name: str) -> Node:
    return plan.by_id[NodeId(name)]


def small(order: str, *streams: str, phases: str | None = None) -> tuple[str, str]:
    """Streams of one line each (`id paths phases…`), all of owner Claude, and phases that say something."""
    names: dict[str, None] = {}
    lines = ["streams:"]
    for line in streams:
        stream, paths, *ids = line.split()
        names.update(dict.fromkeys(ids))
        lines.append(
            f"  - {{id: {stream}, owner: Claude, scope: {{paths: ['{paths}']}}, phases: [{', '.join(ids)}]}}"
        )
    text = "\n".join([*lines, "execution_order:", order, ""])
    defined = "".join(f"\n  - {{id: {name}, title: Do {name}}}" for name in names)
    return text, phases or f"phases:{defined or ' []'}\n"


# --- order --------------------------------------------------------------------------------------------------


def test_phases_run_in_order_and_a_group_waits_for_every_stream_of_the_group_before(tmp_path: Path) -> None:
    assert deps(plan_of(write(tmp_path))) == {
        "stream-a.phase0": set(),
        "stream-a.phase1": {"stream-a.phase0"},
        "stream-b.phase2": set(),
        "stream-b.phase3": {"stream-b.phase2"},
        "stream-c.phase4": {"stream-a.phase1", "stream-b.phase3", "stream-b.phase2"},
        "stream-complete.complete1": {"stream-c.phase4"},
        "stream-complete.complete2": {"stream-complete.complete1"},
    }


def test_swapping_two_groups_changes_what_waits_for_what(tmp_path: Path) -> None:
    streams = ["a src/** a1 a2", "b docs/** b1", "c tests/** c1"]
    forward = small("  - parallel: [a]\n  - parallel: [b, c]", *streams)
    swapped = small("  - parallel: [b, c]\n  - parallel: [a]", *streams)
    assert deps(plan_of(write(tmp_path / "forward", *forward))) == {
        "a.a1": set(),
        "a.a2": {"a.a1"},
        "b.b1": {"a.a2"},
        "c.c1": {"a.a2"},
    }
    assert deps(plan_of(write(tmp_path / "swapped", *swapped))) == {
        "a.a1": {"b.b1", "c.c1"},
        "a.a2": {"a.a1"},
        "b.b1": set(),
        "c.c1": set(),
    }


def test_a_sequential_group_runs_its_streams_one_after_the_other(tmp_path: Path) -> None:
    files = small("  - sequential: [b, a]", "a src/** a1", "b src/** b1")
    assert deps(plan_of(write(tmp_path, *files))) == {"a.a1": {"b.b1"}, "b.b1": set()}


def test_depends_on_orders_two_streams_of_one_group(tmp_path: Path) -> None:
    text, phases = small("  - parallel: [a, b]", "a src/** a1 a2", "b docs/** b1")
    path = write(tmp_path, text.replace("{id: b,", "{id: b, depends_on: [a],"), phases)
    assert deps(plan_of(path))["b.b1"] == {"a.a2"}


def test_a_group_reaches_through_a_stream_without_phases(tmp_path: Path) -> None:
    order = "  - sequential: [a]\n  - sequential: [empty]\n  - sequential: [b]"
    files = small(order, "a src/** a1", "empty lib/**", "b docs/** b1")
    assert deps(plan_of(write(tmp_path, *files))) == {"a.a1": set(), "b.b1": {"a.a1"}}


def test_every_node_of_a_later_group_waits_for_every_node_of_an_earlier_one(tmp_path: Path) -> None:
    plan = plan_of(write(tmp_path))
    graph = {node.id: node.deps for node in plan.nodes}
    first = {n.id for n in plan.nodes if n.stream in ("stream-a", "stream-b")}
    for later in (n.id for n in plan.nodes if n.stream == "stream-complete"):
        assert first <= ancestors(graph, later)


# --- nodes --------------------------------------------------------------------------------------------------


def test_the_plan_takes_over_what_the_file_says_beside_the_streams(tmp_path: Path) -> None:
    plan = plan_of(write(tmp_path))
    assert (plan.plan_id, plan.name) == ("multi_stream", "Multi-stream roadmap")
    assert plan.budget == parse_usd(12.5)
    assert (plan.merge_policy.target, plan.merge_policy.checklist) == ("develop", ("lint", "tests"))


def test_a_node_claims_the_scope_of_its_stream_exclusively(tmp_path: Path) -> None:
    built = node(plan_of(write(tmp_path)), "stream-b.phase3")
    assert built.path_claims == (
        PathClaim(path="contracts/**", mode=ClaimMode.EXCLUSIVE),
        PathClaim(path="tests/**", mode=ClaimMode.EXCLUSIVE),
    )
    assert built.stream == "stream-b"


@pytest.mark.parametrize(
    ("name", "tool", "role"),
    [
        ("stream-a.phase0", "actions", Role.WT),
        ("stream-a.phase1", "shell", Role.WT),
        ("stream-b.phase2", "codex", Role.WT),
        ("stream-b.phase3", "aider", Role.WT),
        ("stream-c.phase4", "aider", Role.WT),
        ("stream-complete.complete1", "verify", Role.IPT),
        ("stream-complete.complete2", "claude", Role.WT),
    ],
)
def test_the_phase_or_else_the_owner_says_who_does_the_work(
    tmp_path: Path, name: str, tool: str, role: Role
) -> None:
    built = node(plan_of(write(tmp_path)), name)
    assert (built.tool, built.role) == (tool, role)
    assert bool(built.path_claims) is (role is Role.WT)


def test_what_a_phase_does_and_may_use_reaches_the_node(tmp_path: Path) -> None:
    plan = plan_of(write(tmp_path))
    assert node(plan, "stream-a.phase0").work == Actions(
        actions=(
            MakeDirs(paths=(".github/workflows",)),
            WriteFile(path="Makefile", text="test:\n\tpytest -q\n"),
        )
    )
    build, schemas, check = (
        node(plan, name) for name in ("stream-a.phase1", "stream-b.phase2", "stream-b.phase3")
    )
    assert build.work == ShellLine(run="make all")
    assert (build.label, build.timeout_s, dict(build.env)) == ("Build", 30, {"CC": "gcc"})
    assert build.outputs == ("README.md",)
    assert (schemas.est_cost, schemas.max_cost, schemas.priority) == (parse_usd(1.5), parse_usd(2), 0)
    assert (schemas.retries, schemas.model, schemas.capabilities) == (1, "m-1", ("json",))
    assert (check.work, check.inputs, check.approval) == (Prompt(), ("src/a.py",), "landing")
    assert node(plan, "stream-c.phase4").priority == 2


def test_an_agent_is_told_title_goals_and_when_it_is_done(tmp_path: Path) -> None:
    plan = plan_of(write(tmp_path))
    assert node(plan, "stream-b.phase2").goal == (
        "Schemas\n\nWrite them.\n\nGoals:\n- One each\n\nDone when:\n- They validate"
    )
    assert node(plan, "stream-b.phase3").goal == "Check the schemas."


def test_a_compiled_plan_is_a_valid_plan_file(tmp_path: Path) -> None:
    plan, problems = plan_of(write(tmp_path)), Problems()
    assert parse_plan(document_of(plan_to_document(plan), "saved"), problems) == plan
    assert [p for p in problems if p.severity is not Severity.NOTICE] == []


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
    plan, problems = compile_file(write(tmp_path, ROADMAP.replace("phase4]", "phase44]")))
    assert plan is None
    [problem] = [p for p in problems if p.code is Code.UNDEFINED_PHASE]
    assert (problem.line, problem.column) == (22, 14)
    assert "did you mean `phase4`?" in problem.suggestion


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
    assert refused(write(tmp_path, "streams: []\nexecution_order: []\n")) == [Code.BAD_VALUE]


def test_two_phases_that_would_become_the_same_node_are_refused(tmp_path: Path) -> None:
    files = small("  - parallel: [a, a.b]", "a src/** b.c", "a.b docs/** c")
    assert Code.DUPLICATE_ID in refused(write(tmp_path, *files))


def test_a_node_id_that_no_branch_can_hold_is_refused(tmp_path: Path) -> None:
    files = small("  - parallel: [a]", f"a src/** {'p' * 63}")
    assert refused(write(tmp_path, *files)) == [Code.BAD_ID]
