"""Any file of ours: its kind is told by its keys, and all problems are found without git or network."""

import gc
from pathlib import Path

import pytest

from cli_multi_rapid.schema.names import node_status
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.validation import (
    DocumentKind,
    Surroundings,
    kind_of,
    validate_document,
    validate_file,
)
from tests.core.schema_reading import EXAMPLES, document


@pytest.mark.parametrize(
    ("name", "kind", "valid"),
    [
        ("oauth2_plan_long.json", DocumentKind.PLAN, True),
        ("oauth2_plan_short.json", DocumentKind.PLAN, False),
        ("multi_stream.yaml", DocumentKind.STREAMS, True),
        ("phase_definitions.yaml", DocumentKind.PHASES, True),
        ("tools.yaml", DocumentKind.TOOLS, True),
    ],
)
def test_the_files_that_users_have_are_recognised(name: str, kind: DocumentKind, valid: bool) -> None:
    problems = Problems()
    assert validate_file(EXAMPLES / name, problems) is kind
    assert (problems.error_count == 0) is valid


def test_a_configuration_is_recognised_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.yaml"
    path.write_text("workers: 0\n")
    problems = Problems()
    assert validate_file(path, problems) is DocumentKind.CONFIG
    assert [p.code for p in problems] == [Code.BAD_VALUE]


def test_a_file_that_is_nothing_of_ours_is_told_what_a_plan_needs(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("nodez: []\n")
    problems = Problems()
    assert validate_file(path, problems) is None
    (problem,) = problems
    assert (problem.code, problem.suggestion) == (Code.UNKNOWN_KIND, "did you mean `nodes`?")
    path.write_text("qqq: 1\n")
    other = Problems()
    assert kind_of(document("qqq: 1"), other) is None
    assert "nodes:" in next(iter(other)).suggestion


def test_a_missing_file_is_one_problem(tmp_path: Path) -> None:
    problems = Problems()
    assert validate_file(tmp_path / "none.yaml", problems) is None
    assert [p.code for p in problems] == [Code.UNREADABLE]


def test_problems_of_the_text_are_told_once_also_for_streams(tmp_path: Path) -> None:
    path = tmp_path / "multi_stream.yaml"
    path.write_text(
        "name: a\nname: b\nstreams: [{id: a, owner: claude, scope: [x], phases: []}]\n"
        "execution_order: [{parallel: [a]}]\n"
    )
    problems = Problems()
    assert validate_file(path, problems) is DocumentKind.STREAMS
    assert [p.code for p in problems] == [Code.DUPLICATE_KEY]


def test_what_surrounds_a_document_decides(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "merge_policy: {checklist: [style]}\nparams: {}\n"
        "nodes: [{id: a, tool: special, goal: 'use ${params.x}', path_claims: [a]}]\n"
    )
    around = Surroundings(known_tools=("special",), known_checks=("style",), params={"x": "1"})
    good, bad = Problems(), Problems()
    validate_file(path, good, around)
    assert len(good) == 0
    validate_file(path, bad, Surroundings(known_tools=("claude",)))
    assert {p.code for p in bad} == {Code.UNKNOWN_TOOL, Code.UNKNOWN_CHECK, Code.UNKNOWN_PARAM}


def test_streams_may_be_serialised(tmp_path: Path) -> None:
    path = tmp_path / "multi_stream.yaml"
    path.write_text(
        "streams:\n- {id: a, owner: claude, scope: [x], phases: []}\n"
        "- {id: b, owner: claude, scope: [x], phases: []}\n"
        "execution_order: [{parallel: [a, b]}]\n"
    )
    problems, serialised = Problems(), Problems()
    validate_file(path, problems)
    assert [p.severity for p in problems] == [Severity.ERROR]
    validate_file(path, serialised, Surroundings(serialize_overlaps=True))
    assert [p.severity for p in serialised] == [Severity.NOTICE]


@pytest.mark.parametrize(
    ("old", "new"), [("Success", "completed"), ("in_progress", "running"), ("failed", "failed")]
)
def test_statuses_in_old_words_are_read(old: str, new: str) -> None:
    assert node_status(old) == new


def test_streams_that_are_read_already_are_checked_without_their_phases() -> None:
    read = document("streams: [{id: a, scope: [x], phases: [p]}]\nexecution_order: []")
    problems = Problems()
    validate_document(read, DocumentKind.STREAMS, problems, Surroundings())
    assert [p.code for p in problems] == [Code.STREAM_NOT_ORDERED]


def test_reading_leaves_the_garbage_collector_as_it_was() -> None:
    assert gc.isenabled()
    document("a: 1")
    assert gc.isenabled()
    gc.disable()
    try:
        document("a: 1")
        assert not gc.isenabled()
    finally:
        gc.enable()
