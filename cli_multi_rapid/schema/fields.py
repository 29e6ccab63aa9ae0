"""The keys of one mapping: every spelling known, each read as what it should be, all problems noted."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

from cli_multi_rapid.core.money import MicroUsd, parse_usd
from cli_multi_rapid.core.plan import Json
from cli_multi_rapid.schema.problems import Code
from cli_multi_rapid.schema.reading import Reading, Text
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import (
    Entry,
    Items,
    Scalar,
    Table,
    Value,
    boolean_of,
    is_null,
    number_of,
    plain_data,
    says_no_number,
)

E = TypeVar("E", bound=StrEnum)


class Keys(Struct, frozen=True, kw_only=True):
    """Which keys a mapping may have; keys that start with `x-` are the user's own and always allowed."""

    spelling: Mapping[str, str]
    """Each accepted spelling to the key it stands for."""

    @property
    def names(self) -> tuple[str, ...]:
        """The keys in their one spelling, in the order in which they were listed."""
        return tuple(dict.fromkeys(self.spelling.values()))


def keys(names: str, **aliases: str) -> Keys:
    """Keys from a list of names; `aliases` maps a key to its other spellings."""
    spelling = {name: name for name in names.split()}
    for name, others in aliases.items():
        spelling.update((other, name) for other in others.split())
    return Keys(spelling=spelling)


def open_table(reading: Reading, value: Value, known: Keys, what: str) -> "Fields | None":
    """The fields of a value that must be a mapping; None (and a problem) when it is none."""
    if not isinstance(value, Table):
        reading.wrong_type(value, what, "a mapping", suggestion=f"keys are: {', '.join(known.names)}")
        return None
    fields = Fields(reading, value, what)
    for name, entry in value.entries.items():
        key = known.spelling.get(name)
        if key is not None:
            fields.take(key, entry)
        elif not name.startswith("x-"):
            close = reading.did_you_mean(name, known.spelling)
            reading.report(
                Code.UNKNOWN_KEY,
                entry.key,
                f"unknown key {quoted(name)} in {what}",
                suggestion=close or f"keys are: {', '.join(known.names)}",
            )
    return fields


class Fields:
    """The values of one mapping by their key. A key with nothing counts as absent."""

    __slots__ = ("_entries", "reading", "table", "what")

    def __init__(self, reading: Reading, table: Table, what: str) -> None:
        self.reading = reading
        self.table = table
        self.what = what
        """How messages call the mapping, such as "node `n1`"."""
        self._entries: dict[str, Entry] = {}

    def take(self, key: str, entry: Entry) -> None:
        """Accept an entry under the one spelling of its key."""
        first = self._entries.get(key)
        if first is None:
            if not is_null(entry.value):
                self._entries[key] = entry
        elif not is_null(entry.value) and plain_data(first.value) != plain_data(entry.value):
            self.reading.report(
                Code.TWO_SPELLINGS,
                entry.key,
                f"{self.what} has both {quoted(first.key.text)} and {quoted(entry.key.text)}, "
                "which mean the same, with different values",
                notes=[f"{quoted(first.key.text)} is on line {self.reading.line(first.key)}"],
                suggestion=f"keep {quoted(key)} only",
            )

    def has(self, key: str) -> bool:
        """Whether the key is there with a value."""
        return key in self._entries

    def value(self, key: str) -> Value | None:
        """The raw value."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def at(self, key: str) -> Value:
        """Where to point for a problem with a key: at its value, else at the mapping."""
        entry = self._entries.get(key)
        return self.table if entry is None else entry.value

    def key_at(self, key: str) -> Value:
        """Where the key itself stands, else the mapping."""
        entry = self._entries.get(key)
        return self.table if entry is None else entry.key

    def name_of(self, key: str) -> str:
        """How messages call a key: as it was spelled."""
        entry = self._entries.get(key)
        return f"{quoted(key if entry is None else entry.key.text)} of {self.what}"

    def missing(self, key: str, suggestion: str) -> None:
        """Note that a key must be there."""
        self.reading.report(
            Code.MISSING_KEY, self.table, f"{self.what} has no {quoted(key)}", suggestion=suggestion
        )

    def text(self, key: str) -> Text | None:
        """A text."""
        value = self.value(key)
        return None if value is None else self.reading.text(value, self.name_of(key))

    def shell_line(self, key: str) -> Text | None:
        """A line for a shell."""
        value = self.value(key)
        return None if value is None else self.reading.shell_line(value, self.name_of(key))

    def string(self, key: str, default: str = "") -> str:
        """A text without its place."""
        text = self.text(key)
        return default if text is None else text.text

    def optional_string(self, key: str) -> str | None:
        """A text without its place, or None."""
        text = self.text(key)
        return None if text is None else text.text

    def texts(self, key: str) -> tuple[Text, ...]:
        """A list of texts; empty when absent."""
        value = self.value(key)
        return () if value is None else self.reading.texts(value, self.name_of(key))

    def strings(self, key: str) -> tuple[str, ...]:
        """A list of texts without their places."""
        return tuple(text.text for text in self.texts(key))

    def globs(self, key: str) -> tuple[Text, ...]:
        """A list of paths or globs from the repository's root."""
        return tuple(text for text in self.texts(key) if self.reading.glob(text, "path or glob"))

    def items(self, key: str, expected: str, *, of_texts: bool = False) -> tuple[Value, ...]:
        """A list of anything; empty when absent. `of_texts`: plain texts may be among it."""
        value = self.value(key)
        if value is None or isinstance(value, Items):
            return () if value is None else value.items
        hint = f"write [{value.text}]" if isinstance(value, Scalar) and of_texts else ""
        self.reading.wrong_type(value, self.name_of(key), expected, suggestion=hint)
        return ()

    def entries(self, key: str, expected: str) -> tuple[Entry, ...]:
        """The entries of a mapping with free keys; empty when absent."""
        value = self.value(key)
        if value is None or isinstance(value, Table):
            return () if value is None else tuple(value.entries.values())
        self.reading.wrong_type(value, self.name_of(key), expected)
        return ()

    def data(self, key: str) -> Json:
        """Plain data; None when absent."""
        value = self.value(key)
        return None if value is None else self.reading.data(value)

    def flag(self, key: str) -> bool | None:
        """True or false."""
        value = self.value(key)
        if value is None:
            return None
        flag = boolean_of(value) if isinstance(value, Scalar) else None
        if flag is None:
            self.reading.wrong_type(
                value, self.name_of(key), "true or false", suggestion="write true or false"
            )
        return flag

    def number(self, key: str, *, low: float, high: float) -> float | None:
        """A number within bounds (both allowed)."""
        value = self.value(key)
        if value is None:
            return None
        number = number_of(value) if isinstance(value, Scalar) else None
        if number is None:
            self._no_number(value, key, "a number", low, high)
        elif not low <= number <= high:
            self._out_of_range(value, key, low, high)
        else:
            return float(number)
        return None

    def integer(self, key: str, *, low: int, high: int) -> int | None:
        """A whole number within bounds (both allowed)."""
        value = self.value(key)
        if value is None:
            return None
        number = number_of(value) if isinstance(value, Scalar) else None
        if number is None or number != int(number):
            self._no_number(value, key, "a whole number", low, high)
        elif not low <= number <= high:
            self._out_of_range(value, key, low, high)
        else:
            return int(number)
        return None

    def amount(self, key: str) -> MicroUsd | None:
        """An amount in dollars, as a number or as a text such as `$1.50`."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, Scalar):
            self.reading.wrong_type(value, self.name_of(key), "an amount in dollars", suggestion="write 4.50")
            return None
        try:
            return parse_usd(value.text)
        except ValueError:
            self.reading.report(
                Code.BAD_AMOUNT,
                value,
                f"{self.name_of(key)} must be an amount between 0 and 1,000,000,000 dollars, "
                f"found {quoted(value.text)}",
                suggestion="write a plain number such as 4.50",
            )
            return None

    def choice(self, key: str, kind: type[E]) -> E | None:
        """One of a few words."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return kind(text.text)
        except ValueError:
            words = [str(member) for member in kind]
            close = self.reading.did_you_mean(text.text, words)
            self.reading.report(
                Code.BAD_VALUE,
                text.at,
                f"{self.name_of(key)} is one of {', '.join(words)}, found {quoted(text.text)}",
                suggestion=close or f"write {words[0]}",
            )
            return None

    def _no_number(self, value: Value, key: str, expected: str, low: float, high: float) -> None:
        hint = f"write {expected} between {low:g} and {high:g}"
        if key.endswith("_s"):
            hint = f"write {expected} of seconds, such as 600"
        if (
            isinstance(value, Scalar)
            and not value.plain
            and number_of(value._replace(plain=True)) is not None
        ):
            hint = "write it without quotes"
        if isinstance(value, Scalar) and says_no_number(value):
            expected = f"{expected} that is finite"
        self.reading.wrong_type(value, self.name_of(key), expected, suggestion=hint)

    def _out_of_range(self, value: Value, key: str, low: float, high: float) -> None:
        self.reading.report(
            Code.BAD_VALUE,
            value,
            f"{self.name_of(key)} must be between {low:g} and {high:g}",
            suggestion=f"write a number between {low:g} and {high:g}",
        )
