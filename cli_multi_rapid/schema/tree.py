"""Builds the tree of a document from the events of a reader; the rules that YAML and JSON share live here."""

import re
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.schema.problems import Code, Problems
from cli_multi_rapid.schema.source import Place, Source, quoted
from cli_multi_rapid.schema.values import DEEPEST, Entry, Items, Scalar, Table, Value, is_null

MOST_ALIASED: Final = 200_000
"""Values that aliases may repeat in all: far more than a real plan, far less than a bomb."""

_FORBIDDEN: Final = re.compile("[\x00\ud800-\udfff]")


class Stop(Exception):
    """Nothing sensible can be read after this point; the problem is already noted."""


class _Open(Struct):
    """A list or table whose end was not yet reached."""

    offset: int
    anchor: str | None
    weight_before: int
    items: list[Value] | None
    """None: a table."""
    entries: dict[str, Entry] = field(default_factory=dict)
    key: Scalar | None = None
    merged: list[Entry] = field(default_factory=list)
    key_unusable: bool = False


class TreeBuilder:
    """Takes the parts of a document in source order and makes its tree, without recursion."""

    def __init__(self, source: Source, problems: Problems, *, merge_keys: bool) -> None:
        self._source = source
        self._problems = problems
        self._merge_keys = merge_keys
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._weight = 0
        self._aliased = 0
        self.root: Value | None = None

    def report(self, code: Code, offset: int, message: str, *, suggestion: str = "") -> None:
        """Note a problem of this document."""
        self._problems.report(code, Place(source=self._source, offset=offset), message, suggestion=suggestion)

    def scalar(self, text: str, plain: bool, offset: int, anchor: str | None = None) -> None:
        """A text, number, boolean or null."""
        if not plain and _FORBIDDEN.search(text):
            self.report(
                Code.CHARACTER,
                offset,
                "this text holds a NUL or half of a surrogate pair, which no path or command can",
                suggestion="remove the escape",
            )
        value = Scalar(text, plain, offset)
        self._weight += 1
        if anchor is not None:
            self._anchors[anchor] = value, 1
        self._place(value)

    def begin_list(self, offset: int, anchor: str | None = None) -> None:
        """The items follow, then `end`."""
        self._open(_Open(offset, anchor, self._weight, []))

    def begin_table(self, offset: int, anchor: str | None = None) -> None:
        """Keys and values follow in turn, then `end`."""
        self._open(_Open(offset, anchor, self._weight, None))

    def end(self) -> None:
        """The innermost open list or table is complete."""
        done = self._stack.pop()
        value: Value
        if done.items is not None:
            value = Items(tuple(done.items), done.offset)
        else:
            for entry in done.merged:
                done.entries.setdefault(entry.key.text, entry)
            value = Table(done.entries, done.offset)
        self._weight += 1
        if done.anchor is not None:
            self._anchors[done.anchor] = value, self._weight - done.weight_before
        self._place(value)

    def alias(self, name: str, offset: int) -> None:
        """A value once more that was named before."""
        if name not in self._anchors:
            inside = any(part.anchor == name for part in self._stack)
            reason = "is inside of what it repeats" if inside else "repeats a value that was not named before"
            self.report(
                Code.ALIAS, offset, f"the alias *{name} {reason}", suggestion=f"name a value &{name} first"
            )
            raise Stop
        value, weight = self._anchors[name]
        self._weight += weight
        self._aliased += weight
        if self._aliased > MOST_ALIASED:
            self.report(
                Code.TOO_MANY_ALIASES,
                offset,
                f"aliases repeat more than {MOST_ALIASED:,} values",
                suggestion="write the repeated parts out, or make the document smaller",
            )
            raise Stop
        self._place(value)

    def _open(self, part: _Open) -> None:
        if len(self._stack) >= DEEPEST:
            self.report(
                Code.TOO_DEEP, part.offset, f"nested deeper than {DEEPEST} levels", suggestion="flatten it"
            )
            raise Stop
        self._stack.append(part)

    def _place(self, value: Value) -> None:
        if not self._stack:
            self.root = value
            return
        top = self._stack[-1]
        if top.items is not None:
            top.items.append(value)
        elif top.key_unusable:
            top.key_unusable = False
        elif top.key is None:
            self._take_key(top, value)
        else:
            key, top.key = top.key, None
            if key.plain and key.text == "<<" and self._merge_keys:
                self._merge(top, key, value)
            else:
                self._take_entry(top, key, value)

    def _take_key(self, top: _Open, value: Value) -> None:
        if type(value) is Scalar:
            top.key = value
            return
        self.report(Code.BAD_KEY, value.offset, "a key must be a text", suggestion="quote it")
        top.key_unusable = True

    def _take_entry(self, top: _Open, key: Scalar, value: Value) -> None:
        first = top.entries.get(key.text)
        if first is None:
            top.entries[key.text] = Entry(key, value)
            return
        line = self._source.line_and_column(first.key.offset)[0]
        self.report(
            Code.DUPLICATE_KEY,
            key.offset,
            f"the key {quoted(key.text)} is already on line {line} of this mapping",
            suggestion="keep one of the two",
        )

    def _merge(self, top: _Open, key: Scalar, value: Value) -> None:
        tables = value.items if isinstance(value, Items) else (value,)
        for table in tables:
            if isinstance(table, Table):
                top.merged.extend(table.entries.values())
            elif not is_null(table):
                self.report(
                    Code.MERGE_KEY,
                    key.offset,
                    "`<<` merges mappings, and this is none",
                    suggestion="give it an alias of a mapping, such as `<<: *defaults`",
                )
