"""The event log keeps its promises, on every implementation."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.core.events import NewEvent, Unknown
from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.ids import Branch, CorrelationId, EventId, NodeId, RunId, ToolName, queue_stream
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_events import NodeSkipped
from cli_multi_rapid.core.run_events import BudgetSettled, CommandGiven, RunPaused, RunUnpaused
from cli_multi_rapid.ports import EventLog, StaleWriter
from tests.fakes.clock import START, CountingIds
from tests.fakes.filled_logs import append_run
from tests.fakes.run_stories import STORIES
from tests.fakes.stores import Store, fact, memory_store, sqlite_store

RUN = RunId("20261120-090000-test")
OTHER = RunId("20261120-090001-test")


@pytest.fixture(params=[memory_store, sqlite_store], ids=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    make: Callable[[Path], Store] = request.param
    store = make(tmp_path)
    yield store
    store.log.close()


@pytest.fixture
def log(store: Store) -> EventLog:
    return store.log


# What every log promises


def test_events_come_back_as_they_were_with_places_from_one(log: EventLog) -> None:
    settled = BudgetSettled(
        node_id=NodeId("n1"),
        attempt=1,
        tool=ToolName("aider"),
        action="implement",
        usage=Usage(cost=MicroUsd(247_000), input_tokens=8000, output_tokens=243, model="m", source="tool"),
    )
    facts = [
        NewEvent(
            id=EventId("e1"),
            time=datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2))),
            source="engine",
            data=settled,
            causation_id=EventId("e0"),
            correlation_id=CorrelationId("coord-1"),
        ),
        fact(NodeSkipped(node_id=NodeId("n2"), reason="no money", by_budget=True)),
    ]
    appended = log.append(RUN, facts, expected_seq=0)
    assert [event.seq for event in appended] == [1, 2]
    assert log.read(RUN) == appended
    first = appended[0]
    assert (first.run_id, first.type, first.version) == (RUN, "budget.settled", 1)
    assert (first.id, first.causation_id, first.correlation_id) == ("e1", "e0", "coord-1")
    assert first.data == settled
    assert first.time == datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
    assert log.read(RUN)[0].time.tzinfo is not None


@pytest.mark.parametrize("story", STORIES)
def test_a_whole_run_is_read_back_as_it_was(log: EventLog, story: str) -> None:
    history = STORIES[story]()
    append_run(log, history, history.run)
    assert [event.data for event in log.read(history.run)] == [event.data for event in history.events]


def test_a_stream_can_be_read_from_a_place_and_in_portions(log: EventLog) -> None:
    log.append(RUN, [fact() for _ in range(5)], expected_seq=0)
    assert [event.seq for event in log.read(RUN, 2)] == [3, 4, 5]
    assert [event.seq for event in log.read(RUN, 2, limit=2)] == [3, 4]
    assert log.read(RUN, 5) == []
    assert log.read(RUN, 1, limit=0) == []
    assert log.last_seq(RUN) == 5


def test_an_unknown_stream_is_empty(log: EventLog) -> None:
    assert log.read(RUN) == []
    assert log.last_seq(RUN) == 0
    assert log.streams() == []


def test_streams_count_each_on_its_own_and_the_latest_start_comes_first(log: EventLog) -> None:
    queue = queue_stream(Branch("main"))
    log.append(OTHER, [fact(after_s=60)], expected_seq=0)
    log.append(RUN, [fact(after_s=0)], expected_seq=0)
    log.append(queue, [fact(after_s=60)], expected_seq=0)
    log.append(RUN, [fact(after_s=500)], expected_seq=1)
    assert [log.last_seq(stream) for stream in (OTHER, RUN, queue)] == [1, 2, 1]
    assert log.streams() == [queue, OTHER, RUN]


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_stale_writer_changes_nothing(log: EventLog, expected: int) -> None:
    log.append(RUN, [fact(), fact()], expected_seq=0)
    with pytest.raises(StaleWriter, match=f"expected seq {expected}, the stream is at 2") as caught:
        log.append(RUN, [fact()], expected_seq=expected)
    assert caught.value.actual == 2
    assert not caught.value.fenced
    assert log.last_seq(RUN) == 2
    log.append(RUN, [fact()], expected_seq=2)


def test_a_stale_first_writer_leaves_no_stream_behind(log: EventLog) -> None:
    with pytest.raises(StaleWriter):
        log.append(RUN, [fact()], expected_seq=7)
    assert log.streams() == []


def test_a_command_is_appended_between_the_appends_of_the_loop(log: EventLog) -> None:
    log.append(RUN, [fact()], expected_seq=0)
    [command] = log.append(RUN, [fact(CommandGiven(command="pause", by="ann"))], expected_seq=None)
    assert command.seq == 2
    with pytest.raises(StaleWriter) as caught:
        log.append(RUN, [fact()], expected_seq=1)
    assert not caught.value.fenced
    assert log.read(RUN, 1) == [command]
    assert log.append(RUN, [fact(RunUnpaused())], expected_seq=2)[0].seq == 3


def test_the_holder_of_the_lease_may_write(store: Store) -> None:
    lease = store.leases.acquire(RUN)
    assert lease is not None
    store.log.append(RUN, [fact()], expected_seq=0, fence=lease.fence)
    assert store.log.last_seq(RUN) == 1


def test_a_holder_whose_lease_was_taken_over_writes_nothing(store: Store) -> None:
    old = store.leases.acquire(RUN)
    assert old is not None
    old.release()  # as when the kernel freed it
    new = store.leases.acquire(RUN)
    assert new is not None
    for expected in (0, None, 5):
        with pytest.raises(StaleWriter) as caught:
            store.log.append(RUN, [fact()], expected_seq=expected, fence=old.fence)
        assert caught.value.fenced
    assert store.log.last_seq(RUN) == 0
    store.log.append(RUN, [fact()], expected_seq=0, fence=new.fence)


def test_a_fence_without_a_lease_is_refused(store: Store) -> None:
    lease = store.leases.acquire(OTHER)
    assert lease is not None
    with pytest.raises(StaleWriter) as caught:
        store.log.append(RUN, [fact()], expected_seq=0, fence=lease.fence)
    assert caught.value.fenced


def test_an_event_of_a_later_release_is_kept_as_it_is(log: EventLog) -> None:
    unknown = Unknown(name="node.teleported", of_version=3, data={"node_id": "n1", "to": ["mars", None, 1.5]})
    newer = Unknown(name="run.paused", of_version=99, data={"why": {"deep": "reason"}})
    log.append(RUN, [fact(unknown), fact(newer)], expected_seq=0)
    first, second = log.read(RUN)
    assert (first.type, first.version, first.data) == ("node.teleported", 3, unknown)
    assert (second.type, second.version, second.data) == ("run.paused", 99, newer)


def test_all_events_of_an_append_or_none(log: EventLog) -> None:
    used = fact()
    log.append(RUN, [used], expected_seq=0)
    with pytest.raises(InternalError, match="an event id was used before"):
        log.append(RUN, [fact(), used], expected_seq=1)
    with pytest.raises(InternalError, match="an event id was used before"):
        log.append(OTHER, [used], expected_seq=0)
    assert log.last_seq(RUN) == 1
    assert log.streams() == [RUN]


def test_an_append_of_nothing_only_checks(log: EventLog) -> None:
    assert log.append(RUN, [], expected_seq=0) == []
    assert log.streams() == []
    with pytest.raises(StaleWriter):
        log.append(RUN, [], expected_seq=1)


def test_any_text_survives(log: EventLog) -> None:
    reason = 'ünï \x00 \udcff \U0001f600 \u2028 "quoted" \'; DROP TABLE events; --'
    log.append(RUN, [fact(RunPaused(reason=reason))], expected_seq=0)
    assert log.read(RUN)[0].data == RunPaused(reason=reason)


def test_nothing_can_be_appended_to_a_closed_log(log: EventLog) -> None:
    log.close()
    with pytest.raises(InternalError):
        log.append(RUN, [fact()], expected_seq=0)


def test_threads_that_append_at_once_leave_no_gap(log: EventLog) -> None:
    def work() -> None:
        for _ in range(50):
            log.append(RUN, [fact(), fact()], expected_seq=None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = log.read(RUN)
    assert [event.seq for event in events] == list(range(1, 401))
    assert len({event.id for event in events}) == 400


Appends = list[tuple[int, int, int | None]]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 6))), max_size=12
    )
)
def test_both_logs_say_the_same(appends: Appends) -> None:
    """(stream, number of events, expected seq) one after the other gives the same answers everywhere."""
    with TemporaryDirectory() as folder:
        stores = [memory_store(Path(folder)), sqlite_store(Path(folder))]
        answers = []
        for store in stores:
            ids, told = CountingIds(), []
            for stream, number, expected in appends:
                facts = [
                    NewEvent(id=ids.event_id(), time=START, source="test", data=RunPaused(reason=str(stream)))
                    for _ in range(number)
                ]
                try:
                    told.append(str(store.log.append(RunId(f"r{stream}"), facts, expected_seq=expected)))
                except StaleWriter as stale:
                    told.append(str(stale))
            streams = store.log.streams()
            answers.append((told, streams, [store.log.read(stream) for stream in streams]))
            store.log.close()
        assert answers[0] == answers[1]
