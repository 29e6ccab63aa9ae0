"""The file of the event log survives the death of processes, and says what is wrong with it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.facts import Payload, RunStatus, Usage
from cli_multi_rapid.core.ids import NodeId, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_events import NodeSucceeded
from cli_multi_rapid.core.run_events import BudgetSettled, RunFinished, RunPaused
from cli_multi_rapid.ports import StaleWriter
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.migrations import LATEST
from cli_multi_rapid.store.sqlite import SqliteEventLog
from tests.conftest import REPOSITORY
from tests.fakes.stores import fact

RUN = RunId("20261120-090000-test")


@pytest.fixture
def database_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "orchestrator.db"


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
