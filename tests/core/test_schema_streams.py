"""Streams and phases: the files that users edit, and what is said when they do not fit together."""

import pytest

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import Actions, Argv, MakeDirs, WriteFile
from cli_multi_rapid.schema.phases import parse_phases
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.stream_model import GroupKind
from cli_multi_rapid.schema.stream_rules import phase_graph
from cli_multi_rapid.schema.streams import load_streams, parse_streams
from tests.core.schema_reading import (
    EXAMPLES,
    STREAMS,
    TOOLS,
    document,
    example,
    good_streams,
    phases_of,
    streams_of,
)

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
    text = STREAMS.replace("{id: b,", "{id: b, depends_on: [a], priority: high,").replace(
        "sequential: [c]", "sequential: []\n  - sequential: [c]"
    )
    streams = good_streams(text)
    assert streams.waits_for() == {"a": (), "b": ("a",), "c": ("a", "b")}
    assert streams.by_id["b"].priority == 0
    one_by_one = good_streams(STREAMS.replace("parallel", "sequential"))
    assert one_by_one.waits_for() == {"a": (), "b": ("a",), "c": ("a", "b")}


def test_phases_wait_for_their_predecessor_their_deps_and_earlier_streams() -> None:
    text = STREAMS.replace("phases: []", "phases: [p4]").replace(
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
        STREAMS.replace("[p3]", "[]")
        .replace("parallel: [a, b]", "sequential: [a, b]")
        .replace("phases: []}\nex", "phases: [p4]}\nex")
    )
    assert phase_graph(good_streams(text), {})[NodeId("c.p4")] == ["a.p2"]


def test_the_head_of_a_plan_may_stand_in_a_streams_file() -> None:
    head = good_streams(
        "global_budget_usd: 9\nbranch_base: dev\nmerge_policy: {checklist: []}\n" + STREAMS
    ).head
    assert (head.budget, head.branch_base, head.merge_policy.checklist) == (parse_usd(9), "dev", ())


def test_an_owner_that_is_a_person_names_no_tool() -> None:
    problems = Problems()
    streams = parse_streams(document(STREAMS.replace("Claude", "Ada Lovelace")), problems)
    assert streams is not None
    assert streams.streams[0].tool is None
    assert streams.streams[0].owner == "Ada Lovelace"
    named = parse_streams(
        document(STREAMS.replace("Claude", "Ada, tool: aider")), problems, known_tools=TOOLS
    )
    assert named is not None
    assert named.streams[0].tool == "aider"


BAD_STREAMS = {
    "unknown stream": (STREAMS.replace("[a, b]", "[a, bb]"), Code.UNKNOWN_STREAM, 6, "`bb`", "`b`"),
    "unknown stream, nothing close": (
        STREAMS.replace("[c]", "[zz]"),
        Code.UNKNOWN_STREAM,
        7,
        "`zz`",
        "streams are: a",
    ),
    "stream in two groups": (
        STREAMS.replace("[c]", "[c, a]"),
        Code.STREAM_TWICE,
        7,
        "on line 6",
        "keep one",
    ),
    "stream in no group": (
        STREAMS.replace("[c]", "[]"),
        Code.STREAM_NOT_ORDERED,
        4,
        "`c`",
        "sequential: [c]",
    ),
    "duplicate stream": (
        STREAMS.replace("id: b", "id: a"),
        Code.DUPLICATE_ID,
        3,
        "second stream",
        "own",
    ),
    "unknown group": (
        STREAMS.replace("parallel", "paralel"),
        Code.UNKNOWN_KEY,
        6,
        "`paralel`",
        "`parallel`",
    ),
    "group as a list": (
        STREAMS.replace("parallel: [a, b]", "[a, b]"),
        Code.WRONG_TYPE,
        6,
        "a mapping",
        "- parallel",
    ),
    "two kinds of group": (
        STREAMS.replace("parallel: [a, b]", "{parallel: [a], sequential: [b]}"),
        Code.BAD_VALUE,
        6,
        "has one key",
        "- sequential",
    ),
    "no order": (
        STREAMS[: STREAMS.index("exec")],
        Code.MISSING_KEY,
        1,
        "no `execution_order`",
        "parallel",
    ),
    "no streams": ("execution_order: []\n", Code.MISSING_KEY, 1, "no `streams`", "scope"),
    "no scope": (
        STREAMS.replace("scope: {paths: [docs/**]}, ", ""),
        Code.MISSING_KEY,
        3,
        "no `scope`",
        "paths",
    ),
    "no paths": (
        STREAMS.replace("{paths: [docs/**]}", "{}"),
        Code.MISSING_KEY,
        3,
        "no `paths`",
        "docs",
    ),
    "scope as a text": (
        STREAMS.replace("{paths: [docs/**]}", "docs"),
        Code.WRONG_TYPE,
        3,
        "a mapping",
        "paths",
    ),
    "bad scope": (STREAMS.replace("docs/**", "../docs"), Code.BAD_GLOB, 3, "`..`", "root"),
    "no phases": (STREAMS.replace(", phases: [p3]", ""), Code.MISSING_KEY, 3, "no `phases`", "phase1"),
    "stream as a text": (
        STREAMS.replace("streams:\n", "streams:\n  - x\n"),
        Code.WRONG_TYPE,
        2,
        "a mapping",
        "id",
    ),
    "no id": (STREAMS.replace("id: b, ", ""), Code.MISSING_KEY, 3, "no `id`", "stream-2"),
    "bad id": (STREAMS.replace("{id: b, ", "{id: b/b, "), Code.BAD_ID, 3, "a stream id", "short"),
    "unknown owner": (STREAMS.replace("Codex", "Codx"), Code.UNKNOWN_TOOL, 3, "`Codx`", "`codex`"),
    "unknown tool": (
        STREAMS.replace("owner: Codex", "tool: zz"),
        Code.UNKNOWN_TOOL,
        3,
        "`zz`",
        "tools are",
    ),
    "depends on nothing": (
        STREAMS.replace("{id: b,", "{id: b, depends_on: [aa],"),
        Code.UNKNOWN_STREAM,
        3,
        "`b` depends on `aa`",
        "`a`",
    ),
    "depends on itself": (
        STREAMS.replace("{id: b,", "{id: b, depends_on: [b],"),
        Code.SELF_DEP,
        3,
        "itself",
        "remove",
    ),
    "depends on a later group": (
        STREAMS.replace("{id: a,", "{id: a, depends_on: [c],"),
        Code.CYCLE,
        2,
        "a → c → a",
        "execution_order",
    ),
    "scopes overlap": (
        STREAMS.replace("docs/**", "src/api/*.py"),
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
    _, problems = streams_of(STREAMS.replace("{id: a,", "{id: a, depends_on: [c],"))
    assert problems[0].notes == (
        "a waits for c (depends_on, line 2)",
        "c waits for a (execution_order places it later)",
    )


def test_overlapping_scopes_are_only_a_notice_when_they_shall_be_serialised() -> None:
    found, problems = streams_of(STREAMS.replace("docs/**", "src/api/*.py"), serialize=True)
    assert found is not None
    assert [p.severity for p in problems] == [Severity.NOTICE]
    assert "one after the other" in problems[0].message


def test_scopes_of_streams_that_wait_for_each_other_may_overlap() -> None:
    text = STREAMS.replace("docs/**", "src/**")
    assert streams_of(text.replace("parallel", "sequential"))[0] is not None
    assert streams_of(text.replace("{id: b,", "{id: b, depends_on: [a],"))[0] is not None
