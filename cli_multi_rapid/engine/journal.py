"""One stream, its folded state and the right to write to it."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from cli_multi_rapid import __version__
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.events import Event, NewEvent
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Branch, CorrelationId, EventId, RunId, queue_stream
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.ports import Bus, Clock, EventLog, Ids, Lease, StaleWriter


class Folded(Protocol):
    """A state that events add up to."""

    seq: int

    def apply(self, event: Event) -> None:
        """Fold one event."""


S = TypeVar("S", bound=Folded)


class Journal(Generic[S]):
    """Reads a stream into a state and appends facts to it, always in that order."""

    def __init__(
        self,
        *,
        stream: RunId,
        state: S,
        log: EventLog,
        bus: Bus,
        clock: Clock,
        ids: Ids,
        source: str,
    ) -> None:
        self.stream = stream
        self.state = state
        self.lease: Lease | None = None
        self.observers: list[Callable[[Event], None]] = []
        self._lost_fence: int | None = None
        """Of the lease that another process took: what is recorded without a new one is refused as well."""
        self._log = log
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._source = source
        self.correlation_id: CorrelationId | None = None
        """Given to every event that is appended from now on."""

    def catch_up(self) -> list[Event]:
        """Fold what others have appended, and return it."""
        return self._fold(self._log.read(self.stream, self.state.seq))

    def record(self, *facts: Payload, cause: EventId | None = None) -> list[Event]:
        """Append facts as the holder of the lease and fold them.

        A command that came in between is folded first; the facts stay true. Raises `EnvironmentFault` when
        another process holds the lease by now: then nothing was written, and `lease` is None.
        """
        if not facts:
            return []
        events = [self._new(fact, cause) for fact in facts]
        while True:
            try:
                appended = self._log.append(
                    self.stream,
                    events,
                    expected_seq=self.state.seq,
                    fence=self.lease.fence if self.lease else self._lost_fence,
                )
            except StaleWriter as stale:
                if stale.fenced:
                    self._lose_lease()
                    raise EnvironmentFault(
                        f"another process took over {self.stream}; this one stops",
                        hint="watch it with: cli-orchestrator status",
                    ) from stale
                self.catch_up()
                continue
            self._fold(appended)
            self._bus.hint(self.stream)
            return appended

    def _lose_lease(self) -> None:
        """From now on nothing here is ours to write or to tidy up: it may be the new holder's."""
        if self.lease is not None:
            self.lease.release()
            self._lost_fence = self.lease.fence
            self.lease = None

    def submit(self, fact: Payload) -> Event:
        """Append a fact without a lease, as people's commands and new entries of a queue are."""
        (event,) = self._log.append(self.stream, [self._new(fact, None)], expected_seq=None)
        self._bus.hint(self.stream)
        return event

    def nudge(self) -> None:
        """Wake whoever follows this stream, though nothing was appended."""
        self._bus.hint(self.stream)

    def offer(self, fact: Payload) -> Event | None:
        """Append a fact without a lease, but only when it follows the state that is folded.

        None: somebody wrote meanwhile, which is folded now; look again whether the fact still holds.
        """
        try:
            events = self._log.append(
                self.stream, [self._new(fact, None)], expected_seq=self.state.seq, fence=None
            )
        except StaleWriter:
            self.catch_up()
            return None
        self._fold(events)
        self._bus.hint(self.stream)
        return events[0]

    def _new(self, fact: Payload, cause: EventId | None) -> NewEvent:
        return NewEvent(
            id=self._ids.event_id(),
            time=self._clock.now(),
            source=self._source,
            data=fact,
            causation_id=cause,
            correlation_id=self.correlation_id,
        )

    def _fold(self, events: Sequence[Event]) -> list[Event]:
        for event in events:
            self.state.apply(event)
            for observe in self.observers:
                observe(event)
        return list(events)


class Writing(Protocol):
    """What it takes to write to any stream, as a workshop and the records have it."""

    @property
    def log(self) -> EventLog:
        """Where the streams are."""

    @property
    def bus(self) -> Bus:
        """Tells others that there is something new."""

    @property
    def clock(self) -> Clock:
        """Dates the events."""

    @property
    def ids(self) -> Ids:
        """Names them."""


def open_journal(by: Writing, stream: RunId, state: S) -> Journal[S]:
    """A stream with an empty state; what is appended has this release as its source."""
    return Journal(
        stream=stream,
        state=state,
        log=by.log,
        bus=by.bus,
        clock=by.clock,
        ids=by.ids,
        source=f"cli-orchestrator/{__version__}",
    )


def queue_journal(by: Writing, target: Branch) -> Journal[QueueState]:
    """The stream of a target's merge queue, with an empty state."""
    return open_journal(by, queue_stream(target), QueueState(target))
