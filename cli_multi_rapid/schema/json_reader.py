"""JSON to the tree of a document.

The standard reader gives no positions and keeps only the last of two equal keys; a YAML reader refuses valid
JSON (escaped surrogate pairs, long keys). One regular expression finds the tokens, and strings are decoded by
the standard library.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined] # typeshed leaves it out; it is documented in C
from typing import Final

from cli_multi_rapid.schema.problems import Code, Problems
from cli_multi_rapid.schema.source import Source, quoted
from cli_multi_rapid.schema.tree import Stop, TreeBuilder
from cli_multi_rapid.schema.values import Value

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_LITERAL: Final = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w.])|(?:true|false|null)\b"
)
_WORD: Final = re.compile(r"[^\s,:\[\]{}\"]+|.")


def read_json(source: Source, problems: Problems) -> Value | None:
    """The tree of the document in a text; None when it cannot be read (problems tell)."""
    builder = TreeBuilder(source, problems, merge_keys=False)
    try:
        _Reader(source.text, builder).read()
    except Stop:
        return None
    return builder.root


class _Reader:
    """Walks over the text once. What may come next follows from the closers that are still due."""

    def __init__(self, text: str, builder: TreeBuilder) -> None:
        self._text = text
        self._builder = builder
        self._at = 0
        self._closers: list[str] = []

    def read(self) -> None:
        """One value and nothing behind it."""
        self._value()
        while self._closers:
            char = self._next()
            if char == self._closers[-1]:
                self._close()
            elif char == ",":
                self._at += 1
                self._after_comma()
            else:
                self._refuse(f"expected `,` or `{self._closers[-1]}`", "add the comma or bracket before this")
        if self._next():
            self._refuse("there is something behind the document's end", "remove it")

    def _next(self) -> str:
        """Skip white space; the character there, or an empty text at the end."""
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr] # it always matches
        return self._text[self._at : self._at + 1]

    def _value(self) -> None:
        """Read a scalar, or the start of a list or table down to its first scalar."""
        while True:
            char = self._next()
            if char == "{":
                self._builder.begin_table(self._at)
                self._closers.append("}")
            elif char == "[":
                self._builder.begin_list(self._at)
                self._closers.append("]")
            else:
                self._scalar(char)
                return
            self._at += 1
            if self._next() == self._closers[-1]:
                self._close()
                return
            if self._closers[-1] == "}":
                self._key()

    def _close(self) -> None:
        self._at += 1
        self._closers.pop()
        self._builder.end()

    def _after_comma(self) -> None:
        if self._next() == self._closers[-1]:
            self._refuse("there is nothing behind the last comma", "remove the comma; JSON allows none here")
        if self._closers[-1] == "}":
            self._key()
        self._value()

    def _key(self) -> None:
        if self._next() != '"':
            self._refuse('expected a key in "quotes"', "JSON keys are always in double quotes")
        self._string()
        if self._next() != ":":
            self._refuse("expected `:` behind the key", "add the colon")
        self._at += 1

    def _scalar(self, char: str) -> None:
        if char == '"':
            self._string()
            return
        match = _LITERAL.match(self._text, self._at)
        if match is None:
            self._refuse(*_what_instead(self._text, self._at))
        else:
            self._builder.scalar(match.group(), True, self._at)
            self._at = match.end()

    def _string(self) -> None:
        start = self._at
        try:
            text, self._at = scanstring(self._text, start + 1, True)
        except json.JSONDecodeError as error:
            self._at = min(error.pos, max(len(self._text) - 1, 0))
            what = error.msg.removesuffix(" at").removesuffix(" starting").lower()
            self._refuse(what, 'write line breaks as \\n, and close the "')
        else:
            self._builder.scalar(text, False, start)

    def _refuse(self, what: str, suggestion: str) -> None:
        at = min(self._at, max(len(self._text) - 1, 0))
        self._builder.report(Code.SYNTAX, at, f"this is not JSON: {what}", suggestion=suggestion)
        raise Stop


def _what_instead(text: str, at: int) -> tuple[str, str]:
    """Why no value starts here, and what to write."""
    match = _WORD.match(text, at)
    if match is None:
        return "the text ends before the document does", "close the open brackets"
    word = match.group()
    if word.startswith("'"):
        return "a text is in single quotes", "use double quotes"
    if word.startswith(("//", "/*", "#")):
        return "there are no comments in JSON", "remove the comment, or use a .yaml file"
    if word.lstrip("+-") in ("NaN", "Infinity", "inf", "nan"):
        return f"{quoted(word)} is not a number here", "write a finite number"
    return f"expected a value, found {quoted(word)}", "put texts into double quotes"
