"""Records to plain JSON values and back, driven by their type hints.

Defaults are left out when writing and filled in when reading, and unknown keys are ignored, so a stored
document outlives a release that adds a field. Members of a union of records carry their `kind`.
"""

import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

_PLAIN = frozenset((str, int, float, bool, type(None)))

T = TypeVar("T")
Decoder = Callable[[Any], Any]


class CorruptDocument(ValueError):
    """A stored document does not have the shape of its type."""


def to_data(value: object) -> Any:
    """The plain JSON value of a record, enum, time, tuple, mapping or primitive."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Struct):
        return _object_to_data(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_data(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_data(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    return _object_to_data(value)


def from_data(cls: type[T], data: Any) -> T:
    """Read a record back. Raises `CorruptDocument` when the document does not fit the type."""
    hint: Any = cls
    try:
        result: T = _decoder(hint)(data)
    except CorruptDocument:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise CorruptDocument(f"{cls.__name__}: {error}") from error
    return result


def read_time(data: Any) -> datetime:
    """A time of a document. Raises `ValueError` or `TypeError` for what is none, or has no zone."""
    time = datetime.fromisoformat(data)
    if time.tzinfo is None:
        raise CorruptDocument(f"the time {data} has no time zone")
    try:
        time.astimezone(UTC)
    except OverflowError as error:
        raise CorruptDocument(f"the time {data} lies at the end of the calendar") from error
    return time


def _object_to_data(value: object) -> dict[str, Any]:
    cls: Any = type(value)
    kind = getattr(cls, "kind", None)
    result: dict[str, Any] = {} if kind is None else {"kind": kind}
    for name, default in _written_fields(cls):
        item = getattr(value, name)
        if item is not default and item != default:
            result[name] = item if type(item) in _PLAIN else to_data(item)
    return result


@cache
def _written_fields(cls: Any) -> tuple[tuple[str, object], ...]:
    if not issubclass(cls, Struct):
        raise TypeError(f"{cls.__name__} has no JSON form")
    return tuple(
        (f.name, f.default_factory() if f.default_factory is not NODEFAULT else f.default)
        for f in fields(cls)
    )


@cache
def _decoder(hint: Any) -> Decoder:
    """Compile the reader of one type hint."""
    if isinstance(hint, NewType):
        return _decoder(hint.__supertype__)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union_decoder(get_args(hint))
    if origin is tuple:
        item = _decoder(get_args(hint)[0])
        return lambda data: tuple(item(part) for part in _expect(list, data))
    if origin is not None:  # the remaining generics of our types are mappings from texts
        value = _decoder(get_args(hint)[1])
        return lambda data: {key: value(part) for key, part in _expect(dict, data).items()}
    if isinstance(hint, type) and issubclass(hint, Struct):
        cls: Any = hint
        return _record_decoder(cls)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint is datetime:
        return read_time
    if hint is float:
        return lambda data: float(_expect((int, float), data))
    if hint in (str, int, bool):
        return lambda data: _expect(hint, data)
    return lambda data: data


def _expect(kind: Any, data: Any) -> Any:
    if not isinstance(data, kind):
        raise CorruptDocument(f"expected {kind}, found {type(data).__name__}")
    return data


def _union_decoder(members: tuple[Any, ...]) -> Decoder:
    classes = {
        m.kind: _lazy(m)
        for m in members
        if isinstance(m, type) and issubclass(m, Struct) and hasattr(m, "kind")
    }
    if classes:
        return lambda data: None if data is None else classes[data["kind"]](data)
    plain = [m for m in members if m is not type(None)]
    if len(plain) == 1:
        item = _decoder(plain[0])
        return lambda data: None if data is None else item(data)
    return lambda data: data  # a JSON value: str | int | list | ...


def _record_decoder(cls: Any) -> Decoder:
    hints = get_type_hints(cls)
    readers = {name: _lazy(hints[name]) for name in cls.__struct_fields__}

    def read(data: Any) -> Any:
        _expect(dict, data)
        return cls(**{name: reader(data[name]) for name, reader in readers.items() if name in data})

    return read


def _lazy(hint: Any) -> Decoder:
    """Postpone the compilation of a field, so that recursive types end."""

    def read(data: Any) -> Any:
        return _decoder(hint)(data)

    return read
