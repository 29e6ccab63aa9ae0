"""The event log and the leases in memory: the same contract as on disk, for tests and dry runs."""

import threading
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, field

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.core.events import Event, NewEvent
from cli_multi_rapid.core.ids import EventId, RunId
from cli_multi_rapid.ports import EventIdUsed, StaleWriter
from cli_multi_rapid.store.envelope import placed


class MemoryLeases:
    """Leases among the threads of one process."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._tokens: dict[str, int] = {}
        self._held: dict[str, MemoryLease] = {}

    def acquire(self, name: str) -> "MemoryLease | None":
        """The lease, or None while it is held."""
        with self._turn:
            if name in self._held:
                return None
            self._tokens[name] = self._tokens.get(name, 0) + 1
            self._held[name] = MemoryLease(name=name, fence=self._tokens[name], leases=self)
            return self._held[name]

    def holder(self, name: str) -> str | None:
        """Who holds it, or None."""
        with self._turn:
            return "this process" if name in self._held else None

    def newest_token(self, name: str) -> int | None:
        """The token of the last acquisition; None when there was none."""
        return self._tokens.get(name)

    def forget(self, name: str) -> None:
        """Free the lease as if its holder had died: the holder itself is not told."""
        with self._turn:
            self._held.pop(name, None)

    def give_back(self, lease: "MemoryLease") -> None:
        """Free the lease, unless somebody else holds it by now."""
        with self._turn:
            if self._held.get(lease.name) is lease:
                del self._held[lease.name]


class MemoryLease(Struct, frozen=True, kw_only=True):
    """A holding; see `ports.Lease`."""

    name: str
    fence: int
    leases: MemoryLeases

    def release(self) -> None:
        """Give it back; safe to call twice."""
        self.leases.give_back(self)


class _Stream(Struct):
    started: tuple[datetime, int]
    events: list[Event] = field(default_factory=list)


class MemoryEventLog:
    """The log in memory; see `ports.EventLog`. Fences are checked against the given leases."""

    def __init__(self, leases: MemoryLeases | None = None) -> None:
        self._leases = leases or MemoryLeases()
        self._turn = threading.Lock()
        self._streams: dict[RunId, _Stream] = {}
        self._ids: set[EventId] = set()
        self._closed = False

    def append(
        self,
        run_id: RunId,
        events: Sequence[NewEvent],
        *,
        expected_seq: int | None,
        fence: int | None = None,
    ) -> list[Event]:
        """Append all events or none."""
        with self._turn:
            self._check_open()
            stream = self._streams.get(run_id)
            last = len(stream.events) if stream else 0
            if fence is not None and fence != self._leases.newest_token(run_id):
                raise StaleWriter(run_id, last if expected_seq is None else expected_seq, last, fenced=True)
            if expected_seq is not None and expected_seq != last:
                raise StaleWriter(run_id, expected_seq, last)
            ids = {event.id for event in events}
            if len(ids) < len(events) or not ids.isdisjoint(self._ids):
                raise EventIdUsed(f"{run_id}: an event id was used before")
            if not events:
                return []
            if stream is None:
                stream = self._streams[run_id] = _Stream((events[0].time, len(self._streams)))
            appended = [placed(run_id, seq, event) for seq, event in enumerate(events, last + 1)]
            stream.events.extend(appended)
            self._ids |= ids
            return appended

    def read(self, run_id: RunId, after_seq: int = 0, *, limit: int | None = None) -> list[Event]:
        """The events of a stream after a place, in order."""
        with self._turn:
            self._check_open()
            stream = self._streams.get(run_id)
            end = None if limit is None else after_seq + limit
            return stream.events[after_seq:end] if stream else []

    def last_seq(self, run_id: RunId) -> int:
        """The last place of a stream; 0 when there is no such stream."""
        with self._turn:
            self._check_open()
            stream = self._streams.get(run_id)
            return len(stream.events) if stream else 0

    def streams(self) -> list[RunId]:
        """Every stream's id, queues included, by the time of its first event, the latest first."""
        with self._turn:
            self._check_open()
            return sorted(self._streams, key=lambda run_id: self._streams[run_id].started, reverse=True)

    def close(self) -> None:
        """End the log; its events are gone with it."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise InternalError("the event log was closed")
