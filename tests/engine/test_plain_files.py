"""`cost_ledger.jsonl` and `merge_queue.json` tell what the events tell, once, whatever happens."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Branch, EntryId, RunId, queue_stream
from cli_multi_rapid.core.merge_events import MergeEnqueued, MergeEntry, MergeHalted
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.ports import EventLog
from cli_multi_rapid.store import plain_files
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.memory import MemoryEventLog
from cli_multi_rapid.store.plain_files import PlainFiles, write_plain_files
from cli_multi_rapid.store.sqlite import SqliteEventLog
from tests.fakes.filled_logs import QUEUE, append_facts, append_run, as_new
from tests.fakes.histories import History
from tests.fakes.run_stories import STORIES, begun, failed_check, held, success, timeout
from tests.fakes.sample_plans import commit_id, oauth_plan

ONE, TWO = RunId("r-one"), RunId("r-two")
OLD_LINE = (
    '{"ts": 1696345230, "task_id": "n1-middleware", "tool": "aider", "action": "implement_oauth", '
    '"tokens": 8243, "amount": 0.247}\n'
)


@pytest.fixture
def log() -> EventLog:
    return MemoryEventLog()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


class CountingLog(MemoryEventLog):
    events_read = 0

    def read(self, run_id: RunId, after_seq: int = 0, *, limit: int | None = None) -> list[Any]:
        events = super().read(run_id, after_seq, limit=limit)
        self.events_read += len(events)
        return events


def ledger_of(state: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (state / "cost_ledger.jsonl").read_text().splitlines()]


def queue_of(state: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((state / "merge_queue.json").read_text())
    return document


# The ledger


def test_the_ledger_has_a_line_for_every_settled_attempt(log: EventLog, state: Path) -> None:
    history = success()
    append_run(log, history, ONE)
    write_plain_files(log, state)
    settled = next(event for event in history.events if event.type == "budget.settled")
    lines = ledger_of(state)
    assert lines[0] == {
        "ts": int(settled.time.timestamp()),
        "task_id": "n1",
        "tool": "aider",
        "action": "implement",
        "tokens": 8243,
        "amount": 0.247,
        "run": ONE,
        "node": "n1",
        "attempt": 1,
        "model": "gpt-5-mini",
    }
    assert [line["node"] for line in lines] == ["n1", "n2", "n3", "n4"]
    assert set(json.loads(OLD_LINE)) < set(lines[0])


def test_what_earlier_runs_told_is_not_read_again_though_they_cost_nothing(state: Path) -> None:
    log = CountingLog()
    for run_id in (ONE, TWO):  # the first one makes the file
        append_run(log, History(oauth_plan()).begin(), run_id)
        write_plain_files(log, state)
    read = log.events_read
    write_plain_files(log, state)
    assert log.events_read == read


def test_writing_again_adds_only_what_is_new(log: EventLog, state: Path) -> None:
    files = PlainFiles(log, state)
    append_run(log, timeout(), ONE)
    for _ in range(3):
        files.write()
    first = (state / "cost_ledger.jsonl").read_bytes()
    append_run(log, success(), TWO)
    for _ in range(3):
        files.write([TWO, QUEUE])
        write_plain_files(log, state)
    assert (state / "cost_ledger.jsonl").read_bytes().startswith(first)
    assert [(line["run"], line["node"]) for line in ledger_of(state)] == [
        (ONE, "n1"), (TWO, "n1"), (TWO, "n2"), (TWO, "n3"), (TWO, "n4"),
    ]  # fmt: skip


def test_an_unchanged_file_is_not_written_and_its_news_are_read_once(state: Path) -> None:
    log = CountingLog()
    history = success()
    append_run(log, history, ONE)
    files = PlainFiles(log, state)
    files.write()
    read = log.events_read
    inodes = {name: (state / name).stat().st_ino for name in ("cost_ledger.jsonl", "merge_queue.json")}
    more = [event.data for event in history.events if event.type == "run.started"] * 5
    append_facts(log, ONE, more)
    for _ in range(4):
        files.write()
    assert log.events_read - read == 5 + 1  # the helper that appends reads the last event of the run, too
    assert {name: (state / name).stat().st_ino for name in inodes} == inodes


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("written", ["nothing", "half a line", "all lines"])
def test_no_line_is_lost_or_repeated_after_a_crash(
    log: EventLog, state: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    append_run(log, timeout(), ONE)
    write_plain_files(log, state)
    append_run(log, success(), TWO)
    before = (state / "cost_ledger.jsonl").read_bytes()

    def die(path: Path, text: str) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(plain_files, "_replace", die)  # the lines are there, their place is not noted
        with pytest.raises(Crash):
            write_plain_files(log, state)
    after = (state / "cost_ledger.jsonl").read_bytes()
    assert len(after) > len(before)
    keep = {"nothing": len(before), "half a line": len(before) + 50, "all lines": len(after)}[written]
    (state / "cost_ledger.jsonl").write_bytes(after[:keep])
    write_plain_files(log, state)
    assert (state / "cost_ledger.jsonl").read_bytes() == after
    assert len(ledger_of(state)) == 5


@pytest.mark.parametrize(
    "loss", ["ledger", "place", "both", "ledger cut", "place damaged", "place before it"]
)
def test_files_that_were_deleted_or_damaged_are_made_again(log: EventLog, state: Path, loss: str) -> None:
    append_run(log, timeout(), ONE)
    files = PlainFiles(log, state)
    files.write()
    append_run(log, success(), TWO)
    files.write()
    ledger, place = state / "cost_ledger.jsonl", state / "cost_ledger.place.json"
    whole = sorted(ledger.read_text().splitlines())
    if loss in ("ledger", "both"):
        ledger.unlink()
    if loss in ("place", "both"):
        place.unlink()
    if loss == "ledger cut":
        ledger.write_bytes(ledger.read_bytes()[:-20])
    if loss == "place damaged":
        place.write_text('{"size": "many"')
    files.write([TWO])
    assert sorted(ledger.read_text().splitlines()) == whole


@pytest.mark.parametrize("size", [-1, -(2**70), 2**70])
def test_a_place_that_no_file_has_is_not_believed(log: EventLog, state: Path, size: int) -> None:
    append_run(log, timeout(), ONE)
    write_plain_files(log, state)
    place = state / "cost_ledger.place.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "size": size}))
    before = (state / "cost_ledger.jsonl").read_text()
    append_run(log, success(), TWO)
    write_plain_files(log, state)
    after = (state / "cost_ledger.jsonl").read_text()
    assert sorted(after.splitlines()) == sorted({*before.splitlines(), *after.splitlines()})
    assert len(after) > len(before) > 0


def test_the_lines_of_an_earlier_tool_are_kept(log: EventLog, state: Path) -> None:
    state.mkdir()
    (state / "cost_ledger.jsonl").write_text(OLD_LINE + OLD_LINE.rstrip("\n"))
    append_run(log, timeout(), ONE)
    write_plain_files(log, state)
    (state / "cost_ledger.place.json").unlink()
    write_plain_files(log, state)
    assert (state / "cost_ledger.jsonl").read_text().startswith(OLD_LINE * 2)
    assert [line.get("run") for line in ledger_of(state)] == [None, None, ONE]


def test_two_processes_write_the_same_files(state: Path) -> None:
    path = state / "orchestrator.db"
    with closing(SqliteEventLog(Database(path))) as one, closing(SqliteEventLog(Database(path))) as two:
        ours, theirs = PlainFiles(one, state), PlainFiles(two, state)
        append_run(one, timeout(), ONE)
        ours.write([ONE])
        append_run(two, success(), TWO)
        theirs.write([TWO, QUEUE])
        theirs.write([ONE])
        ours.write([ONE, TWO])
        ours.write()
        assert len(ledger_of(state)) == 5
        (state / "cost_ledger.jsonl").unlink()
        theirs.write([TWO])
        ours.write([ONE])
        assert sum(parse_usd(line["amount"]) for line in ledger_of(state)) == parse_usd("0.62")
        assert queue_of(state)["places"] == {QUEUE: two.last_seq(QUEUE)}


# The queue


def test_the_queue_file_shows_what_waits_and_what_became_of_the_rest(log: EventLog, state: Path) -> None:
    append_run(log, held(), ONE)
    write_plain_files(log, state)
    document = queue_of(state)
    [waiting] = document["queue"]
    assert waiting == {
        "id": "r1003-oauth2/n2",
        "branch": "lane/r1003-oauth2/n2",
        "target": "main",
        "status": "BLOCKED",
        "priority": 1,
        "urgent": False,
        "solo": False,
        "checks_required": [],
        "checks_passed": ["tests"],
        "created_at": "2025-10-03T14:28:03Z",
        "updated_at": "2025-10-03T14:28:33Z",
        "label": "Add Comprehensive Tests",
        "run": "r1003-oauth2",
        "node": "n2",
        "head": commit_id("n2", 1),
        "reason": "README.md has edits that are not committed",
        "command": "git -C /home/ada/shop merge --ff-only 1234567",
    }
    [done] = document["processing_history"]
    assert (done["id"], done["branch"], done["status"]) == (
        "r1003-oauth2/n1",
        "lane/r1003-oauth2/n1",
        "MERGED",
    )
    assert done["merged_at"] == done["ended_at"] == "2025-10-03T14:20:03Z"
    assert 33 <= done["duration_sec"] < 34
    assert done["landed_commit"] == commit_id("candidate", "n1")
    assert document["schema_version"] == 1


def test_the_queue_file_follows_and_lists_what_failed(log: EventLog, state: Path) -> None:
    files = PlainFiles(log, state)
    history = failed_check()
    for event in history.events:
        if event.type.startswith(("merge.", "check.")):
            log.append(QUEUE, [as_new(event, "q")], expected_seq=None)
            files.write([QUEUE])
    assert queue_of(state)["queue"] == []
    assert [(item["node"], item["status"]) for item in queue_of(state)["processing_history"]] == [
        ("n1", "MERGED"), ("n2", "FAILED"), ("n3", "MERGED"),
    ]  # fmt: skip
    assert queue_of(state)["processing_history"][1]["merged_at"] is None
    followed = (state / "merge_queue.json").read_bytes()
    (state / "merge_queue.json").unlink()
    write_plain_files(log, state)
    assert (state / "merge_queue.json").read_bytes() == followed


def test_several_targets_share_the_file_in_order_of_priority(log: EventLog, state: Path) -> None:
    append_run(log, begun(), ONE)
    release = queue_stream(Branch("release"))

    def entry(name: str, target: str, priority: int) -> MergeEnqueued:
        return MergeEnqueued(
            entry=MergeEntry(
                id=EntryId(name),
                branch=Branch(name),
                head=commit_id(name),
                base=commit_id("base"),
                target=Branch(target),
                priority=priority,
            )
        )

    log.append(release, [as_new(log.read(QUEUE)[0], "release")], expected_seq=0)
    files = PlainFiles(log, state)
    files.write()
    append_facts(
        log, QUEUE, [entry("late", "main", 2), entry("urgent", "main", 0), MergeHalted(reason="tip is red")]
    )
    append_facts(log, release, [entry("other", "release", 1)])
    files.write([QUEUE])
    assert [item["id"] for item in queue_of(state)["queue"]][:2] == ["urgent", "late"]
    assert queue_of(state)["halted"] == {QUEUE: "tip is red"}
    assert [item["target"] for item in queue_of(state)["queue"]] == ["main", "main", "release", "release"]


def test_the_queue_file_of_an_earlier_tool_is_set_aside(log: EventLog, state: Path) -> None:
    state.mkdir()
    old = '{"queue": [], "processing_history": []}'
    (state / "merge_queue.json").write_text(old)
    append_run(log, success(), ONE)
    write_plain_files(log, state)
    assert (state / "merge_queue.json.old").read_text() == old
    assert len(queue_of(state)["processing_history"]) == 3
    write_plain_files(log, state)
    assert (state / "merge_queue.json.old").read_text() == old


def test_the_history_in_the_file_is_bounded(
    log: EventLog, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_files, "HISTORY", 2)
    append_run(log, success(), ONE)
    write_plain_files(log, state)
    assert [item["node"] for item in queue_of(state)["processing_history"]] == ["n2", "n3"]


# Both


@pytest.mark.parametrize("story", STORIES)
def test_every_story_can_be_written(log: EventLog, state: Path, story: str) -> None:
    history = STORIES[story]()
    append_run(log, history, ONE)
    write_plain_files(log, state)
    spent = sum(round(line["amount"] * 1_000_000) for line in ledger_of(state))
    assert spent == history.state.ledger.spent
    assert sorted(path.name for path in state.iterdir()) == [
        "cost_ledger.jsonl",
        "cost_ledger.place.json",
        "merge_queue.json",
    ]


def test_an_empty_log_gives_empty_files(log: EventLog, state: Path) -> None:
    write_plain_files(log, state)
    assert ledger_of(state) == []
    assert queue_of(state)["queue"] == queue_of(state)["processing_history"] == []


@pytest.fixture
def blocked(state: Path) -> Iterator[Path]:
    """A folder stands in the place of the ledger."""
    (state / "cost_ledger.jsonl").mkdir(parents=True)
    yield state
    (state / "cost_ledger.jsonl").rmdir()


def test_a_file_that_cannot_be_written_is_named(log: EventLog, blocked: Path) -> None:
    append_run(log, success(), ONE)
    with pytest.raises(EnvironmentFault, match=r"cost_ledger.jsonl cannot be written"):
        write_plain_files(log, blocked)
