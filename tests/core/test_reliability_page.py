"""docs/reliability.md is in step with the words and the rows that it is made of."""

import re
from pathlib import Path

from msgspec.structs import replace

from tests.faults.page import PAGE, again, read_page, render
from tests.faults.rows import Part, Results, Row

FOLDER = Path(__file__).parents[1] / "faults"
ODD = Row(
    part=Part.TEXT,
    fault="a | in\na name",
    seen="shown as \\x1b",
    naive="| ran",
    cases=3,
    kept=False,
    test="test_text[pipe]",
    seconds=0.4,
)
SESSION = Results(rows=(ODD,), day="2026-11-28", seconds=61, whole=True)


def test_the_page_has_the_words_of_the_promises_and_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert render(read_page(page)) == page, "type: python -m tests.faults.page"


def test_every_line_of_the_page_can_be_repeated() -> None:
    there = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("test_*.py"))
    for row in read_page(PAGE.read_text(encoding="utf-8")).rows:
        assert re.search(rf"^def {row.test.partition('[')[0]}\(", there, re.MULTILINE), row


def test_a_row_is_read_back_from_the_page_as_it_was_told() -> None:
    (row,) = read_page(render(SESSION)).rows
    assert (row.fault, row.seen, row.naive) == ("a | in a name", ODD.seen, ODD.naive)
    assert (row.part, row.cases, row.kept, row.test, row.seconds) == (Part.TEXT, 3, False, ODD.test, 0.4)


def test_what_could_not_be_tried_is_named_and_read_back() -> None:
    session = replace(SESSION, skipped=("test_a", "test_b[1]"))
    page = render(session)
    assert "Could not be tried on that machine: test_a, test_b[1]\n" in page
    assert read_page(page).skipped == session.skipped
    assert read_page(render(SESSION)).skipped == ()


def test_a_page_of_the_short_form_says_so() -> None:
    page = render(replace(SESSION, short=True))
    assert "Made on 2026-11-28, in the short form: 1 lines in 61 s." in page
    assert (read_page(page).short, read_page(render(SESSION)).short) == (True, False)


def test_a_promise_that_was_not_kept_is_named_with_its_reason() -> None:
    page = render(SESSION)
    assert "| **Not kept.** shown as" in page
    assert "- a | in a name: shown as" in page.partition("## What could not be kept")[2]


def test_every_part_has_its_section() -> None:
    page = render(SESSION)
    assert [part for part in Part if f"<!-- table: {part} -->" in page] == list(Part)


def test_a_form_without_a_plain_name_is_repeated_with_all_forms() -> None:
    assert again("test_a[x-1]") == "make faults ARGS='-k test_a[x-1]'"
    assert again("test_a[a b'c]") == "make faults ARGS='-k test_a'"
