"""Logs to test with, and facts to put into them."""

from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.events import NewEvent
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.run_events import RunPaused
from cli_multi_rapid.ports import EventLog, Leases
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.leases import FileLeases
from cli_multi_rapid.store.memory import MemoryEventLog, MemoryLeases
from cli_multi_rapid.store.sqlite import SqliteEventLog
from cli_multi_rapid.system import RandomIds
from tests.fakes.clock import START, FakeClock


class Store(Struct, frozen=True, kw_only=True):
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


_ids = RandomIds()


def fact(data: Payload | None = None, *, after_s: float = 0) -> NewEvent:
    return NewEvent(
        id=_ids.event_id(),
        time=START + timedelta(seconds=after_s),
        source="test",
        data=data or RunPaused(reason="lunch"),
    )
