"""The report as HTML, Markdown, JUnit and CSV, and its timeline: right, complete, and safe with any text."""

import csv
import io
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.reports.csv import COLUMNS
from cli_multi_rapid.reports.document import RunReport
from cli_multi_rapid.reports.formats import ReportFormat, write_report
from cli_multi_rapid.reports.markdown import code, code_block
from cli_multi_rapid.reports.run_report import run_report
from cli_multi_rapid.reports.safe_text import cell, markup, one_line, printable
from cli_multi_rapid.reports.time_scale import scale_of
from cli_multi_rapid.reports.timeline import timeline_svg
from cli_multi_rapid.reports.times import from_iso, iso, span
from tests.fakes.histories import History
from tests.fakes.run_stories import STORIES, begun
from tests.fakes.sample_plans import START, oauth_plan

HOSTILE = "<script>alert(1)</script>\" onload='x' \x1b[31mred\x00 & ]]> | `tick` \ud800 \u202eevil\nnext"
VOID = {"meta", "br"}


class Balance(HTMLParser):
    """Reads a page and notes tags that are not closed in order, and what would load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        names = {name for name, _ in attrs}
        if tag in {"script", "link", "iframe", "img", "object"} or names & {"src", "href", "onload"}:
            self.bad.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.bad.append(f"/{tag}")


def reported(history: History) -> RunReport:
    return run_report(
        history.state, history.events, now=history.now, artifacts=["artifacts/plans/oauth2.json"]
    )


def hostile() -> RunReport:
    """A failed run in which every text that people or tools write is an attack."""
    plan = oauth_plan()
    nodes: tuple[Node, ...] = tuple(replace(node, label=HOSTILE) for node in plan.nodes)
    history = History(replace(plan, name=HOSTILE, nodes=nodes)).begin().start("n1")
    history.succeed("n1", summary=HOSTILE).enqueue("n1").candidate("n1")
    history.check("tests", "n1", verdict=Verdict.FAILED, evidence=HOSTILE)
    history.eject("n1", "tests", reason=HOSTILE, evidence=HOSTILE)
    return reported(history)


@pytest.mark.parametrize("story", [*STORIES, "hostile"])
@pytest.mark.parametrize("report_format", ReportFormat)
def test_every_run_can_be_written_in_every_format(story: str, report_format: ReportFormat) -> None:
    report = hostile() if story == "hostile" else reported(STORIES[story]())
    text = write_report(report, report_format)
    assert text.endswith("\n")
    if report_format is not ReportFormat.JSON:
        assert not set(text) & {"\x1b", "\x00", "\u202e"}
        text.encode("utf-8")


# --- html ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", [*STORIES, "hostile"])
def test_the_page_is_well_formed_and_loads_nothing(story: str) -> None:
    page = write_report(hostile() if story == "hostile" else reported(STORIES[story]()), ReportFormat.HTML)
    reader = Balance()
    reader.feed(page)
    assert (reader.open, reader.bad) == ([], [])
    assert "url(http" not in page
    assert "<!doctype html>" in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme:dark" in page


def test_the_page_shows_the_graph_the_timeline_the_reason_and_the_command() -> None:
    page = write_report(reported(STORIES["failed_check"]()), ReportFormat.HTML)
    assert page.count("<svg") == 2
    assert "cli-orchestrator retry r1003-oauth2 n2" in page
    assert "test_expired_token" in page
    assert "lane/r1003-oauth2/n2" in page
    assert re.search(r"<details open>.*?<b>n2</b>", page)


def test_a_run_without_a_budget_has_no_meter() -> None:
    assert "<meter" not in write_report(reported(STORIES["parallel"]()), ReportFormat.HTML)


# --- markdown -----------------------------------------------------------------------------------------------


def test_the_summary_for_ci_names_what_did_not_get_there() -> None:
    text = write_report(reported(STORIES["conflict"]()), ReportFormat.MD)
    assert text.startswith("# OAuth2 Implementation: PARTIAL\n")
    assert "### n2: completed CONFLICTED" in text
    assert "Conflicting files: `src/app.py`, `README.md`" in text
    assert "```mermaid\nflowchart LR" in text
    assert "| tests | passed | n1 |" in text


def test_a_text_cannot_leave_its_table_cell_or_become_html() -> None:
    text = write_report(hostile(), ReportFormat.MD)
    rows = [line for line in text.splitlines() if line.startswith("| n1 ")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 9
    outside_code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "<script>" not in outside_code.replace("\\<script\\>", "")


@pytest.mark.parametrize("text", ["a`b", "``", "`", "plain", "a```b"])
def test_code_is_fenced_by_more_backticks_than_it_holds(text: str) -> None:
    fenced = code(text)
    fence = fenced[: len(fenced) - len(fenced.lstrip("`"))]
    assert fenced.endswith(fence)
    assert fence not in text
    assert code_block(f"x\n{text}").splitlines()[0].strip("`") == ""


# --- junit --------------------------------------------------------------------------------------------------


def cases(report: RunReport) -> dict[str, str]:
    """Each test case by its name, with its outcome."""
    root = ET.fromstring(write_report(report, ReportFormat.JUNIT))
    found = {}
    for case in root.iter("testcase"):
        outcome = [child.tag for child in case if child.tag != "system-out"]
        found[case.attrib["name"].partition(" (")[0]] = outcome[0] if outcome else "passed"
    return found


def test_nodes_and_checks_are_test_cases() -> None:
    assert cases(reported(STORIES["failed_check"]())) == {
        "n1: Implement OAuth2 Middleware": "passed",
        "n2: Add Comprehensive Tests": "failure",
        "n3: Update Documentation": "passed",
        "n4: Final Verification": "skipped",
        "lint on n1": "passed",
        "tests on n1": "passed",
        "lint on n2, n3": "passed",
        "tests on n2, n3": "failure",
        "tests on n2": "failure",
        "lint on n3": "passed",
        "tests on n3": "passed",
    }


@pytest.mark.parametrize("form", [ReportFormat.MD, ReportFormat.HTML, ReportFormat.JUNIT])
def test_a_reused_verdict_says_from_which_log_it_is(form: ReportFormat) -> None:
    report = reported(STORIES["success"]())
    (log,) = [check["log"] for check in report["checks"] if check["reused"]]
    assert re.search(rf"reused from `?{re.escape(log)}", write_report(report, form))


def test_the_counts_of_the_suite_are_those_of_its_cases() -> None:
    report = reported(STORIES["failed_check"]())
    suite = ET.fromstring(write_report(report, ReportFormat.JUNIT))[0].attrib
    assert (suite["tests"], suite["failures"], suite["errors"], suite["skipped"]) == ("11", "3", "0", "1")


def test_a_failed_trial_whose_members_all_landed_is_no_failure() -> None:
    history = begun().start("n2").wait(60).succeed("n2").start("n3").wait(60).succeed("n3")
    history.enqueue("n2", "n3").candidate("n2", "n3").check("tests", "n2", "n3", verdict=Verdict.FAILED)
    for name in ("n2", "n3"):
        history.candidate(name).check("tests", name).land(name)
    assert cases(reported(history))["tests on n2, n3"] == "skipped"


def test_a_check_that_could_not_be_carried_out_is_an_error_and_a_running_one_is_skipped() -> None:
    history = STORIES["running"]().succeed("n2").enqueue("n2").candidate("n2")
    history.check("tests", "n2", verdict=Verdict.TIMED_OUT).check("lint", "n2")
    history.events.pop()
    found = cases(reported(history))
    assert (found["tests on n2"], found["lint on n2"]) == ("error", "skipped")


# --- csv ----------------------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_node() -> None:
    lines = list(csv.DictReader(io.StringIO(write_report(reported(STORIES["success"]()), ReportFormat.CSV))))
    assert tuple(lines[0]) == COLUMNS
    assert [(line["node_id"], line["status"], line["lines_added"]) for line in lines] == [
        ("n1", "completed", "432"),
        ("n2", "completed", "390"),
        ("n3", "completed", "80"),
        ("n4", "completed", "0"),
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum"])
def test_a_spreadsheet_computes_nothing(text: str) -> None:
    assert cell(text) == f"'{text}"


# --- timeline and time --------------------------------------------------------------------------------------


def test_attempts_checks_and_landings_are_drawn() -> None:
    root = ET.fromstring(timeline_svg(reported(STORIES["failed_check"]())))
    hints = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "n1, try 1 with aider: succeeded done (14 min 00 s)" in hints
    assert "tests on n2: failed (30 s)" in hints
    assert any(hint.startswith("landed n3 as ") for hint in hints)


def test_the_hours_of_rest_are_cut_out_and_named() -> None:
    drawn = timeline_svg(reported(STORIES["crashed_and_resumed"]()))
    assert re.search(r">3 h 0\d min later<", drawn)


def test_nothing_to_draw_is_said() -> None:
    assert "Nothing ran yet" in timeline_svg(reported(History(oauth_plan()).begin()))


def test_an_axis_has_readable_ticks_in_order() -> None:
    end = START + timedelta(minutes=47)
    scale = scale_of([(START, end)], 100, 900)
    assert scale is not None
    ticks = list(scale.ticks())
    assert [seconds for _, seconds in ticks] == [0, 300, 600, 900, 1200, 1500, 1800, 2100, 2400, 2700]
    assert (scale.x(START), round(scale.x(end), 6)) == (100, 900)
    assert scale.x(START - timedelta(hours=1)) == 100


def test_an_instant_has_an_axis_too() -> None:
    scale = scale_of([(START, START)], 0, 100)
    assert scale is not None
    assert (scale.x(START), list(scale.ticks())) == (0, [(0.0, 0.0)])
    assert scale_of([], 0, 100) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"), (0.04, "0.0 s"), (1.26, "1.3 s"), (9.96, "10 s"), (59.6, "1 min 00 s"),
        (185, "3 min 05 s"), (7625, "2 h 07 min"), (273_600, "3 d 04 h"),
    ],
)  # fmt: skip
def test_lengths_of_time_are_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_moments_are_utc_and_can_be_read_back() -> None:
    moment = datetime(2025, 10, 3, 14, 5, 30, 250_000, tzinfo=UTC)
    assert iso(moment) == "2025-10-03T14:05:30.250Z"
    assert iso(START) == "2025-10-03T14:05:30Z"
    assert from_iso(iso(moment)) == moment


def test_text_is_made_harmless() -> None:
    assert printable("a\x1b]0;title\x07b\r\nc\x9b\ud800") == "ab\nc\ufffd"
    assert one_line("  a \n\t b  ") == "a b"
    assert one_line("abcdefghij", 8) == "abcde..."
    assert markup('<a href="x">\'&') == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;"
    assert NodeId("plain") == one_line("plain")
