"""What was spent today is known without reading the whole log."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.money import ZERO, parse_usd
from cli_multi_rapid.store import spending
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.spending import spent_since
from cli_multi_rapid.store.sqlite import SqliteEventLog
from tests.fakes.filled_logs import append_run
from tests.fakes.run_stories import success, timeout
from tests.fakes.sample_plans import START

ONE, TWO = RunId("r-one"), RunId("r-two")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "orchestrator.db")) as database:
        append_run(SqliteEventLog(database), success(), ONE)
        append_run(SqliteEventLog(database), timeout(), TWO)
        yield database


def test_the_money_of_all_runs_since_a_moment(database: Database) -> None:
    assert spent_since(database, START) == parse_usd("0.62")
    assert spent_since(database, START, without=ONE) == parse_usd("0.10")
    assert spent_since(database, START + timedelta(minutes=20)) == parse_usd("0.273")
    assert spent_since(database, START + timedelta(days=1)) == ZERO


def test_only_settled_attempts_are_read(database: Database) -> None:
    plan = database.query(f"EXPLAIN QUERY PLAN {spending._SETTLED}", ("", None))
    assert "USING INDEX settled_by_time (time>?)" in str(plan)


def test_a_row_that_makes_no_sense_is_named(database: Database) -> None:
    database.query("UPDATE events SET data = '{' WHERE type = 'budget.settled'")
    with pytest.raises(EnvironmentFault, match=r"is damaged: event \d+ \(budget.settled\) of r-one"):
        spent_since(database, START)
