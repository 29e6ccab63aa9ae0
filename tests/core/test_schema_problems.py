"""What a person and a script see of problems."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.schema.document import read_document
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.plan_draft import parse_draft
from cli_multi_rapid.schema.problems import Code, InvalidInput, Problems, Severity
from cli_multi_rapid.schema.published import schema_violations
from cli_multi_rapid.schema.source import Place, Source


def place(text: str, at: str, name: str = "plan.yaml") -> Place:
    return Place(source=Source(name=name, text=text), offset=text.index(at))


def test_a_problem_shows_place_code_message_frame_notes_and_help() -> None:
    problems = Problems()
    problems.report(
        Code.UNKNOWN_DEP,
        place("nodes:\n  - deps: [n1, n2x]\n", "n2x"),
        "there is no node `n2x`",
        suggestion="did you mean `n2`?",
        notes=["n2 is on line 9"],
    )
    assert problems.to_text() == (
        "plan.yaml:2:16: error[E202]: there is no node `n2x`\n"
        " 2 |   - deps: [n1, n2x]\n"
        "   |                ^^^\n"
        "  = note: n2 is on line 9\n"
        "  = help: did you mean `n2`?"
    )


def test_problems_come_in_the_order_of_files_and_places() -> None:
    problems = Problems()
    for name, at in (("b.yaml", "x"), ("a.yaml", "z"), ("a.yaml", "y")):
        problems.report(Code.SYNTAX, place("x\ny\nz", at, name), f"{name} {at}")
    assert [p.message for p in problems] == ["a.yaml y", "a.yaml z", "b.yaml x"]


def test_the_same_problem_is_told_once() -> None:
    problems = Problems()
    for _ in range(2):
        problems.report(Code.SYNTAX, place("x", "x"), "m")
    assert len(problems) == problems.error_count == 1


def test_only_errors_refuse_a_document() -> None:
    problems = Problems()
    problems.report(Code.OVERLAP, place("x", "x"), "m", severity=Severity.NOTICE)
    problems.report(Code.OVERLAP, place("x", "x"), "n", severity=Severity.WARNING)
    problems.raise_errors()
    assert problems.to_data()["valid"] is True
    problems.report_file(Code.EMPTY, "x.yaml", "is empty")
    with pytest.raises(UserError, match="1 problem in the input") as caught:
        problems.raise_errors()
    assert "x.yaml: error[E004]: is empty" in caught.value.message
    problems.report_file(Code.EMPTY, "y.yaml", "is empty")
    with pytest.raises(UserError, match="2 problems"):
        problems.raise_errors()


def test_the_json_form_holds_the_published_schema() -> None:
    problems = Problems()
    problems.report(Code.CYCLE, place("a: b", "b"), "m", notes=["n"], suggestion="s")
    problems.report_file(Code.EMPTY, "x.yaml", "is empty")
    assert schema_violations(problems.to_data(), "problems") == []


def test_codes_are_distinct() -> None:
    assert len({code.code for code in Code}) == len({code.title for code in Code}) == len(Code)


def test_a_frame_keeps_columns_and_never_acts_on_the_terminal() -> None:
    frame = place("\tkey:\x1b[31m value", "value").source.frame(len("\tkey:\x1b[31m "))
    assert frame == " 1 |  key:�[31m value\n   |            ^^^^^"


def test_the_reading_ends_where_nobody_reads_on() -> None:
    """Each of a million errors costs a search for what was meant: minutes, and a message of gigabytes."""
    nodes = ", ".join(f"k{number}: 1" for number in range(10_000))
    document = read_document(f"nodes: [{{{nodes}}}]", "plan.yaml", problems := Problems())
    assert document is not None
    with pytest.raises(InvalidInput, match="more than 2500 problems in the input") as caught:
        parse_plan(document, problems)
    assert len(caught.value.problems) < 2600
    answer = f'{{"nodes": [{{{nodes.replace("k", chr(34) + "k").replace(":", chr(34) + ":")}}}]}}'
    answered = Problems()
    assert parse_draft(answer, "answer", answered, tools=("claude",), default_base="main") is None
    assert len(answered) < 2600


def test_a_long_name_is_not_repeated_in_full() -> None:
    plan = f"{{nodes: [{{id: a, tool: shell, run: x}}], merge_policy: {{checklist: [{'x' * 100_000}]}}}}"
    document = read_document(plan, "plan.yaml", problems := Problems())
    assert document is not None
    parse_plan(document, problems)
    assert len(problems.to_text()) < 2000


def test_a_frame_of_a_very_long_line_shows_the_part_that_matters() -> None:
    text = "[" + ", ".join(f"item{i}" for i in range(10_000)) + "]"
    shown, carets = Source(name="x", text=text).frame(text.index("item5000")).splitlines()
    assert len(shown) < 120
    assert shown[carets.index("^") :].startswith("item5000")
    first = Source(name="x", text=text).frame(1).splitlines()[0]
    assert first.startswith(" 1 | [item0")
    assert first.endswith("…")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_editors_count_them(end: str) -> None:
    text = f"a{end}b{end}{end}c"
    found = Place(source=Source(name="x", text=text), offset=text.index("c"))
    assert (found.line, found.column) == (4, 1)
    assert str(found) == "x:4:1"


def test_a_place_at_the_very_end_has_a_frame() -> None:
    assert Source(name="x", text="a\n").frame(2) == " 2 | \n   | ^"
    assert Source(name="x", text="").frame(0) == " 1 | \n   | ^"


def test_every_code_is_explained_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "problems.md").read_text(encoding="utf-8")
    for code in Code:
        assert f"| {code.code} | {code.title} |" in page
