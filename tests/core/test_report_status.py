"""The status of a run and the list of runs, as text and as JSON."""

import json
import re
from datetime import timedelta

import pytest

from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.core.node_events import NodeCancelled
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.run_events import RunPaused
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.run_list import run_list, run_list_text
from cli_multi_rapid.reports.status import status_document, status_text
from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.histories import History
from tests.fakes.run_stories import STORIES, wide


def shown(history: History, *, alive: bool = True, width: int = 110) -> str:
    return status_text(history.state, history.events, now=history.now, alive=alive, width=width)


@pytest.mark.parametrize("story", STORIES)
def test_every_status_holds_to_its_published_schema(story: str) -> None:
    history = STORIES[story]()
    document = status_document(history.state, history.events, now=history.now)
    assert schema_violations(json.loads(json.dumps(document)), "status") == []


@pytest.mark.parametrize("story", STORIES)
def test_every_status_has_a_line_for_each_node_and_says_what_is_next(story: str) -> None:
    history = STORIES[story]()
    text = shown(history)
    for node in history.plan.nodes:
        assert any(f" {node.id} " in line for line in text.splitlines())
    assert "\nnext: " in text
    assert "budget: " in text


def test_a_refused_node_shows_its_reason_and_the_command_stands_alone() -> None:
    lines = shown(STORIES["failed_check"]()).splitlines()
    assert any("! n2" in line and "completed FAILED" in line and "tests failed" in line for line in lines)
    assert "        cli-orchestrator retry r1003-oauth2 n2" in lines


def test_a_run_whose_process_died_is_not_called_running() -> None:
    assert "RUNNING (but no process has it in hand)" in shown(STORIES["running"](), alive=False)


def test_a_paused_run_says_so() -> None:
    history = STORIES["running"]()
    history.add(RunPaused(reason="lunch"))
    assert "RUNNING (paused)" in shown(history)


def test_no_escape_sequence_of_a_tool_reaches_the_terminal() -> None:
    history = STORIES["running"]().fail("n2", "\x1b[2Jgone\x07\r\nsecond\x00 line")
    text = shown(history)
    assert "gone second line" in text
    assert not set(text) & {"\x1b", "\x07", "\r", "\x00"}


def test_lines_fit_the_terminal() -> None:
    history = STORIES["running"]().fail("n2", "long " * 100)
    nodes = [line for line in shown(history, width=60).splitlines() if " n2 " in line and "failed" in line]
    assert len(nodes[0]) <= 60


def test_of_a_large_run_what_needs_somebody_is_shown_first() -> None:
    history = wide(200).start("w150").fail("w150")
    history.add(NodeCancelled(node_id=NodeId("w3"), reason="not needed"))
    lines = shown(history).splitlines()
    first = next(line for line in lines if line.startswith("  !"))
    assert " w150 " in first
    assert "  and 140 more nodes: cli-orchestrator status r1003-oauth2 --all" in lines


def test_counts_name_only_what_occurs() -> None:
    history = STORIES["failed_check"]()
    document = status_document(history.state, history.events, now=history.now)
    assert document["counts"] == {"completed": 3, "blocked": 1, "done": 2, "landed": 2}
    assert (document["exit_code"], document["last_seq"]) == (1, len(history.events))


def test_a_run_has_as_many_nodes_done_in_the_list_as_in_its_status() -> None:
    history = STORIES["failed_check"]()
    assert "  4 nodes, 2 done: 3 completed, 1 blocked, 2 landed" in shown(history).splitlines()
    (line,) = run_list([history.state])["runs"]
    assert (line["done"], line["completed"]) == (2, 3)
    assert " 2/4 " in run_list_text([line], now=history.now)


def test_what_was_under_check_when_its_process_ended_waits_again() -> None:
    history = STORIES["running"]()
    state = history.state
    state.nodes[NodeId("n1")].merge_status = MergeStatus.CHECKING
    document = [
        status_document(state, history.events, now=history.now, alive=alive, checking=checking)
        for alive, checking in ((True, None), (False, True), (False, None))
    ]
    assert [each["nodes"][0]["merge_status"] for each in document] == ["CHECKING", "CHECKING", "QUEUED"]


def test_runs_are_listed_newest_first() -> None:
    older, newer = STORIES["success"](), STORIES["failed_check"]()
    states = [older.state, RunState(RunId("empty"))]
    shifted = History(newer.plan, run=RunId("r1004"), start=older.now + timedelta(hours=1)).begin()
    runs = run_list([*states, shifted.state])["runs"]
    assert [run["run_id"] for run in runs] == ["r1004", "r1003-oauth2", "empty"]
    assert (runs[1]["landed"], runs[1]["completed"], runs[1]["used_usd"]) == (3, 4, 0.52)
    text = run_list_text(runs, now=shifted.now + timedelta(minutes=5))
    assert [line.split()[0] for line in text.splitlines()] == ["run", "r1004", "r1003-oauth2", "empty"]
    assert "5 min 00 s ago" in text


def test_a_run_that_began_on_the_second_is_older_than_one_of_a_moment_later() -> None:
    """As texts, `…:05Z` comes after `…:05.400Z`."""
    story = STORIES["success"]()
    second = story.now.replace(microsecond=0)
    begun = [
        History(story.plan, run=RunId(name), start=second + timedelta(milliseconds=after)).begin().state
        for name, after in (("on-the-second", 0), ("later", 400))
    ]
    assert [run["run_id"] for run in run_list(begun)["runs"]] == ["later", "on-the-second"]


def test_no_runs_is_a_sentence() -> None:
    assert run_list_text([], now=STORIES["running"]().now) == "no runs yet\n"


def test_a_screen_has_five_steps_and_says_where_the_others_are() -> None:
    history = wide(30)
    for number in range(1, 9):
        history.start(f"w{number}").fail(f"w{number}")
    history.finish(RunStatus.FAILED, 1)
    text = shown(history)
    everything = status_text(history.state, history.events, now=history.now, everything=True)
    assert text.count("        cli-orchestrator ") == 5
    assert re.search(r"^      and \S.* more: cli-orchestrator status r1003-oauth2 --all$", text, re.MULTILINE)
    assert everything.count("        cli-orchestrator retry ") == 8
    assert " more: " not in everything
