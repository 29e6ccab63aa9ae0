"""Event logs with whole stories in them, for tests of what is derived from a log."""

from collections.abc import Iterable
from datetime import timedelta

from cli_multi_rapid.core.events import Event, NewEvent
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import CorrelationId, RunId, queue_stream
from cli_multi_rapid.ports import EventLog
from tests.fakes.histories import History
from tests.fakes.sample_plans import MAIN

QUEUE = queue_stream(MAIN)
"""The stream of the queue that the stories land on."""


def as_new(event: Event, prefix: str, *, correlation_id: CorrelationId | None = None) -> NewEvent:
    """The event as it was before it had a place, with an id of its own for each prefix."""
    return NewEvent(
        id=type(event.id)(f"{prefix}.{event.id}"),
        time=event.time,
        source=event.source,
        data=event.data,
        causation_id=event.causation_id,
        correlation_id=correlation_id or event.correlation_id,
    )


def is_queue_fact(event: Event) -> bool:
    """Whether the event is one that the queue's own stream tells, and the run only mirrors."""
    return event.type.startswith(("merge.", "check."))


def append_run(
    log: EventLog, history: History, run_id: RunId, *, correlation_id: CorrelationId | None = None
) -> list[NewEvent]:
    """Append a story as one run, and what concerns the queue to the queue's stream first, as the engine does.

    Returns the run's events.
    """
    events = [as_new(event, run_id, correlation_id=correlation_id) for event in history.events]
    queued = [as_new(event, f"q.{run_id}") for event in history.events if is_queue_fact(event)]
    if queued:
        log.append(QUEUE, queued, expected_seq=None)
    log.append(run_id, events, expected_seq=0)
    return events


def append_facts(log: EventLog, stream: RunId, facts: Iterable[Payload]) -> None:
    """Append more facts at the end of a stream, a second apart."""
    (last,) = log.read(stream, log.last_seq(stream) - 1)
    new = [
        NewEvent(
            id=type(last.id)(f"{stream}.more.{last.seq + number}"),
            time=last.time + timedelta(seconds=number),
            source="test",
            data=fact,
        )
        for number, fact in enumerate(facts, 1)
    ]
    log.append(stream, new, expected_seq=last.seq)
