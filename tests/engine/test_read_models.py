"""The read models say the same, whenever and however often they were caught up."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.events import NewEvent
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.merge_book import MergeBook
from cli_multi_rapid.store.projections import LedgerProjection, News
from cli_multi_rapid.store.queries import (
    ledger,
)
from cli_multi_rapid.store.read_models import ReadModels
from cli_multi_rapid.store.sqlite import SqliteEventLog
from tests.conftest import REPOSITORY
from tests.examples import examples
from tests.fakes.filled_logs import QUEUE, append_run, as_new, is_queue_fact
from tests.fakes.model_worlds import Tables, World, make_world
from tests.fakes.run_stories import STORIES, failed_check, success, timeout

ONE, TWO = RunId("r-one"), RunId("r-two")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    yield world
    world.database.close()


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


PORTIONS = (57, 41, 23, 13, 7)
"""How many events are taken at once: the quickest first, which is what hypothesis begins with."""


@given(cuts=st.lists(st.integers(0, 200), max_size=4), chunk=st.sampled_from(PORTIONS), reopen=st.booleans())
@settings(max_examples=examples(4), deadline=None)
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
    for number in range(10):
        append_run(world.log, timeout(), RunId(f"r-{number}"))
    program = f"""
from pathlib import Path
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.queries import ledger
from cli_multi_rapid.store.read_models import ReadModels
from cli_multi_rapid.store.sqlite import SqliteEventLog
database = Database(Path({str(world.database.path)!r}), timeout_s=30)
models = ReadModels(database, SqliteEventLog(database), chunk=10)
print("ready", flush=True)
input()
print(len(ledger(models)))
database.close()
"""
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        other.stdin.write(b"go\n")
        other.stdin.flush()
        assert len(ledger(ReadModels(world.database, world.log, chunk=10))) == 10
        assert other.communicate()[0] == b"10\n"


def test_only_a_queue_has_a_merge_book() -> None:
    with pytest.raises(ValueError, match="the stream of a run"):
        MergeBook(ONE)
