"""A run leaves one log as text and enters another as the same run."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.events import NewEvent, Unknown
from cli_multi_rapid.core.ids import EventId, RunId
from cli_multi_rapid.core.run_events import RunPaused
from cli_multi_rapid.ports import EventLog
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.export import export_run, import_run
from cli_multi_rapid.store.memory import MemoryEventLog
from cli_multi_rapid.store.sqlite import SqliteEventLog
from tests.fakes.clock import START
from tests.fakes.filled_logs import append_run
from tests.fakes.run_stories import STORIES, success

RUN = RunId("r-one")


@pytest.fixture
def source() -> EventLog:
    return MemoryEventLog()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[EventLog]:
    with closing(SqliteEventLog(Database(tmp_path / "orchestrator.db"))) as log:
        yield log


@pytest.mark.parametrize("story", STORIES)
def test_a_run_arrives_as_it_left(source: EventLog, other: EventLog, story: str) -> None:
    append_run(source, STORIES[story](), RUN)
    lines = list(export_run(source, RUN))
    assert import_run(other, lines) == RUN
    assert other.read(RUN) == source.read(RUN)
    again = [json.loads(line) for line in export_run(other, RUN)]
    assert again == [json.loads(line) for line in lines]


def test_the_file_says_what_it_is_and_has_one_event_per_line(source: EventLog) -> None:
    append_run(source, success(), RUN)
    header, first, *rest = [json.loads(line) for line in export_run(source, RUN)]
    assert header == {
        "schema_version": 1,
        "kind": "cli-orchestrator.run",
        "run_id": RUN,
        "events": len(rest) + 1,
    }
    assert list(first) == [
        "id", "seq", "run_id", "type", "version", "time", "source", "causation_id", "correlation_id", "data",
    ]  # fmt: skip
    assert [event["seq"] for event in (first, *rest)] == list(range(1, len(rest) + 2))
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in export_run(source, RUN))


def test_events_of_a_later_release_travel_too(source: EventLog, other: EventLog) -> None:
    unknown = Unknown(name="node.teleported", of_version=3, data={"to": "mars \udcff"})
    new = NewEvent(id=EventId("e"), time=START, source="s", data=unknown)
    source.append(RUN, [new], expected_seq=0)
    import_run(other, export_run(source, RUN))
    assert other.read(RUN)[0].data == unknown


def test_an_existing_run_is_not_touched(source: EventLog) -> None:
    append_run(source, success(), RUN)
    lines = list(export_run(source, RUN))
    before = source.read(RUN)
    with pytest.raises(UserError, match="the run r-one is here already") as caught:
        import_run(source, lines)
    assert "status r-one" in caught.value.hint
    assert source.read(RUN) == before


def test_a_run_that_does_not_exist_cannot_be_exported(source: EventLog) -> None:
    with pytest.raises(UserError, match="there is no run r-one"):
        export_run(source, RUN)


HEADER = '{"schema_version": 1, "kind": "cli-orchestrator.run", "run_id": "r-one", "events": 1}'
EVENT = (
    '{"id": "e", "seq": 1, "run_id": "r-one", "type": "run.paused", "version": 1, '
    '"time": "2026-11-20T09:00:00+00:00", "source": "s", "data": {}}'
)


def test_a_file_by_hand_is_read(other: EventLog) -> None:
    import_run(other, [HEADER, "", EVENT, "\n"])
    assert other.read(RUN)[0].data == RunPaused()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: this is no JSON"),
        (["{"], "line 1: this is no JSON"),
        (["[]"], "line 1: this is no exported run"),
        ([EVENT], "line 1: this is no exported run"),
        (
            [HEADER.replace("1,", "2,", 1), EVENT],
            "line 1: the file has schema_version 2",
        ),
        ([HEADER.replace('"r-one"', "null"), EVENT], "line 1: the header must have run_id and events"),
        ([HEADER], "the file has 0 events of r-one, its header says 1"),
        ([HEADER, EVENT[:50]], "line 2: this is no JSON"),
        ([HEADER, "5"], "line 2: this is no event"),
        ([HEADER, EVENT.replace('"seq": 1, ', "")], "line 2: this is no event: there is no 'seq'"),
        ([HEADER, EVENT.replace('"seq": 1', '"seq": "1"')], "line 2: seq must be a whole number from 1"),
        ([HEADER, EVENT.replace('"id": "e"', '"id": null')], "line 2: id must be a text"),
        ([HEADER, EVENT.replace("+00:00", "")], "line 2: the time 2026-11-20T09:00:00 has no time zone"),
        ([HEADER, EVENT.replace("2026-11-20", "soon")], "line 2: this is no event"),
        ([HEADER, EVENT.replace('"data": {}', '"data": {"reason": 5}')], "line 2: expected <class 'str'>"),
        ([HEADER, "", EVENT.replace("r-one", "r-two")], "line 3: the event belongs to r-two, not to r-one"),
        ([HEADER, EVENT.replace('"seq": 1', '"seq": 2')], "event 1 of r-one is missing in the file"),
        (
            [HEADER.replace("r-one", "queue:main"), EVENT.replace("r-one", "queue:main")],
            "line 1: 'queue:main' cannot be the id of a run",
        ),
        ([HEADER.replace("r-one", "../../x"), EVENT], "line 1: '../../x' cannot be the id of a run"),
        ([HEADER, "[" * 100_000], "line 2: this is no JSON"),
        ([HEADER, EVENT.replace("{}", '{"x": 1e999}')], "line 2: this is no JSON: 1e999 is no finite number"),
        ([HEADER, EVENT.replace("{}", '{"x": NaN}')], "line 2: this is no JSON: NaN is no finite number"),
        ([HEADER, EVENT.replace('"seq": 1', f'"seq": {2**64}')], "line 2: this is no JSON: a number of 20"),
        ([HEADER, EVENT.replace('"e"', '"\\ud800"')], "line 2: id holds half a character"),
        ([HEADER, EVENT.replace('"data"', '"causation_id": [], "data"')], "causation_id must be a text"),
        (
            [HEADER, EVENT.replace("2026-11-20T09:00:00+00", "0001-01-01T00:00:00+09")],
            "line 2: the time 0001-01-01T00:00:00+09:00 lies at the end of the calendar",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_nothing_is_imported(
    other: EventLog, lines: list[str], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        import_run(other, lines)
    assert message in caught.value.message
    assert other.streams() == []


def test_events_that_are_here_already_in_another_run_are_refused(source: EventLog, other: EventLog) -> None:
    import_run(other, [HEADER, EVENT])
    with pytest.raises(UserError, match="events of r-two are here already"):
        import_run(other, [line.replace("r-one", "r-two") for line in (HEADER, EVENT)])
    assert other.streams() == [RUN]
