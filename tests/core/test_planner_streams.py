"""Streams and phases to a plan, from real files."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.dag import ancestors
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import Actions, MakeDirs, Plan, Prompt, Role, ShellLine, WriteFile
from cli_multi_rapid.schema.document import document_of
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.plan_document import plan_to_document
from cli_multi_rapid.schema.problems import Problems, Severity
from tests.fakes.stream_files import deps, node, plan_of, small, write

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


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """The plan of the streams and phases above."""
    return plan_of(write(tmp_path, ROADMAP, PHASES))


# --- order --------------------------------------------------------------------------------------------------


def test_phases_run_in_order_and_a_group_waits_for_every_stream_of_the_group_before(plan: Plan) -> None:
    assert deps(plan) == {
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


def test_every_node_of_a_later_group_waits_for_every_node_of_an_earlier_one(plan: Plan) -> None:
    graph = {node.id: node.deps for node in plan.nodes}
    first = {n.id for n in plan.nodes if n.stream in ("stream-a", "stream-b")}
    for later in (n.id for n in plan.nodes if n.stream == "stream-complete"):
        assert first <= ancestors(graph, later)


# --- nodes --------------------------------------------------------------------------------------------------


def test_the_plan_takes_over_what_the_file_says_beside_the_streams(plan: Plan) -> None:
    assert (plan.plan_id, plan.name) == ("multi_stream", "Multi-stream roadmap")
    assert plan.budget == parse_usd(12.5)
    assert (plan.merge_policy.target, plan.merge_policy.checklist) == ("develop", ("lint", "tests"))


def test_a_node_claims_the_scope_of_its_stream_exclusively(plan: Plan) -> None:
    built = node(plan, "stream-b.phase3")
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
    plan: Plan, name: str, tool: str, role: Role
) -> None:
    built = node(plan, name)
    assert (built.tool, built.role) == (tool, role)
    assert bool(built.path_claims) is (role is Role.WT)


def test_what_a_phase_does_and_may_use_reaches_the_node(plan: Plan) -> None:
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


def test_an_agent_is_told_title_goals_and_when_it_is_done(plan: Plan) -> None:
    assert node(plan, "stream-b.phase2").goal == (
        "Schemas\n\nWrite them.\n\nGoals:\n- One each\n\nDone when:\n- They validate"
    )
    assert node(plan, "stream-b.phase3").goal == "Check the schemas."


def test_a_compiled_plan_is_a_valid_plan_file(plan: Plan) -> None:
    problems = Problems()
    assert parse_plan(document_of(plan_to_document(plan), "saved"), problems) == plan
    assert [p for p in problems if p.severity is not Severity.NOTICE] == []


def test_where_no_owner_names_a_tool_the_capabilities_of_the_phase_choose_one(tmp_path: Path) -> None:
    streams, phases = small(
        "  - sequential: [s]",
        "s docs/** skilled plain",
        phases="phases:\n"
        "  - {id: skilled, title: Write, capabilities: [docs]}\n"
        "  - {id: plain, title: Tidy}\n",
    )
    plan = plan_of(write(tmp_path, streams.replace("owner: Claude, ", ""), phases), default_tool="aider")
    assert (node(plan, "s.skilled").tool, node(plan, "s.plain").tool) == ("auto", "aider")
