"""Events as lines, a run at an earlier point, what was spent, and the queue as a listing."""

import csv
import io
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.events import Unknown
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Branch, EntryId, NodeId, RunId
from cli_multi_rapid.core.money import ZERO
from cli_multi_rapid.core.node_state import MergeStatus, NodeStatus
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.reports.cost import (
    CostBy,
    cost_csv,
    cost_document,
    cost_text,
    ledger_line,
    ledger_rows,
)
from cli_multi_rapid.reports.events_text import describe, event_document, event_line, event_lines
from cli_multi_rapid.reports.queue_text import QueueRow, queue_document, queue_text
from cli_multi_rapid.reports.replay import diff_runs, diff_text, prefix, state_at
from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.run_stories import STORIES
from tests.fakes.sample_plans import RUN, START

# --- events -------------------------------------------------------------------------------------------------


def test_an_event_without_a_line_of_its_own_shows_its_fields() -> None:
    class NodeCloned(Payload, frozen=True, kw_only=True):
        type = "node.cloned"

    class Cloned(NodeCloned, frozen=True, kw_only=True):
        node_id: str

    assert describe(Cloned(node_id="n1")) == "node_id=n1"


@pytest.mark.parametrize("story", STORIES)
def test_every_event_is_one_line_and_holds_to_its_schema(story: str) -> None:
    for event in STORIES[story]().events:
        line = event_line(event)
        assert event.type in line
        assert "\n" not in line
        assert len(describe(event.data)) > 0
        assert schema_violations(json.loads(json.dumps(event_document(event))), "event") == []


def test_a_line_has_the_time_the_place_the_type_and_the_facts() -> None:
    events = STORIES["success"]().events
    assert event_line(events[4]) == (
        "14:05:30.208Z     5  node.started           n1 try 1 with aider: named in the plan"
    )


def test_the_date_is_written_where_it_changes() -> None:
    history = STORIES["running"]()
    history.wait(minutes=24 * 60).succeed("n2")
    days = [line for line in event_lines(history.events).splitlines() if line.startswith("-- ")]
    assert days == ["-- 2025-10-03", "-- 2025-10-04"]


def test_an_event_of_a_later_release_is_shown_with_its_fields() -> None:
    payload = Unknown(name="node.cloned", of_version=3, data={"node_id": "n1", "note": "\x1b[1mhi"})
    assert describe(payload) == "of a later release (version 3): node_id=n1, note=hi"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (CommandGiven(command="pause", by="ada"), "pause by ada"),
        (
            CommandGiven(command="retry", by="ada", node_id=NodeId("n1"), with_dependents=True, text="again"),
            "retry n1 with dependents by ada: again",
        ),
        (CommandGiven(command="budget", by="ada", amount=ZERO), "budget $0.00 by ada"),
        (CommandGiven(command="withdraw", by="ada", entry_id=EntryId("e1")), "withdraw e1 by ada"),
    ],
)
def test_commands_of_people_are_told(command: CommandGiven, expected: str) -> None:
    assert describe(command) == expected


# --- replay -------------------------------------------------------------------------------------------------


def test_a_run_can_be_seen_as_it_was() -> None:
    history = STORIES["success"]()
    early = state_at(RUN, history.events, to_seq=6)
    assert (early.seq, early.nodes[NodeId("n1")].status) == (6, NodeStatus.RUNNING)
    minute = state_at(RUN, history.events, at=START + timedelta(minutes=1))
    assert minute.nodes[NodeId("n1")].status is NodeStatus.RUNNING
    assert state_at(RUN, history.events).seq == len(history.events)


@given(st.sampled_from(sorted(STORIES)), st.integers(0, 60), st.integers(0, 60))
def test_prefix_and_rest_are_the_whole(story: str, first: int, second: int) -> None:
    history = STORIES[story]()
    early, late = sorted((first, second))
    at_once = state_at(RUN, history.events, to_seq=late)
    in_steps = state_at(RUN, history.events, to_seq=early)
    for event in history.events[early:late]:
        in_steps.apply(event)
    assert diff_runs(at_once, in_steps)["changes"] == []


def test_a_diff_names_what_changed_and_nothing_else() -> None:
    history = STORIES["success"]()
    diff = diff_runs(state_at(RUN, history.events, to_seq=6), state_at(RUN, history.events, to_seq=8))
    changes = {
        (change["subject"], change["what"]): (change["before"], change["after"]) for change in diff["changes"]
    }
    assert changes.pop(("n1", "head"))[0] == ""
    assert changes == {
        ("run", "spent"): ("$0.00", "$0.247"),
        ("run", "reserved"): ("$4.00", "$0.00"),
        ("n1", "status"): ("running", "completed"),
    }
    assert "n1: status running -> completed" in diff_text(diff)


def test_from_nothing_every_node_is_new() -> None:
    history = STORIES["running"]()
    diff = diff_runs(state_at(RUN, history.events, to_seq=0), history.state)
    assert {"subject": "n1", "what": "status", "before": None, "after": "completed"} in diff["changes"]
    assert (diff["from_time"], diff["from_seq"]) == (None, 0)


def test_no_change_is_said() -> None:
    state = STORIES["running"]().state
    assert "nothing changed" in diff_text(diff_runs(state, state))


def test_a_prefix_without_bounds_is_everything() -> None:
    events = STORIES["running"]().events
    assert prefix(events) == events


# --- cost ---------------------------------------------------------------------------------------------------


def test_sums_are_exact_and_the_dearest_comes_first() -> None:
    rows = ledger_rows(STORIES["success"]().events)
    document = cost_document(rows, CostBy.TOOL)
    assert document["total_usd"] == 0.52
    assert [(group["key"], group["amount_usd"], group["attempts"]) for group in document["groups"]] == [
        ("aider", 0.436, 2),
        ("cursor", 0.084, 1),
        ("claude", 0.0, 1),
    ]


@pytest.mark.parametrize("by", CostBy)
def test_every_grouping_adds_up_to_the_same_total(by: CostBy) -> None:
    events = [event for story in STORIES.values() for event in story().events]
    rows = ledger_rows(events)
    document = cost_document(rows, by)
    assert sum(group["amount_usd"] for group in document["groups"]) == pytest.approx(document["total_usd"])
    assert sum(group["attempts"] for group in document["groups"]) == len(rows)
    assert cost_text(rows, by).splitlines()[-1].startswith("total")


def test_nodes_of_several_runs_are_told_apart() -> None:
    first = ledger_rows(STORIES["success"]().events)[0]
    document = cost_document([first, replace(first, run=RunId("r9"))], CostBy.NODE)
    assert [group["key"] for group in document["groups"]] == ["r1003-oauth2/n1", "r9/n1"]


def test_days_come_in_their_order() -> None:
    first = ledger_rows(STORIES["success"]().events)[0]
    rows = [replace(first, at=START + timedelta(days=days)) for days in (2, 0, 1)]
    keys = [group["key"] for group in cost_document(rows, CostBy.DAY)["groups"]]
    assert keys == ["2025-10-03", "2025-10-04", "2025-10-05"]


def test_nothing_spent_is_a_sentence() -> None:
    assert cost_text([], CostBy.TOOL) == "nothing was spent yet\n"
    assert cost_document([], CostBy.TOOL)["since"] is None


def test_the_ledger_file_has_the_old_keys_and_its_schema() -> None:
    line = ledger_line(ledger_rows(STORIES["success"]().events)[0])
    assert {"ts", "task_id", "tool", "action", "tokens", "amount"} <= set(line)
    assert (line["task_id"], line["amount"], line["tokens"]) == ("n1", 0.247, 8243)
    assert schema_violations(line, "ledger_line") == []


def test_the_ledger_as_csv_has_a_line_for_each_attempt() -> None:
    rows = ledger_rows(STORIES["retried"]().events)
    lines = list(csv.DictReader(io.StringIO(cost_csv(rows))))
    assert [line["tool"] for line in lines[:3]] == ["aider", "aider", "claude"]
    assert [line["attempt"] for line in lines[:3]] == ["1", "2", "3"]


# --- the queue ----------------------------------------------------------------------------------------------


def row(position: int | None, name: str, status: MergeStatus, **more: object) -> QueueRow:
    fields = {
        "position": position,
        "id": EntryId(name),
        "branch": Branch(f"lane/{name}"),
        "target": Branch("main"),
    }
    return QueueRow(**fields, status=status, **more)  # type: ignore[arg-type]  # fields by name


def test_the_queue_is_listed_in_line_with_what_each_waits_for_and_what_to_type() -> None:
    rows = [
        row(2, "b", MergeStatus.QUEUED, waits_for=("a",), since=START),
        row(
            1,
            "a",
            MergeStatus.BLOCKED,
            reason="README.md\x1b[1m has edits",
            next_command="git merge --ff-only 1",
        ),
        row(None, "z", MergeStatus.MERGED, since=START),
    ]
    text = queue_text(rows, now=START + timedelta(seconds=90), halted="main fails tests")
    assert text.splitlines() == [
        "HALTED: main fails tests",
        "  1. ? lane/a -> main  BLOCKED    p1               README.md has edits",
        "       type: git merge --ff-only 1",
        "  2. * lane/b -> main  QUEUED     p1   1 min 30 s  waits for a",
        "",
        "done:",
        "     + lane/z -> main  MERGED     p1   1 min 30 s ago",
    ]
    document = queue_document(rows, halted="main fails tests")
    assert [line["id"] for line in document["queue"]] == ["a", "b"]
    assert [line["id"] for line in document["processing_history"]] == ["z"]
    assert document["queue"][0]["next_command"] == "git merge --ff-only 1"


def test_an_empty_queue_is_a_sentence() -> None:
    assert queue_text([], now=START) == "the queue is empty\n"
