"""Files of earlier releases are upgraded completely or not at all."""

import sqlite3
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.run_events import RunPaused, RunUnpaused
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.migrations import LATEST
from cli_multi_rapid.store.sqlite import SqliteEventLog
from tests.fakes.stores import fact

RUN = RunId("20261120-090000-test")


@pytest.fixture
def database_file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "orchestrator.db"


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
