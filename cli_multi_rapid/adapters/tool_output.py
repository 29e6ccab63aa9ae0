"""What a configured tool says of itself, found in its output by dotted paths (JSON) or regexes (text).

A dotted path names keys and list places (`usage.output_tokens`, `items.0.text`); several joined by ` + ` are
added. In JSON lines, the last line that has the path counts. In text, the last match counts, and of a match
its groups (several are added) or, without groups, all of it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from cli_multi_rapid.core.money import MicroUsd, parse_usd

Found: TypeAlias = object
"""A JSON value or a text of the tool; None when there is none."""

_LARGEST_COUNT: Final = 10**15
_SUFFIXES: Final = {"": 1, "k": 1_000, "m": 1_000_000}
_COUNT: Final = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kKmM]?)\s*")


class Finder(Protocol):
    """Finds the values that one rule names."""

    def find(self, output: "Output") -> tuple[Found, ...]:
        """What the rule names, one value for each part of a sum; empty when it is not there."""


class Output(Struct, frozen=True, kw_only=True):
    """The output of a tool, read once: as text, and as the JSON objects in it."""

    text: str
    records: tuple[dict[str, object], ...] = ()


class PathFinder(Struct, frozen=True):
    """A dotted path, or several whose values are added."""

    paths: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "PathFinder":
        """Read `a.b.c` or `a.b + a.c`."""
        return cls(tuple(tuple(part.strip().split(".")) for part in text.split(" + ")))

    def find(self, output: Output) -> tuple[Found, ...]:
        """The values in the last record that has any of them."""
        for record in reversed(output.records):
            found = tuple(value for path in self.paths if (value := value_at(record, *path)) is not None)
            if found:
                return found
        return ()


class RegexFinder(Struct, frozen=True):
    """A regular expression; `^` and `$` stand for the ends of lines."""

    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> "RegexFinder":
        """Compile the expression. Raises `re.error`."""
        return cls(re.compile(text, re.MULTILINE))

    def find(self, output: Output) -> tuple[Found, ...]:
        """The groups of the last match."""
        last = None
        for match in self.pattern.finditer(output.text):
            last = match
        if last is None:
            return ()
        return tuple(group for group in last.groups() if group is not None) or (last[0],)


def value_at(value: Found, *path: str) -> Found:
    """The value under keys and list places, one below the other; None when it is not there."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and re.fullmatch(r"-?[0-9]{1,6}", key):
            value = value[int(key)] if -len(value) <= int(key) < len(value) else None
        else:
            return None
    return value


def text_at(value: Found, *path: str) -> str:
    """The text under a path; empty when there is none."""
    found = value_at(value, *path)
    return found if isinstance(found, str) else ""


def count_at(value: Found, *path: str) -> int:
    """The count under a path; 0 when there is none."""
    return _count(value_at(value, *path))


def items_at(value: Found, *path: str) -> list[object]:
    """The list under a path; empty when there is none."""
    found = value_at(value, *path)
    return found if isinstance(found, list) else []


def entries_at(value: Found, *path: str) -> dict[str, object]:
    """The mapping under a path; empty when there is none."""
    found = value_at(value, *path)
    return found if isinstance(found, dict) else {}


def read_json(text: str) -> Output:
    """The JSON object that is the output, or else the last one that starts a line in it."""
    whole = _object(text)
    if whole is not None:
        return Output(text=text, records=(whole,))
    return Output(text=text, records=tuple(read_objects(text))[-1:])


def read_jsonl(text: str) -> Output:
    """The JSON objects that stand on lines of their own; other lines are passed over."""
    lines = (line.strip() for line in text.splitlines())
    parsed = (_object(line) for line in lines if line.startswith("{") and line.endswith("}"))
    return Output(text=text, records=tuple(record for record in parsed if record is not None))


def read_text(text: str) -> Output:
    """The output as it is."""
    return Output(text=text)


def as_text(found: Sequence[Found]) -> str:
    """What was found, for a person: texts and lists of texts as they are, other values as JSON."""
    return "\n".join(_words(value) for value in found)


def as_cost(found: Sequence[Found]) -> MicroUsd | None:
    """The sum of amounts in dollars; None when there is none or one of them is no amount."""
    try:
        amounts = [parse_usd(_number(value)) for value in found]
    except (TypeError, ValueError):
        return None
    return MicroUsd(sum(amounts)) if amounts else None


def as_count(found: Sequence[Found]) -> int:
    """The sum of token counts, `1.2k` included; what is no count adds nothing."""
    return sum(_count(value) for value in found)


def _words(value: Found) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: Found) -> int | float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("no number")
    return value.replace(",", "") if isinstance(value, str) else value


def _count(value: Found) -> int:
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return int(value) if 0 <= value <= _LARGEST_COUNT else 0  # false for NaN too
    match = _COUNT.fullmatch(value.replace(",", "")) if isinstance(value, str) else None
    return int(float(match[1]) * _SUFFIXES[match[2].lower()]) if match else 0


def _object(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # a tool's output may be anything
        return None
    return value if isinstance(value, dict) else None


def read_objects(text: str) -> Iterator[dict[str, object]]:
    """The JSON objects that start a line, however many lines they go over."""
    decoder, position = json.JSONDecoder(), 0
    while (match := _LINE_OF_OBJECT.search(text, position)) is not None:
        start = match.end() - 1
        try:
            value, position = decoder.raw_decode(text, start)
        except ValueError:
            position = start + 1
            continue
        except RecursionError:  # what lies inside is nested as deeply: another try there would take as long
            position = start + _DEEP
            continue
        yield value


_DEEP: Final = 4096
"""Characters that a text nested beyond all reason has at least."""
_LINE_OF_OBJECT: Final = re.compile(r"^[ \t]{0,64}\{", re.MULTILINE)
