"""The event log keeps its promises, on every implementation."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.errors import EnvironmentFault, InternalError
from cli_multi_rapid.core.events import NewEvent, Unknown
from cli_multi_rapid.core.facts import Payload, RunStatus, Usage
from cli_multi_rapid.core.ids import Branch, CorrelationId, EventId, NodeId, RunId, ToolName, queue_stream
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_events import NodeSkipped, NodeSucceeded
from cli_multi_rapid.core.run_events import BudgetSettled, CommandGiven, RunFinished, RunPaused, RunUnpaused
from cli_multi_rapid.ports import EventLog, Leases, StaleWriter
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.leases import FileLeases
from cli_multi_rapid.store.memory import MemoryEventLog, MemoryLeases
from cli_multi_rapid.store.migrations import LATEST
from cli_multi_rapid.store.sqlite import SqliteEventLog
from cli_multi_rapid.system import RandomIds
from tests.conftest import REPOSITORY
from tests.fakes.clock import START, CountingIds, FakeClock
from tests.fakes.filled_logs import append_run
from tests.fakes.run_stories import STORIES

RUN = RunId("20261120-090000-test")
OTHER = RunId("20261120-090001-test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A log with the leases that it checks fences against."""

    log: EventLog
    leases: Leases


def memory_store(_folder: Path) -> Store:
    leases = MemoryLeases()
    return Store(log=MemoryEventLog(leases), leases=leases)


def sqlite_store(folder: Path) -> Store:
    database = Database(folder / "state" / "orchestrator.db")
    leases = FileLeases(folder / "state" / "locks", database, FakeClock())
    return Store(log=SqliteEventLog(database), leases=leases)


@pytest.fixture(params=[memory_store, sqlite_store], ids=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    make: Callable[[Path], Store] = request.param
    store = make(tmp_path)
    yield store
    store.log.close()


@pytest.fixture
def log(store: Store) -> EventLog:
    return store.log


@pytest.fixture
def database_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "orchestrator.db"


_ids = RandomIds()


def fact(data: Payload | None = None, *, after_s: float = 0) -> NewEvent:
    return NewEvent(
        id=_ids.event_id(),
        time=START + timedelta(seconds=after_s),
        source="test",
        data=data or RunPaused(reason="lunch"),
    )


# What every log promises


def test_events_come_back_as_they_were_with_places_from_one(log: EventLog) -> None:
    settled = BudgetSettled(
        node_id=NodeId("n1"),
        attempt=1,
        tool=ToolName("aider"),
        action="implement",
        usage=Usage(cost=MicroUsd(247_000), input_tokens=8000, output_tokens=243, model="m", source="tool"),
    )
    facts = [
        NewEvent(
            id=EventId("e1"),
            time=datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2))),
            source="engine",
            data=settled,
            causation_id=EventId("e0"),
            correlation_id=CorrelationId("coord-1"),
        ),
        fact(NodeSkipped(node_id=NodeId("n2"), reason="no money", by_budget=True)),
    ]
    appended = log.append(RUN, facts, expected_seq=0)
    assert [event.seq for event in appended] == [1, 2]
    assert log.read(RUN) == appended
    first = appended[0]
    assert (first.run_id, first.type, first.version) == (RUN, "budget.settled", 1)
    assert (first.id, first.causation_id, first.correlation_id) == ("e1", "e0", "coord-1")
    assert first.data == settled
    assert first.time == datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
    assert log.read(RUN)[0].time.tzinfo is not None


@pytest.mark.parametrize("story", STORIES)
def test_a_whole_run_is_read_back_as_it_was(log: EventLog, story: str) -> None:
    history = STORIES[story]()
    append_run(log, history, history.run)
    assert [event.data for event in log.read(history.run)] == [event.data for event in history.events]


def test_a_stream_can_be_read_from_a_place_and_in_portions(log: EventLog) -> None:
    log.append(RUN, [fact() for _ in range(5)], expected_seq=0)
    assert [event.seq for event in log.read(RUN, 2)] == [3, 4, 5]
    assert [event.seq for event in log.read(RUN, 2, limit=2)] == [3, 4]
    assert log.read(RUN, 5) == []
    assert log.read(RUN, 1, limit=0) == []
    assert log.last_seq(RUN) == 5


def test_an_unknown_stream_is_empty(log: EventLog) -> None:
    assert log.read(RUN) == []
    assert log.last_seq(RUN) == 0
    assert log.streams() == []


def test_streams_count_each_on_its_own_and_the_latest_start_comes_first(log: EventLog) -> None:
    queue = queue_stream(Branch("main"))
    log.append(OTHER, [fact(after_s=60)], expected_seq=0)
    log.append(RUN, [fact(after_s=0)], expected_seq=0)
    log.append(queue, [fact(after_s=60)], expected_seq=0)
    log.append(RUN, [fact(after_s=500)], expected_seq=1)
    assert [log.last_seq(stream) for stream in (OTHER, RUN, queue)] == [1, 2, 1]
    assert log.streams() == [queue, OTHER, RUN]


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_stale_writer_changes_nothing(log: EventLog, expected: int) -> None:
    log.append(RUN, [fact(), fact()], expected_seq=0)
    with pytest.raises(StaleWriter, match=f"expected seq {expected}, the stream is at 2") as caught:
        log.append(RUN, [fact()], expected_seq=expected)
    assert caught.value.actual == 2
    assert not caught.value.fenced
    assert log.last_seq(RUN) == 2
    log.append(RUN, [fact()], expected_seq=2)


def test_a_stale_first_writer_leaves_no_stream_behind(log: EventLog) -> None:
    with pytest.raises(StaleWriter):
        log.append(RUN, [fact()], expected_seq=7)
    assert log.streams() == []


def test_a_command_is_appended_between_the_appends_of_the_loop(log: EventLog) -> None:
    log.append(RUN, [fact()], expected_seq=0)
    [command] = log.append(RUN, [fact(CommandGiven(command="pause", by="ann"))], expected_seq=None)
    assert command.seq == 2
    with pytest.raises(StaleWriter) as caught:
        log.append(RUN, [fact()], expected_seq=1)
    assert not caught.value.fenced
    assert log.read(RUN, 1) == [command]
    assert log.append(RUN, [fact(RunUnpaused())], expected_seq=2)[0].seq == 3


def test_the_holder_of_the_lease_may_write(store: Store) -> None:
    lease = store.leases.acquire(RUN)
    assert lease is not None
    store.log.append(RUN, [fact()], expected_seq=0, fence=lease.fence)
    assert store.log.last_seq(RUN) == 1


def test_a_holder_whose_lease_was_taken_over_writes_nothing(store: Store) -> None:
    old = store.leases.acquire(RUN)
    assert old is not None
    old.release()  # as when the kernel freed it
    new = store.leases.acquire(RUN)
    assert new is not None
    for expected in (0, None, 5):
        with pytest.raises(StaleWriter) as caught:
            store.log.append(RUN, [fact()], expected_seq=expected, fence=old.fence)
        assert caught.value.fenced
    assert store.log.last_seq(RUN) == 0
    store.log.append(RUN, [fact()], expected_seq=0, fence=new.fence)


def test_a_fence_without_a_lease_is_refused(store: Store) -> None:
    lease = store.leases.acquire(OTHER)
    assert lease is not None
    with pytest.raises(StaleWriter) as caught:
        store.log.append(RUN, [fact()], expected_seq=0, fence=lease.fence)
    assert caught.value.fenced


def test_an_event_of_a_later_release_is_kept_as_it_is(log: EventLog) -> None:
    unknown = Unknown(name="node.teleported", of_version=3, data={"node_id": "n1", "to": ["mars", None, 1.5]})
    newer = Unknown(name="run.paused", of_version=99, data={"why": {"deep": "reason"}})
    log.append(RUN, [fact(unknown), fact(newer)], expected_seq=0)
    first, second = log.read(RUN)
    assert (first.type, first.version, first.data) == ("node.teleported", 3, unknown)
    assert (second.type, second.version, second.data) == ("run.paused", 99, newer)


def test_all_events_of_an_append_or_none(log: EventLog) -> None:
    used = fact()
    log.append(RUN, [used], expected_seq=0)
    with pytest.raises(InternalError, match="an event id was used before"):
        log.append(RUN, [fact(), used], expected_seq=1)
    with pytest.raises(InternalError, match="an event id was used before"):
        log.append(OTHER, [used], expected_seq=0)
    assert log.last_seq(RUN) == 1
    assert log.streams() == [RUN]


def test_an_append_of_nothing_only_checks(log: EventLog) -> None:
    assert log.append(RUN, [], expected_seq=0) == []
    assert log.streams() == []
    with pytest.raises(StaleWriter):
        log.append(RUN, [], expected_seq=1)


def test_any_text_survives(log: EventLog) -> None:
    reason = 'ünï \x00 \udcff \U0001f600 \u2028 "quoted" \'; DROP TABLE events; --'
    log.append(RUN, [fact(RunPaused(reason=reason))], expected_seq=0)
    assert log.read(RUN)[0].data == RunPaused(reason=reason)


def test_nothing_can_be_appended_to_a_closed_log(log: EventLog) -> None:
    log.close()
    with pytest.raises(InternalError):
        log.append(RUN, [fact()], expected_seq=0)


def test_threads_that_append_at_once_leave_no_gap(log: EventLog) -> None:
    def work() -> None:
        for _ in range(50):
            log.append(RUN, [fact(), fact()], expected_seq=None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = log.read(RUN)
    assert [event.seq for event in events] == list(range(1, 401))
    assert len({event.id for event in events}) == 400


Appends = list[tuple[int, int, int | None]]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 6))), max_size=12
    )
)
def test_both_logs_say_the_same(appends: Appends) -> None:
    """(stream, number of events, expected seq) one after the other gives the same answers everywhere."""
    with TemporaryDirectory() as folder:
        stores = [memory_store(Path(folder)), sqlite_store(Path(folder))]
        answers = []
        for store in stores:
            ids, told = CountingIds(), []
            for stream, number, expected in appends:
                facts = [
                    NewEvent(id=ids.event_id(), time=START, source="test", data=RunPaused(reason=str(stream)))
                    for _ in range(number)
                ]
                try:
                    told.append(str(store.log.append(RunId(f"r{stream}"), facts, expected_seq=expected)))
                except StaleWriter as stale:
                    told.append(str(stale))
            streams = store.log.streams()
            answers.append((told, streams, [store.log.read(stream) for stream in streams]))
            store.log.close()
        assert answers[0] == answers[1]


# What the file promises

APPENDER = """
import sys
from pathlib import Path
from cli_multi_rapid.core.events import NewEvent
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.run_events import BudgetWarned, RunPaused
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.sqlite import SqliteEventLog
from cli_multi_rapid.system import RandomIds, SystemClock

path, run, times = sys.argv[1:]
log, ids, clock = SqliteEventLog(Database(Path(path), timeout_s=30)), RandomIds(), SystemClock()
facts = [RunPaused(reason="x"), BudgetWarned(spent=MicroUsd(1), limit=MicroUsd(2), percent=50), RunPaused()]
for turn in range(int(times)):
    new = [NewEvent(id=ids.event_id(), time=clock.now(), source="p", data=data) for data in facts]
    print(log.append(RunId(run), new, expected_seq=None)[-1].seq, flush=True)
log.close()
"""


def start_appender(path: Path, times: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(path), RUN, str(times)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_and_four_threads_make_the_file_and_append_without_a_gap(database_file: Path) -> None:
    programs = [start_appender(database_file, 40) for _ in range(2)]
    log = SqliteEventLog(Database(database_file, timeout_s=30))

    def work() -> None:
        for _ in range(25):
            log.append(RUN, [fact()], expected_seq=None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [[int(line) for line in program.communicate()[0].split()] for program in programs]
    assert [program.returncode for program in programs] == [0, 0]
    events = log.read(RUN)
    assert [event.seq for event in events] == list(range(1, 2 * 40 * 3 + 4 * 25 + 1))
    by_others = [event.seq for event in events if event.source == "p"][2::3]
    assert by_others == sorted(told[0] + told[1])
    log.close()


def test_kill_9_in_the_middle_of_appends_loses_nothing_that_was_confirmed(database_file: Path) -> None:
    program = start_appender(database_file, 1_000_000)
    assert program.stdout is not None
    for _ in range(25):
        program.stdout.readline()
    os.kill(program.pid, signal.SIGKILL)
    confirmed = [25 * 3, *(int(line) for line in program.stdout.read().split("\n")[:-1])]
    program.wait()
    program.stdout.close()
    log = SqliteEventLog(Database(database_file))
    seqs = [event.seq for event in log.read(RUN)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) % 3 == 0
    assert len(seqs) >= confirmed[-1]
    log.append(RUN, [fact()], expected_seq=len(seqs))
    log.close()


def test_a_second_log_on_the_same_file_sees_every_append_at_once(database_file: Path) -> None:
    one, two = SqliteEventLog(Database(database_file)), SqliteEventLog(Database(database_file))
    appended = one.append(RUN, [fact()], expected_seq=0)
    assert two.read(RUN) == appended
    with pytest.raises(StaleWriter):
        two.append(RUN, [fact()], expected_seq=0)
    one.close()
    two.close()


def test_the_files_are_for_the_owner_only(database_file: Path) -> None:
    log = SqliteEventLog(Database(database_file))
    log.append(RUN, [fact()], expected_seq=0)
    files = sorted(database_file.parent.iterdir())
    assert [file.name for file in files] == ["orchestrator.db", "orchestrator.db-shm", "orchestrator.db-wal"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert database_file.parent.stat().st_mode & 0o777 == 0o700
    log.close()
    assert sorted(database_file.parent.iterdir()) == [database_file]


@pytest.mark.parametrize(
    ("data", "level"),
    [
        (RunPaused(), "NORMAL"),
        (NodeSucceeded(node_id=NodeId("n"), attempt=1), "NORMAL"),
        (RunFinished(status=RunStatus.SUCCESS, exit_code=0, reason=""), "NORMAL"),
        (
            BudgetSettled(
                node_id=NodeId("n"), attempt=1, tool=ToolName("t"), action="", usage=Usage(cost=MicroUsd(1))
            ),
            "FULL",
        ),
    ],
)
def test_what_must_survive_a_power_cut_is_synced_at_its_commit(
    database_file: Path, data: Payload, level: str
) -> None:
    database = Database(database_file)
    log = SqliteEventLog(database)
    log.append(RUN, [fact(), fact(data)], expected_seq=0)
    assert database.query("PRAGMA synchronous") == [({"NORMAL": 1, "FULL": 2}[level],)]
    log.append(RUN, [fact()], expected_seq=2)
    assert database.query("PRAGMA synchronous") == [(1,)]
    log.close()


def test_reading_the_log_imports_no_heavy_module(database_file: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.sqlite import SqliteEventLog
SqliteEventLog(Database(Path({str(database_file)!r}))).read("run")
print({{"sqlalchemy", "sqlmodel", "pydantic", "yaml", "jsonschema", "click", "rich"}} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


# What is wrong with the file is said to the person


def read_all(path: Path) -> None:
    with closing(SqliteEventLog(Database(path))) as log:
        log.read(RUN)


def filled(path: Path, events: int = 200) -> None:
    with closing(SqliteEventLog(Database(path))) as log:
        log.append(RUN, [fact(RunPaused(reason="x" * 500)) for _ in range(events)], expected_seq=None)


def test_a_file_that_is_no_database_is_named(database_file: Path) -> None:
    database_file.parent.mkdir()
    database_file.write_text("this is not a database, but it is long enough to have a header\n" * 20)
    with pytest.raises(EnvironmentFault, match=r"orchestrator.db is not a database") as caught:
        Database(database_file)
    assert "backup" in caught.value.hint


def test_a_truncated_file_is_named(database_file: Path) -> None:
    filled(database_file)
    with database_file.open("r+b") as file:
        file.truncate(database_file.stat().st_size // 2)
    with pytest.raises(EnvironmentFault, match="is damaged"):
        read_all(database_file)


def test_a_corrupt_file_is_named(database_file: Path) -> None:
    filled(database_file)
    content = bytearray(database_file.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = b"\xa5" * 100
    database_file.write_bytes(content)
    with pytest.raises(EnvironmentFault, match="is damaged"):
        read_all(database_file)


@pytest.mark.parametrize("data", ["{", "[]", '{"reason": 5}'])
def test_a_row_that_makes_no_sense_is_named(database_file: Path, data: str) -> None:
    filled(database_file, 3)
    with sqlite3.connect(database_file) as raw:
        raw.execute("UPDATE events SET data = ? WHERE seq = 2", (data,))
    raw.close()
    with pytest.raises(EnvironmentFault, match=rf"is damaged: event 2 \(run.paused\) of {RUN}"):
        read_all(database_file)


def test_a_file_of_a_newer_release_is_left_alone(database_file: Path) -> None:
    filled(database_file, 1)
    with sqlite3.connect(database_file) as raw:
        raw.execute(f"PRAGMA user_version = {LATEST + 1}")
    raw.close()
    with pytest.raises(EnvironmentFault, match="written by a newer release") as caught:
        Database(database_file)
    assert "upgrade" in caught.value.hint


def test_a_full_disk_records_nothing_and_is_named(database_file: Path) -> None:
    database = Database(database_file)
    log = SqliteEventLog(database)
    log.append(RUN, [fact()], expected_seq=0)
    [(pages,)] = database.query("PRAGMA page_count")
    database.query(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(EnvironmentFault, match="the disk is full: nothing was recorded") as caught:
        log.append(RUN, [fact(RunPaused(reason="x" * 50_000))], expected_seq=1)
    assert "space" in caught.value.hint
    assert log.last_seq(RUN) == 1
    log.append(RUN, [fact()], expected_seq=1)
    log.close()


def test_a_file_size_limit_is_told_as_a_fault_of_the_disk(database_file: Path) -> None:
    filled(database_file, 1)
    program = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n" + APPENDER
    done = subprocess.run(
        [sys.executable, "-c", program, str(database_file), RUN, "1000"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "EnvironmentFault" in done.stderr
    assert "could not be read or written" in done.stderr
    log = SqliteEventLog(Database(database_file))
    seqs = [event.seq for event in log.read(RUN)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) > 3
    log.close()


def test_a_lock_that_does_not_go_away_is_named(database_file: Path) -> None:
    filled(database_file, 1)
    raw = sqlite3.connect(database_file, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    log = SqliteEventLog(Database(database_file, timeout_s=0.05))
    assert log.last_seq(RUN) == 1
    with pytest.raises(EnvironmentFault, match="locked by another program") as caught:
        log.append(RUN, [fact()], expected_seq=1)
    assert "close" in caught.value.hint
    raw.execute("COMMIT")
    raw.close()
    log.append(RUN, [fact()], expected_seq=1)
    log.close()


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder that nobody may write; the test acts as a user to whom permissions apply."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "state"
        folder.mkdir()
        filled(folder / "existing.db", 1)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        (folder / "existing.db").chmod(0o444)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if was_root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_a_read_only_folder_is_named(ordinary_user: Path) -> None:
    with pytest.raises(EnvironmentFault, match="Permission denied") as caught:
        Database(ordinary_user / "orchestrator.db")
    assert "--home" in caught.value.hint
    with pytest.raises(EnvironmentFault, match="cannot be"):
        filled(ordinary_user / "existing.db", 1)
    with pytest.raises(EnvironmentFault, match="Permission denied"):
        Database(ordinary_user / "deeper" / "orchestrator.db")


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_disappears_under_a_living_process_is_named(database_file: Path, how: str) -> None:
    with closing(SqliteEventLog(Database(database_file))) as log:
        log.append(RUN, [fact()], expected_seq=0)
        shutil.rmtree(database_file.parent)  # as `git clean -fdx` does
        if how == "replaced":
            filled(database_file, 1)
        with pytest.raises(EnvironmentFault, match="was removed or replaced while it was in use"):
            log.append(RUN, [fact()], expected_seq=1)
        with pytest.raises(EnvironmentFault, match="was removed or replaced while it was in use"):
            log.read(RUN)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be used"):
        Database(tmp_path / "state" / "orchestrator.db")


# Old files

VERSION_1 = """
CREATE TABLE events (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
    version INTEGER NOT NULL, time TEXT NOT NULL, source TEXT NOT NULL, causation_id TEXT,
    correlation_id TEXT, data TEXT NOT NULL, PRIMARY KEY (run_id, seq)) WITHOUT ROWID;
CREATE TABLE leases (name TEXT NOT NULL PRIMARY KEY, token INTEGER NOT NULL, holder TEXT NOT NULL,
    acquired_at TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO events VALUES
    ('r-old', 1, 'a', 'run.paused', 1, '2026-01-01T10:00:00.000000+00:00', 's', NULL, NULL, '{"reason":"o"}'),
    ('r-old', 2, 'b', 'run.unpaused', 1, '2026-01-01T12:00:00.000000+00:00', 's', 'a', 'c', '{}'),
    ('r-new', 1, 'c', 'run.paused', 1, '2026-01-01T11:00:00.000000+00:00', 's', NULL, NULL, '{}');
INSERT INTO leases VALUES ('r-old', 7, 'pid 1', '2026-01-01T10:00:00.000000+00:00');
PRAGMA user_version = 1;
"""


@pytest.fixture
def old_file(database_file: Path) -> Path:
    database_file.parent.mkdir()
    raw = sqlite3.connect(database_file)
    raw.executescript(VERSION_1)
    raw.close()
    return database_file


def test_a_file_of_the_first_version_is_upgraded_with_all_it_holds(old_file: Path) -> None:
    database = Database(old_file)
    log = SqliteEventLog(database)
    assert database.query("PRAGMA user_version") == [(LATEST,)]
    assert database.query("PRAGMA journal_mode") == [("wal",)]
    assert log.streams() == ["r-new", "r-old"]
    assert [event.data for event in log.read(RunId("r-old"))] == [RunPaused(reason="o"), RunUnpaused()]
    assert log.append(RunId("r-old"), [fact()], expected_seq=2, fence=7)[0].seq == 3
    log.close()


def test_an_upgrade_that_fails_leaves_the_old_file_as_it_was(old_file: Path) -> None:
    raw = sqlite3.connect(old_file)
    raw.execute("CREATE TABLE streams_by_start (in_the_way)")
    raw.commit()
    with pytest.raises(InternalError):
        Database(old_file)
    assert raw.execute("PRAGMA user_version").fetchone() == (1,)
    assert [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")] == [
        "events",
        "leases",
        "streams_by_start",
    ]
    raw.close()


def test_an_upgraded_file_has_the_layout_of_a_new_one(old_file: Path, tmp_path: Path) -> None:
    def layout(path: Path) -> list[tuple[str, str, str]]:
        database = Database(path)
        rows = database.query("SELECT type, name, tbl_name FROM sqlite_master ORDER BY type, name")
        columns = [
            (name, str(database.query(f"PRAGMA table_info({name})")), "")
            for kind, name, _ in rows
            if kind == "table"
        ]
        database.close()
        return [*[(str(a), str(b), str(c)) for a, b, c in rows], *columns]

    assert layout(old_file) == layout(tmp_path / "new.db")
