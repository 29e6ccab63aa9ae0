"""The record of a run is locked, damaged, gone, too new or read-only: that is said, and mended it goes on."""

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import Tell
from tests.faults.rows import Part
from tests.faults.struck_runs import end_of, make_scene
from tests.faults.tight_disks import read_only

_PAGE = 4096
_REMOVED = ["was removed or replaced while it was in use", "should run does not exist"]
"""What is missed first: the database, or the folder that git works in."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def corrupt(database: Path) -> None:
    """Overwrite the beginning of every page but the first."""
    with opened(database) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = database.stat().st_size
    with database.open("r+b") as file:
        for page in range(1, size // _PAGE):
            file.seek(page * _PAGE)
            file.write(b"\xa5" * 100)


def truncate(database: Path) -> None:
    """Cut the file after three pages."""
    with opened(database) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        file.truncate(3 * _PAGE)


def clean_away(database: Path) -> None:
    """What a person does who tidies up with git."""
    # It fails where the run tidies up at the same moment.
    subprocess.run(["git", "clean", "-fdxq"], cwd=database.parent.parent, check=False)


def put_back(backup: Path, database: Path) -> None:
    """Replace the damaged database, as the hint says."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    database.parent.mkdir(exist_ok=True)
    backup.rename(database)


@pytest.mark.parametrize(
    ("fault", "strike", "words", "hints"),
    [
        ("overwritten in part", corrupt, ["is damaged"], ["put back a backup"]),
        ("truncated", truncate, ["is damaged"], ["put back a backup"]),
        ("removed by git clean -fdx", clean_away, _REMOVED, ["lane/*", "such as `git clean -fdx`"]),
    ],
    ids=["overwritten", "truncated", "removed"],
)
def test_a_run_whose_record_is_damaged_stops_and_goes_on_from_a_backup(
    tmp_path: Path, tell: Tell, fault: str, strike: Callable[[Path], None], words: list[str], hints: list[str]
) -> None:
    scene = make_scene(tmp_path)
    database, backup = scene.state / "orchestrator.db", tmp_path / "backup.db"
    with scene.at_work() as program:
        with opened(database) as other:
            other.execute("VACUUM INTO ?", (str(backup),))
        strike(database)
        scene.go.touch()
        ended = end_of(program)
    assert ended.status == 5
    assert any(said in ended.err for said in words), ended.err
    assert any(said in ended.err for said in hints), ended.err
    refused = scene.resume()
    assert refused.status in (2, 5)  # 2: there is no run any more
    put_back(backup, database)
    assert scene.resume().status == 0
    scene.assert_whole()
    tell(
        Part.MACHINE,
        f"the database {fault} under a living run",
        f"exit 5 with `{words[0]}`; with a backup in place resume landed every node once",
    )


def test_a_database_that_another_program_locks_stops_the_run_and_resume_finishes_it(
    tmp_path: Path, tell: Tell
) -> None:
    scene = make_scene(tmp_path)
    with scene.at_work() as program, opened(scene.state / "orchestrator.db") as other:
        other.execute("BEGIN IMMEDIATE")
        scene.go.touch()
        ended = end_of(program)
    assert ended.status == 5
    assert "has been locked by another program for too long" in ended.err
    assert "close backups or database browsers" in ended.err
    assert scene.resume().status == 0
    scene.assert_whole()
    tell(
        Part.MACHINE,
        "the database locked by another program",
        "exit 5 after 5 s with what to close; resume landed every node once",
    )


def test_a_record_of_a_newer_release_is_refused_and_left_to_the_byte(tmp_path: Path, tell: Tell) -> None:
    scene = make_scene(tmp_path)
    database = scene.state / "orchestrator.db"
    with scene.at_work() as program:
        program.kill()
        program.wait()
    with opened(database) as other:
        (known,) = other.execute("PRAGMA user_version").fetchone()
        other.execute("PRAGMA user_version = 999")
    before = database.read_bytes()
    for words in (["resume"], ["status"], ["execute", str(scene.plan())]):
        refused = scene.type(*words)
        assert refused.status == 5, refused.err
        assert "was written by a newer release" in refused.err
        assert "upgrade cli-orchestrator" in refused.err
    assert database.read_bytes() == before
    with opened(database) as other:
        other.execute(f"PRAGMA user_version = {known}")
    scene.go.touch()
    assert scene.resume().status == 0
    scene.assert_whole()
    tell(
        Part.MACHINE,
        "state from a newer version",
        "resume, status and execute: exit 5 with `upgrade`, not one byte changed; afterwards resume finished",
        cases=3,
    )


def test_a_state_folder_that_turns_read_only_stops_the_run_and_resume_finishes_it(
    tmp_path: Path, tell: Tell
) -> None:
    scene = make_scene(tmp_path)
    with scene.at_work() as program, read_only(scene.state):
        scene.go.touch()
        ended = end_of(program)
    assert_read_only_is_told(ended.status, ended.err)
    assert "resume" in ended.err
    with read_only(scene.state):
        refused = scene.resume()
        assert_read_only_is_told(refused.status, refused.err)
    assert scene.resume().status == 0
    scene.assert_whole()
    tell(
        Part.MACHINE,
        "the state folder turns read-only under a living run, and is so at the start",
        "exit 5 with `make the disk writable again`; then resume landed every node once",
        cases=2,
    )


def assert_read_only_is_told(status: int, errors: str) -> None:
    """Whoever came upon it first says it in words of its own."""
    assert status == 5, errors
    assert "Read-only file system" in errors or "cannot be written" in errors
    assert "hint: " in errors
