"""A database with a log and read models in it."""

from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.ports import EventLog
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.read_models import ReadModels
from cli_multi_rapid.store.sqlite import SqliteEventLog

TABLES = ("workstreams", "ledger", "merge_history", "audit", "projection_positions", "projections")

Tables = dict[str, list[tuple[object, ...]]]


class World(Struct, frozen=True, kw_only=True):
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
