"""The read models: tables beside the log that catch up with it when somebody asks.

Heavy to import (SQLModel): a command that does not ask must not pay for it. The questions are in `queries`.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Connection, Table, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlmodel import Session, SQLModel, col, delete, select

from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.ports import EventLog
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.faults import fault_of
from cli_multi_rapid.store.projections import (
    AuditProjection,
    LedgerProjection,
    MergeProjection,
    News,
    Projection,
    WorkstreamProjection,
)
from cli_multi_rapid.store.tables import PositionRow, ProjectionRow, ToolHealthRow

CHUNK = 2000
"""Events per transaction: catching up with a long log must not lock the writers of the log out."""

_KEPT: tuple[type[SQLModel], ...] = (PositionRow, ProjectionRow, ToolHealthRow)
"""The tables that are not dropped with a projection."""


class ReadModels:
    """The tables of the projections and their places in the log.

    Any number of threads and processes may ask: each piece of news is taken in one transaction together with
    the note of its place. Raises `EnvironmentFault` as `Database` does.
    """

    def __init__(self, database: Database, log: EventLog, *, chunk: int = CHUNK) -> None:
        self._path = database.path
        self._log = log
        self._chunk = chunk
        self._turn = threading.Lock()
        self._projections = _all_projections()
        self._engine = create_engine("sqlite://", creator=database.connect, poolclass=NullPool)
        event.listen(self._engine, "begin", _begin)
        with self.reading() as session:
            present = inspect(session.connection()).has_table(str(ToolHealthRow.__tablename__))
        if not present:
            with self.writing() as session:
                SQLModel.metadata.create_all(session.connection(), tables=_tables(_KEPT))

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent moment of the tables."""
        with self._session(writes=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """The only writer of the database for the length of the block."""
        with self._session(writes=True) as session:
            yield session

    def catch_up(self, name: str) -> None:
        """Bring one projection up to date with the log."""
        with self._turn:
            projection = self._projections[name]
            with self.reading() as session:
                known = session.get(ProjectionRow, name)
                current = known is not None and known.version == projection.version
            if not current:
                with self.writing() as session:
                    _lay_out(session, projection)
            while self._take_news(projection):
                pass

    def rebuild(self) -> None:
        """Drop every projection and fill it again from the events."""
        with self._turn:
            self._projections = _all_projections()
            with self.writing() as session:
                for projection in self._projections.values():
                    _lay_out(session, projection)
        for name in self._projections:
            self.catch_up(name)

    def _take_news(self, projection: Projection) -> bool:
        """Take one chunk; returns whether there may be more."""
        stale = self._stale_streams(projection)
        room = self._chunk
        if stale:
            with self.writing() as session:
                for run_id in stale:
                    room -= self._apply(session, projection, run_id, room)
                    if room <= 0:
                        break
        return room <= 0

    def _apply(self, session: Session, projection: Projection, run_id: RunId, limit: int) -> int:
        # The place is read again, under the lock: another process may have been quicker.
        place = session.get(PositionRow, (projection.name, run_id))
        place = place or PositionRow(projection=projection.name, run_id=run_id, seq=0)
        events = self._log.read(run_id, place.seq, limit=limit)
        if events:
            earlier = partial(self._log.read, run_id, limit=place.seq)
            projection.apply(session, News(stream=run_id, events=events, earlier=earlier))
            place.seq = events[-1].seq
            session.add(place)
        return len(events)

    def _stale_streams(self, projection: Projection) -> list[RunId]:
        """The streams with news, the earliest started first."""
        with self.reading() as session:
            rows = session.exec(select(PositionRow).where(PositionRow.projection == projection.name))
            places = {row.run_id: row.seq for row in rows}
        streams = reversed(self._log.streams())
        return [stream for stream in streams if self._log.last_seq(stream) > places.get(stream, 0)]

    @contextmanager
    def _session(self, *, writes: bool) -> Iterator[Session]:
        engine = self._engine.execution_options(writes=writes)
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.Error):
                raise fault_of(error.orig, self._path) from error
            raise


def _begin(connection: Connection) -> None:
    # The connection is in autocommit mode, so that it is we who say which transactions begin as writers.
    writes = connection.get_execution_options().get("writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _all_projections() -> dict[str, Projection]:
    projections: tuple[Projection, ...] = (
        WorkstreamProjection(),
        LedgerProjection(),
        MergeProjection(),
        AuditProjection(),
    )
    return {projection.name: projection for projection in projections}


def _lay_out(session: Session, projection: Projection) -> None:
    """Make the tables of a projection, empty, in place of what was there."""
    connection = session.connection()
    tables = _tables(projection.tables)
    SQLModel.metadata.drop_all(connection, tables=tables)
    SQLModel.metadata.create_all(connection, tables=tables)
    session.exec(delete(PositionRow).where(col(PositionRow.projection) == projection.name))
    session.merge(ProjectionRow(name=projection.name, version=projection.version))


def _tables(models: Sequence[type[SQLModel]]) -> list[Table]:
    return [SQLModel.metadata.tables[str(model.__tablename__)] for model in models]
