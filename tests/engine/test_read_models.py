"""The read models answer from the events, whenever and however often they were caught up."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.events import NewEvent
from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import Branch, CorrelationId, NodeId, RunId, ToolName
from cli_multi_rapid.core.merge_events import MergeApproved, MergeEnqueued, MergeEntry, MergeLanded
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.run_events import (
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRequested,
    CommandGiven,
    RunFinished,
    RunStarted,
)
from cli_multi_rapid.ports import EventLog
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.merge_book import MergeBook
from cli_multi_rapid.store.projections import LedgerProjection, News
from cli_multi_rapid.store.queries import (
    AuditLine,
    CostKey,
    ToolHealth,
    audit,
    cost_by,
    ledger,
    list_workstreams,
    merge_history,
    record_tool_health,
    tool_health,
)
from cli_multi_rapid.store.read_models import ReadModels
from cli_multi_rapid.store.sqlite import SqliteEventLog
from tests.conftest import REPOSITORY
from tests.fakes.filled_logs import QUEUE, append_facts, append_run, as_new, is_queue_fact
from tests.fakes.run_stories import STORIES, conflict, failed_check, running, success, timeout, waiting
from tests.fakes.sample_plans import MAIN, START, commit_id, tree_id

ONE, TWO = RunId("r-one"), RunId("r-two")
TABLES = ("workstreams", "ledger", "merge_history", "audit", "projection_positions", "projections")

Tables = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A database with its log and its read models."""

    database: Database
    log: EventLog
    models: ReadModels

    def tables(self) -> Tables:
        """Every row of the read models."""
        return {name: sorted(self.database.query(f"SELECT * FROM {name}"), key=str) for name in TABLES}

    def catch_up(self) -> None:
        """Bring everything up to date."""
        for name in ("workstreams", "ledger", "merge_history", "audit"):
            self.models.catch_up(name)


def make_world(folder: Path, chunk: int = 2000) -> World:
    database = Database(folder / "state" / "orchestrator.db")
    log = SqliteEventLog(database)
    return World(database=database, log=log, models=ReadModels(database, log, chunk=chunk))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    yield world
    world.database.close()


# What is answered


def test_workstreams_tell_of_runs_and_nodes_as_people_see_them(world: World) -> None:
    append_run(world.log, failed_check(), ONE)
    found = list_workstreams(world.models)
    assert [(item.node_id, item.name, item.status) for item in found] == [
        (None, "OAuth2 Implementation", "PARTIAL"),
        ("n1", "Implement OAuth2 Middleware", "completed"),
        ("n2", "Add Comprehensive Tests", "completed"),
        ("n3", "Update Documentation", "completed"),
        ("n4", "Final Verification", "blocked"),
    ]
    assert {item.run_id for item in found} == {ONE}
    run, first = found[:2]
    assert run.created_at == START
    assert first.created_at == START < first.updated_at < run.updated_at


def test_workstreams_can_be_found_by_status_day_and_correlation(world: World) -> None:
    append_run(world.log, running(), ONE, correlation_id=CorrelationId("coord-7"))
    later = running()
    later.events[:] = [replace(event, time=event.time + timedelta(days=2)) for event in later.events]
    append_run(world.log, later, TWO)
    assert [item.run_id for item in list_workstreams(world.models)] == [TWO] * 5 + [ONE] * 5
    day = START.date() + timedelta(days=2)
    assert {item.run_id for item in list_workstreams(world.models, day=day)} == {TWO}
    assert list_workstreams(world.models, day=date(2020, 1, 1)) == []
    found = list_workstreams(world.models, correlation_id=CorrelationId("coord-7"), status="running")
    assert [(item.run_id, item.node_id) for item in found] == [(ONE, "n2")]
    [same] = {item.correlation_id for item in list_workstreams(world.models, day=day)}
    assert same == CorrelationId(TWO)


def test_a_run_that_is_taken_up_again_is_shown_as_running(world: World) -> None:
    history = waiting()
    append_run(world.log, history, ONE)
    assert {item.status for item in list_workstreams(world.models, status="WAITING")} == {"WAITING"}
    started = next(event.data for event in history.events if isinstance(event.data, RunStarted))
    append_facts(
        world.log,
        ONE,
        [started, ApprovalGranted(node_id=NodeId("n2"), what="before", by="ann")],
    )
    found = {item.node_id: item.status for item in list_workstreams(world.models)}
    assert found == {None: "RUNNING", "n1": "completed", "n2": "pending", "n3": "completed", "n4": "pending"}


def test_a_stream_that_makes_no_sense_can_still_be_found(world: World) -> None:
    append_run(world.log, running(), ONE)
    nonsense = ApprovalGranted(node_id=NodeId("no-such-node"), what="before", by="ann")
    append_facts(world.log, ONE, [nonsense, RunFinished(status=RunStatus.FAILED, exit_code=1, reason="")])
    assert list_workstreams(world.models)[0].status == "FAILED"


def test_costs_are_summed_to_the_micro_by_everything(world: World) -> None:
    append_run(world.log, success(), ONE)
    append_run(world.log, timeout(), TWO)
    lines = ledger(world.models)
    total = sum(line.amount for line in lines)
    assert total == parse_usd("0.247") + parse_usd("0.189") + parse_usd("0.084") + parse_usd("0.10")
    for key in CostKey:
        assert sum(line.amount for line in cost_by(world.models, key)) == total
        assert sum(line.attempts for line in cost_by(world.models, key)) == len(lines) == 5
    by_tool = {line.key: line for line in cost_by(world.models, CostKey.TOOL)}
    assert list(by_tool) == ["aider", "cursor", "claude"]
    assert by_tool["aider"].amount == parse_usd("0.536")
    assert by_tool["aider"].tokens == 8243 + 8000 + 2000
    assert [line.key for line in cost_by(world.models, CostKey.RUN)] == [ONE, TWO]
    assert [line.key for line in cost_by(world.models, CostKey.DAY)] == ["2025-10-03"]
    assert {line.key for line in cost_by(world.models, CostKey.MODEL)} == {
        "gpt-5-mini", "auto", "claude-sonnet-4-5",
    }  # fmt: skip
    [n1] = cost_by(world.models, CostKey.NODE, run_id=TWO)
    assert (n1.key, n1.amount) == ("n1", parse_usd("0.10"))
    assert [line.run_id for line in ledger(world.models, run_id=TWO)] == [TWO]


def test_a_cost_without_a_model_has_an_empty_key(world: World) -> None:
    append_run(world.log, STORIES["parallel"](), ONE)
    assert cost_by(world.models, CostKey.MODEL)[-1].key == ""


def test_merge_history_tells_how_each_entry_ended(world: World) -> None:
    append_run(world.log, failed_check(), ONE)
    found = {record.node_id: record for record in merge_history(world.models, MAIN)}
    n1, n2, n3 = (found[NodeId(name)] for name in ("n1", "n2", "n3"))
    assert n1.status is MergeStatus.MERGED
    assert n1.checks_passed == ("lint", "tests")
    assert n1.landed_commit == commit_id("candidate", "n1")
    assert n1.check_s == 33
    assert n1.duration_s == pytest.approx(33, abs=0.1)
    assert n1.head == commit_id("n1", 1)
    assert n2.status is MergeStatus.FAILED
    assert n2.reason == "tests failed on its own"
    assert n2.checks_passed == ("lint",)
    assert n3.status is MergeStatus.MERGED
    assert merge_history(world.models) == list(found.values())
    assert merge_history(world.models, Branch("other")) == []


def test_conflicts_and_held_landings_say_what_is_in_the_way(world: World) -> None:
    append_run(world.log, conflict(), ONE)
    [record] = [r for r in merge_history(world.models) if r.status is MergeStatus.CONFLICTED]
    assert record.files == ("src/app.py", "README.md")


def test_an_entry_waits_until_its_dependency_has_landed_and_a_person_agreed(world: World) -> None:
    def entry(name: str, *deps: str, needs_approval: bool = False) -> MergeEnqueued:
        return MergeEnqueued(
            entry=MergeEntry(
                id=type(first.entry.id)(name),
                branch=Branch(name),
                head=commit_id(name),
                base=commit_id("base"),
                target=MAIN,
                deps=tuple(type(first.entry.id)(dep) for dep in deps),
                needs_approval=needs_approval,
            )
        )

    history = STORIES["held"]()
    append_run(world.log, history, ONE)
    first = next(event.data for event in history.events if isinstance(event.data, MergeEnqueued))
    append_facts(world.log, QUEUE, [entry("a"), entry("b", "a"), entry("c", needs_approval=True)])

    def statuses() -> dict[str, str]:
        return {r.id: r.status.value for r in merge_history(world.models) if r.run_id is None}

    assert statuses() == {"a": "QUEUED", "b": "BLOCKED", "c": "BLOCKED"}
    landed = MergeLanded(
        entries=(type(first.entry.id)("a"),), commit=commit_id("a"), tree=tree_id("a"), recovered=True
    )
    append_facts(world.log, QUEUE, [landed, MergeApproved(entry_id=type(first.entry.id)("c"), by="ann")])
    assert statuses() == {"a": "MERGED", "b": "QUEUED", "c": "QUEUED"}
    [stuck] = [r for r in merge_history(world.models) if r.command]
    assert stuck.status is MergeStatus.BLOCKED
    assert stuck.reason == "README.md has edits that are not committed"
    [line] = audit(world.models, run_id=QUEUE)
    assert (line.who, line.action, line.subject) == ("ann", "merge.approved", "c")


def test_the_audit_names_who_did_what(world: World) -> None:
    append_run(world.log, waiting(), ONE)
    n2 = NodeId("n2")
    append_facts(
        world.log,
        ONE,
        [
            CommandGiven(command="budget", by="ann", amount=parse_usd(5), text="it is worth it"),
            CommandGiven(command="approve", by="bob", node_id=n2),
            ApprovalGranted(node_id=n2, what="before", by="bob"),
            ApprovalRequested(node_id=n2, what="landing"),
            ApprovalRejected(node_id=n2, what="landing", by="eve", reason="no tests"),
        ],
    )
    assert [(a.stream, a.who, a.action, a.subject, a.detail) for a in audit(world.models)] == [
        (ONE, "ann", "budget", "", "it is worth it $5.00"),
        (ONE, "bob", "approve", "n2", ""),
        (ONE, "bob", "approval.granted", "n2", "before"),
        (ONE, "eve", "approval.rejected", "n2", "landing: no tests"),
    ]
    assert isinstance(audit(world.models, run_id=ONE)[0], AuditLine)
    assert audit(world.models, run_id=TWO) == []


def test_the_latest_look_at_a_tool_counts_and_survives_a_rebuild(world: World) -> None:
    old = ToolHealth(
        tool=ToolName("aider"), status="degraded", version="0.1", last_check=START, response_time_ms=890,
        warning="High latency detected",
    )  # fmt: skip
    new = ToolHealth(
        tool=ToolName("aider"), status="healthy", version="0.2", last_check=START, response_time_ms=None
    )
    for look in (old, new):
        record_tool_health(world.models, look)
        assert tool_health(world.models) == [look]
    world.models.rebuild()
    assert tool_health(world.models) == [new]


# How they keep up


@pytest.mark.parametrize("story", STORIES)
def test_whatever_happens_the_rebuilt_tables_are_the_same(world: World, story: str) -> None:
    append_run(world.log, STORIES[story](), ONE)
    world.catch_up()
    before = world.tables()
    world.models.rebuild()
    assert world.tables() == before


Streams = list[tuple[RunId, list[NewEvent]]]


def _streams() -> Streams:
    """Two runs and the queue, event by event, in the order in which they are appended."""
    found: Streams = []
    for run_id, history in ((ONE, failed_check()), (TWO, STORIES["done_again"]())):
        for event in history.events:
            if is_queue_fact(event):
                found.append((QUEUE, [as_new(event, f"q.{run_id}")]))
            found.append((run_id, [as_new(event, run_id)]))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables that are filled at once, when everything has happened."""
    world = make_world(tmp_path_factory.mktemp("whole"))
    with closing(world.database):
        for run_id, events in _streams():
            world.log.append(run_id, events, expected_seq=None)
        world.catch_up()
        return world.tables()


@given(cuts=st.lists(st.integers(0, 200), max_size=4), chunk=st.integers(7, 60), reopen=st.booleans())
@settings(max_examples=12, deadline=None)
def test_prefix_and_rest_give_the_whole(whole: Tables, cuts: list[int], chunk: int, *, reopen: bool) -> None:
    """Caught up at any moments, in any portions, by one process or another: the same tables."""
    with TemporaryDirectory() as folder:
        world = make_world(Path(folder), chunk)
        with closing(world.database):
            for place, (run_id, events) in enumerate(_streams()):
                world.log.append(run_id, events, expected_seq=None)
                if place in cuts:
                    models = ReadModels(world.database, world.log, chunk=chunk) if reopen else world.models
                    for name in ("workstreams", "ledger", "merge_history", "audit"):
                        models.catch_up(name)
            world.catch_up()
            assert world.tables() == whole


def test_an_answer_is_up_to_date_with_what_another_process_appended(world: World, tmp_path: Path) -> None:
    append_run(world.log, success(), ONE)
    assert len(ledger(world.models)) == 4
    with closing(SqliteEventLog(Database(world.database.path))) as other:
        append_run(other, timeout(), TWO)
    assert len(ledger(world.models)) == 5


def test_a_process_that_dies_while_it_catches_up_leaves_no_half(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_run(world.log, success(), ONE)
    take_one = LedgerProjection.apply

    def die(self: LedgerProjection, session: Session, news: News) -> None:
        take_one(self, session, news)
        session.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LedgerProjection, "apply", die)
        with pytest.raises(KeyboardInterrupt):
            ledger(world.models)
    assert world.database.query("SELECT * FROM ledger") == []
    assert len(ledger(world.models)) == 4


def test_tables_of_another_release_are_made_anew(world: World) -> None:
    append_run(world.log, success(), ONE)
    before = ledger(world.models)
    world.database.query("UPDATE projections SET version = 99 WHERE name = 'ledger'")
    world.database.query("ALTER TABLE ledger DROP COLUMN tokens")
    assert ledger(ReadModels(world.database, world.log)) == before


def test_dropped_tables_are_made_anew_by_a_rebuild(world: World) -> None:
    append_run(world.log, success(), ONE)
    before = ledger(world.models)
    world.database.query("DROP TABLE ledger")
    world.models.rebuild()
    assert ledger(world.models) == before


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    append_run(world.log, success(), ONE)
    ledger(world.models)
    world.database.close()
    with sqlite3.connect(world.database.path) as raw:
        [(page,)] = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ledger'").fetchall()
    raw.close()
    content = bytearray(world.database.path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    world.database.path.write_bytes(content)
    database = Database(world.database.path)
    with closing(database), pytest.raises(EnvironmentFault, match="is damaged"):
        ledger(ReadModels(database, SqliteEventLog(database)))


def test_two_processes_that_catch_up_at_once_count_nothing_twice(world: World) -> None:
    for number in range(20):
        append_run(world.log, timeout(), RunId(f"r-{number}"))
    program = f"""
from pathlib import Path
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.queries import ledger
from cli_multi_rapid.store.read_models import ReadModels
from cli_multi_rapid.store.sqlite import SqliteEventLog
database = Database(Path({str(world.database.path)!r}), timeout_s=30)
print(len(ledger(ReadModels(database, SqliteEventLog(database), chunk=10))))
database.close()
"""
    programs = [
        subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [program.communicate()[0] for program in programs] == [b"20\n"] * 3


def test_only_a_queue_has_a_merge_book() -> None:
    with pytest.raises(ValueError, match="the stream of a run"):
        MergeBook(ONE)
