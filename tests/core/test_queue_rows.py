"""The listing of a queue: whatever state an entry is in, it says what it waits for and what to type."""

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.ids import Branch, CheckId, EntryId, NodeId, RunId
from cli_multi_rapid.core.merge_events import (
    MergeApproved,
    MergeCancelled,
    MergeChecking,
    MergeConflicted,
    MergeFailed,
    MergeHalted,
    MergeHeld,
    MergeLanding,
)
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.reports.queue_estimate import Estimate
from cli_multi_rapid.reports.queue_rows import Look, queue_rows, row_of
from cli_multi_rapid.reports.queue_text import QueueRow, queue_document, queue_text
from tests.fakes.queue_world import QueueWorld
from tests.fakes.random_queues import add, add_random, queue_world, random_world
from tests.fakes.sample_plans import commit_id, tree_id

A = EntryId("a")
PROCESSOR = "pid 7 on host"


def look(queue: QueueWorld, processor: str | None = PROCESSOR) -> Look:
    return Look(now=queue.now, processor=processor)


def row_after(*facts: object, processor: str | None = PROCESSOR, asks: bool = False) -> QueueRow:
    """The row of an entry to which these things happened."""
    queue = queue_world()
    add(queue, "a", asks=asks)
    for fact in facts:
        queue.record(fact)  # type: ignore[arg-type]  # a test names real facts
    return row_of(queue.state, queue.state.entries[A], look(queue, processor))


CHECKING = MergeChecking(entries=(A,), tip=commit_id(), commit=commit_id("c"), tree=tree_id("c"))
LANDING = MergeLanding(
    entries=(A,), expected=commit_id(), commit=commit_id("c"), tree=tree_id("c"), markers=("m",)
)
HELD = MergeHeld(entries=(A,), commit=commit_id("c"), reason="a.txt is in the way", command="queue process")


@pytest.mark.parametrize(
    ("row", "status", "waits_for", "command", "asks"),
    [
        (row_after(), "QUEUED", ("its turn",), "queue why a", False),
        (
            row_after(processor=None),
            "QUEUED",
            ("a process to work on the queue",),
            "queue process --target main",
            True,
        ),
        (row_after(CHECKING), "CHECKING", ("check tests",), "queue why a", False),
        (
            row_after(CHECKING, processor=None),
            "QUEUED",
            ("a process to work on the queue",),
            "queue process --target main",
            True,
        ),
        (row_after(CHECKING, LANDING), "MERGING", ("its landing",), "queue why a", False),
        (row_after(HELD), "BLOCKED", ("you",), "queue process", True),
        (row_after(asks=True), "BLOCKED", ("your approval",), "queue approve a", True),
        (
            row_after(MergeApproved(entry_id=A, by="ada"), asks=True),
            "QUEUED",
            ("its turn",),
            "queue why a",
            False,
        ),
        (row_after(MergeHalted(reason="red")), "QUEUED", ("the halted queue",), "queue retry a", True),
        (row_after(MergeFailed(entry_id=A, reason="red")), "FAILED", (), "queue retry a", True),
        (
            row_after(MergeConflicted(entry_id=A, files=("f",), partner="b", reason="clash")),
            "CONFLICTED",
            (),
            "queue retry a",
            True,
        ),
        (row_after(MergeCancelled(entry_id=A, reason="no")), "CANCELLED", (), "queue retry a", True),
    ],
)
def test_each_status_says_what_it_waits_for_and_what_to_type(
    row: QueueRow, status: str, waits_for: tuple[str, ...], command: str, asks: bool
) -> None:
    assert (row.status, row.waits_for, row.asks) == (status, waits_for, asks)
    assert row.next_command is not None
    assert row.next_command.removeprefix("cli-orchestrator ") == command


def test_what_landed_needs_nothing_typed() -> None:
    queue = queue_world()
    add(queue, "a")
    queue.finish()
    (row,) = queue_rows(queue.state, look(queue))
    assert (row.status, row.asks) == (MergeStatus.MERGED, False)
    assert "queue why a" not in queue_text([row], now=queue.now)


def test_an_entry_that_was_queued_again_points_to_the_newer_one() -> None:
    queue = queue_world()
    add(queue, "a")
    again = replace(queue.state.entries[A].entry, id=EntryId("a.2"))
    queue.enqueue(again)
    queue.record(MergeCancelled(entry_id=A, reason="replaced by a.2"))
    row = row_of(queue.state, queue.state.entries[A], look(queue))
    assert (row.next_command, row.asks) == ("cli-orchestrator queue why a.2", False)


def test_what_a_run_queued_goes_on_with_the_run() -> None:
    queue = queue_world()
    add(queue, "a")
    entry = replace(queue.state.entries[A].entry, id=EntryId("b"), run_id=RunId("r1"), node_id=NodeId("n1"))
    queue.enqueue(entry)
    known = queue.state.entries[entry.id]
    assert row_of(queue.state, known, look(queue, None)).next_command == "cli-orchestrator resume r1"
    queue.record(MergeFailed(entry_id=entry.id, reason="red", check=CheckId("tests")))
    assert row_of(queue.state, known, look(queue)).next_command == "cli-orchestrator retry r1 n1"


@pytest.mark.parametrize("seed", range(12))
def test_in_the_lives_of_many_queues_no_row_is_without_a_command(seed: int) -> None:
    queue = random_world(seed, honest=False)
    for number in range(8):
        add_random(queue, f"e{number}")
        queue.step()
        for processor in (PROCESSOR, None):
            rows = queue_rows(queue.state, look(queue, processor))
            assert len(rows) == len(queue.state.entries)
            assert all(row.next_command for row in rows)
            assert all(row.waits_for for row in rows if row.position is not None)


def test_wishes_estimates_and_newer_commits_are_listed() -> None:
    queue = queue_world()
    add(queue, "a")
    state = queue.state.entries[A]
    state.entry = replace(state.entry, urgent=True, solo=True)
    seen = Look(
        now=queue.now,
        processor=PROCESSOR,
        estimates={A: Estimate(p50_s=42.04, p90_s=80.0)},
        newer_commits={A: 2},
    )
    rows = queue_rows(queue.state, seen)
    assert queue_text(rows, now=queue.now, no_estimate={"dev": "no check has ended"}).splitlines() == [
        "  1. * lane/a -> main  QUEUED     p1        0.0 s",
        "       urgent, solo; waits for its turn; estimate 42 s (P50), 1 min 20 s (P90)",
        "       lane/a has 2 newer commits: cli-orchestrator queue add lane/a --target main",
        "       look: cli-orchestrator queue why a",
        "no estimate yet for dev: no check has ended",
    ]
    document = queue_document(rows, no_estimate={"dev": "no check has ended"})
    line = document["queue"][0]
    assert line["estimate"] == {"p50_s": 42.0, "p90_s": 80.0}
    assert (line["urgent"], line["solo"], line["newer_commits"], line["asks"]) == (True, True, 2, False)
    assert document["no_estimate"] == {"dev": "no check has ended"}


def test_rows_that_are_left_out_are_counted_with_the_command_that_shows_them() -> None:
    queue = queue_world()
    told = "       and 7 more that left the queue before: cli-orchestrator queue list --all"
    assert told in queue_text([], now=queue.now, omitted=7).splitlines()
    assert "more" not in queue_text([], now=queue.now)
    assert queue_document([], omitted=7)["omitted"] == 7


def test_a_row_with_nothing_to_add_is_one_line_however_long_its_branch() -> None:
    row = replace(row_after(), branch=Branch("lane/" + "x" * 60), status=MergeStatus.MERGED, position=None)
    bare = replace(row, waits_for=(), reason="", asks=False, next_command=None)
    assert "" not in [line.strip() for line in queue_text([bare], now=queue_world().now).splitlines()[3:]]
