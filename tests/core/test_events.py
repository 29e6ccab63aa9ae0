"""Every event type survives the way to JSON and back; what this release does not know is kept as it is."""

import json
from collections import abc
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Any, ClassVar, NewType, Union, cast, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from cli_multi_rapid.core import events
from cli_multi_rapid.core.codec import CorruptDocument
from cli_multi_rapid.core.events import (
    CATALOGUE,
    DURABLE,
    Event,
    Unknown,
    payload_from_data,
    payload_to_data,
)
from cli_multi_rapid.core.facts import Payload, Usage
from cli_multi_rapid.core.ids import Branch, EventId, RunId, is_queue_stream, queue_stream
from cli_multi_rapid.core.node_events import NodeReset
from cli_multi_rapid.core.plan import JsonObject
from tests.examples import examples

texts = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
json_objects = st.dictionaries(texts, json_values, max_size=2)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    JsonObject: json_objects,
    type(None): st.none(),
}


@cache
def strategy_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type hint; of a record all fields are drawn, the optional ones too."""
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, NewType):
        return strategy_of(hint.__supertype__)
    if isinstance(hint, type) and issubclass(hint, Struct):
        hints = get_type_hints(hint)
        return st.builds(
            cast(Any, hint), **{name: st.deferred(of(hints[name])) for name in hint.__struct_fields__}
        )
    inner = get_args(hint)
    if get_origin(hint) is tuple:
        return st.lists(strategy_of(inner[0]), max_size=2).map(tuple)
    if get_origin(hint) is abc.Mapping:
        return st.dictionaries(strategy_of(inner[0]), strategy_of(inner[1]), max_size=2)
    if get_origin(hint) in (UnionType, Union):
        return st.one_of([strategy_of(member) for member in inner])
    return st.sampled_from(hint)  # an enum


def of(hint: Any) -> Callable[[], st.SearchStrategy[Any]]:
    return lambda: strategy_of(hint)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
@given(data=st.data())
@settings(max_examples=examples(6), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_event_survives_the_way_to_json_and_back(name: str, data: st.DataObject) -> None:
    payload = data.draw(strategy_of(cast(Any, CATALOGUE[name])))
    written = json.dumps(payload_to_data(payload))
    assert payload_from_data(name, payload.version, json.loads(written)) == payload


def test_every_name_in_the_catalogue_is_a_dotted_name_of_a_known_family() -> None:
    families = {"run", "node", "worktree", "budget", "merge", "check", "approval", "tool", "plan", "command"}
    assert {name.split(".")[0] for name in CATALOGUE} <= families
    assert all(CATALOGUE[name].type == name and CATALOGUE[name].version >= 1 for name in CATALOGUE)


def test_every_payload_of_the_program_is_in_the_catalogue() -> None:
    known = {kind.type for kind in Payload.__subclasses__() if kind.__module__.startswith("cli_multi_rapid.")}
    assert known - set(CATALOGUE) == {Unknown.type}


def test_what_moves_refs_or_money_is_on_disk_before_anybody_acts() -> None:
    assert {"merge.landing", "merge.landed", "merge.approved"} <= DURABLE
    assert {name for name in CATALOGUE if name.startswith(("budget.", "approval."))} <= DURABLE
    assert "check.started" not in DURABLE


@given(texts, st.integers(-3, 99), json_objects)
def test_a_type_of_another_release_is_kept_as_it_is(name: str, version: int, data: dict[str, Any]) -> None:
    name = f"future.{name}"
    kept = payload_from_data(name, version, data)
    assert kept == Unknown(name=name, of_version=version, data=data)
    assert payload_to_data(kept) == data
    event = envelope(kept)
    assert (event.type, event.version) == (name, version)


def test_a_newer_version_of_a_known_type_is_kept_and_not_misread() -> None:
    data = {"node": "n1", "why": "another shape"}
    kept = payload_from_data("node.reset", 2, data)
    assert kept == Unknown(name="node.reset", of_version=2, data=data)
    assert envelope(kept).version == 2


def test_an_envelope_tells_type_and_version_of_what_it_holds() -> None:
    event = envelope(NodeReset(node_id="n1", reason="again"))  # type: ignore[arg-type]  # a plain id will do
    assert (event.type, event.version) == ("node.reset", 1)


class Renamed(Payload, frozen=True, kw_only=True):
    type: ClassVar[str] = "test.renamed"
    version: ClassVar[int] = 3
    title: str
    size: int


def test_an_old_version_is_lifted_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(events.CATALOGUE, "test.renamed", Renamed)
    monkeypatch.setitem(events.LIFTERS, ("test.renamed", 1), lambda data: {"title": data["name"]})
    monkeypatch.setitem(events.LIFTERS, ("test.renamed", 2), lambda data: {**data, "size": 0})
    expected = Renamed(title="a", size=0)
    assert payload_from_data("test.renamed", 1, {"name": "a"}) == expected
    assert payload_from_data("test.renamed", 2, {"title": "a"}) == expected
    assert payload_from_data("test.renamed", 3, {"title": "a", "size": 0}) == expected
    with pytest.raises(CorruptDocument):
        payload_from_data("test.renamed", 1, {"nothing": "here"})


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_that_never_was_is_corrupt(version: int) -> None:
    with pytest.raises(CorruptDocument):
        payload_from_data("node.reset", version, {"node_id": "n1", "reason": "again"})


@pytest.mark.parametrize("name", sorted(name for name in CATALOGUE if CATALOGUE[name].__struct_fields__))
def test_an_event_whose_fields_have_the_wrong_type_is_corrupt(name: str) -> None:
    wrong = {field: object() for field in CATALOGUE[name].__struct_fields__}
    with pytest.raises(CorruptDocument):
        payload_from_data(name, 1, wrong)


@given(st.text(), st.text())
def test_the_stream_of_a_queue_is_never_taken_for_a_run(branch: str, run: str) -> None:
    assert is_queue_stream(queue_stream(Branch(branch)))
    assert is_queue_stream(RunId(run)) is run.startswith("queue:")
    assert not is_queue_stream(RunId(f"r{run}"))


@given(st.integers(0), st.integers(0))
def test_tokens_are_what_went_in_and_came_out(sent: int, received: int) -> None:
    assert Usage(input_tokens=sent, output_tokens=received, cached_tokens=7).tokens == sent + received


def envelope(payload: Payload) -> Event:
    return Event(
        id=EventId("e1"),
        seq=1,
        run_id=RunId("r1"),
        time=datetime(2026, 1, 1, tzinfo=UTC),
        source="test",
        data=payload,
    )
