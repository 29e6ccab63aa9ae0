"""The tree of a document: texts, lists and tables, each with its offset in the source.

A scalar keeps its source text. What it means is decided by who reads it: where a text is expected, `yes`,
`012` and `2024-01-01` are texts; where a number is expected, `4.0` is one. A plan of 5000 nodes has 300,000
of these: they are tuples.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from cli_multi_rapid.core.plan import Json

DEEPEST: Final = 100
"""Levels of nesting; what is deeper is an attack or a mistake, and below this recursion is safe."""

_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,3})?")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]")
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NO_NUMBER: Final = frozenset(
    (".inf", "-.inf", "+.inf", ".nan", "nan", "inf", "-inf", "infinity", "-infinity")
)


class Scalar(NamedTuple):
    """A text, number, boolean or null, as it was written. Quoted and block texts are not `plain`."""

    text: str
    plain: bool
    offset: int


class Items(NamedTuple):
    """A list."""

    items: tuple["Value", ...]
    offset: int


class Entry(NamedTuple):
    """A key and its value."""

    key: Scalar
    value: "Value"


class Table(NamedTuple):
    """A mapping from texts, in source order."""

    entries: Mapping[str, Entry]
    offset: int


Value = Scalar | Items | Table


def is_null(value: Value) -> bool:
    """Whether a value says "nothing"; a key with nothing counts as absent."""
    return type(value) is Scalar and value.plain and value.text in _NULLS


def boolean_of(scalar: Scalar) -> bool | None:
    """True or false as YAML 1.2 and JSON write them; None for everything else, also `yes` and `on`."""
    return _BOOLEANS.get(scalar.text) if scalar.plain else None


def number_of(scalar: Scalar) -> int | float | None:
    """A finite decimal number; None for everything else. A leading zero makes a text, as in `007`."""
    text = scalar.text
    if not scalar.plain:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not _LEADING_ZERO.match(text):
        number = float(text)
        return number if abs(number) != float("inf") else None
    return None


def says_no_number(scalar: Scalar) -> bool:
    """Whether a plain scalar is one of the ways to write infinity or "not a number"."""
    return scalar.plain and scalar.text.lower() in _NO_NUMBER


def describe(value: Value) -> str:
    """What a value is, for "expected …, found …"."""
    if isinstance(value, Items):
        return "a list"
    if isinstance(value, Table):
        return "a mapping"
    if is_null(value):
        return "nothing"
    if boolean_of(value) is not None:
        return f"the boolean {value.text}"
    return "the text" if number_of(value) is None else f"the number {value.text[:40]}"


def plain_data(value: Value) -> Json:
    """The plain JSON value, with scalars as YAML 1.2 reads them."""
    if isinstance(value, Items):
        return [plain_data(item) for item in value.items]
    if isinstance(value, Table):
        return {name: plain_data(entry.value) for name, entry in value.entries.items()}
    if is_null(value):
        return None
    flag = boolean_of(value)
    if flag is not None:
        return flag
    number = number_of(value)
    return value.text if number is None else number
