"""Documents are read back as the values that were written, and a document that does not fit is refused."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from cli_multi_rapid.core.codec import CorruptDocument, from_data, to_data
from cli_multi_rapid.core.plan import Plan
from tests.fakes.sample_plans import oauth_plan

Name = NewType("Name", str)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Circle(Struct, frozen=True, kw_only=True):
    kind: ClassVar[str] = "circle"
    radius: float


class Group(Struct, frozen=True, kw_only=True):
    kind: ClassVar[str] = "group"
    parts: "tuple[Circle | Group, ...]" = ()


class Sheet(Struct, frozen=True, kw_only=True):
    name: Name
    shape: Circle | Group
    colour: Colour = Colour.RED
    spare: Circle | Group | None = None
    count: int | None = None
    ratio: float = 0.0
    shown: bool = True
    drawn: datetime | None = None
    tags: tuple[str, ...] = ("plain",)
    extra: Mapping[str, Any] = field(default_factory=dict)
    value: str | int | list[Any] | None = None
    free: Any = None


NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
sheets = st.builds(
    Sheet,
    extra=st.dictionaries(st.text(), st.integers()),
    ratio=st.floats(allow_nan=False),
    drawn=st.none() | st.datetimes(timezones=st.just(UTC)),
    value=st.none() | st.text() | st.integers() | st.lists(st.integers()),
    free=st.none() | st.text(),
    shape=st.recursive(
        st.builds(Circle, radius=st.floats(allow_nan=False)),
        lambda inner: st.builds(Group, parts=st.lists(inner, max_size=3).map(tuple)),
        max_leaves=6,
    ),
)


@given(sheets)
def test_what_was_written_is_read_back(sheet: Sheet) -> None:
    assert from_data(Sheet, json.loads(json.dumps(to_data(sheet)))) == sheet


def test_defaults_are_left_out_and_filled_in() -> None:
    sheet = Sheet(name=Name("a"), shape=Circle(radius=1.0))
    assert to_data(sheet) == {"name": "a", "shape": {"kind": "circle", "radius": 1.0}}
    assert from_data(Sheet, to_data(sheet)) == sheet


def test_an_empty_tuple_is_not_mistaken_for_a_default_that_is_not_empty() -> None:
    sheet = Sheet(name=Name("a"), shape=Group(), tags=())
    assert to_data(sheet)["tags"] == []
    assert from_data(Sheet, to_data(sheet)).tags == ()


def test_a_document_of_a_newer_release_is_read_without_its_new_fields() -> None:
    data = {"name": "a", "shape": {"kind": "circle", "radius": 2, "unit": "cm"}, "invented": [1]}
    assert from_data(Sheet, data) == Sheet(name=Name("a"), shape=Circle(radius=2.0))


def test_every_kind_of_value_is_written_plainly() -> None:
    sheet = Sheet(name=Name("a"), shape=Group(), colour=Colour.BLUE, drawn=NOW, extra={"k": (1, None)})
    assert to_data(sheet) == {
        "name": "a",
        "shape": {"kind": "group"},
        "colour": "blue",
        "drawn": "2026-01-02T03:04:05.000678+00:00",
        "extra": {"k": [1, None]},
    }


GOOD = {"name": "a", "shape": {"kind": "circle", "radius": 1.0}}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        {"name": "a"},
        {**GOOD, "name": 1},
        {**GOOD, "shape": {"kind": "square"}},
        {**GOOD, "shape": {"radius": 1.0}},
        {**GOOD, "shape": {"kind": "circle", "radius": "wide"}},
        {**GOOD, "shape": "circle"},
        {**GOOD, "colour": "green"},
        {**GOOD, "count": "1"},
        {**GOOD, "tags": "plain"},
        {**GOOD, "tags": [1]},
        {**GOOD, "drawn": "yesterday"},
        {**GOOD, "drawn": 7},
        {**GOOD, "extra": [1]},
        {**GOOD, "shown": "yes"},
    ],
)
def test_a_document_that_does_not_fit_is_called_corrupt(data: Any) -> None:
    with pytest.raises(CorruptDocument):
        from_data(Sheet, data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.sampled_from(["plan_id", "nodes", "merge_policy", "budget", "checks"]), json_values)
def test_garbage_is_refused_as_corrupt_and_never_raises_anything_else(
    garbage: Any, key: str, part: Any
) -> None:
    for data in (garbage, {**to_data(oauth_plan()), key: part}):
        try:
            assert isinstance(from_data(Plan, data), Plan)
        except CorruptDocument:
            continue


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="complex has no JSON form"):
        to_data(1j)
