"""A file or text to a document: its tree, and the source that its offsets point into."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.plan import Json
from cli_multi_rapid.schema.collector import collector_paused
from cli_multi_rapid.schema.json_reader import read_json
from cli_multi_rapid.schema.problems import Code, Problems
from cli_multi_rapid.schema.source import Place, Source
from cli_multi_rapid.schema.values import Table, Value, describe, plain_data

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of one document: some 20,000 nodes."""

# All but what YAML calls printable: control characters have no business in a plan. It takes ten milliseconds
# to compile, so plain ASCII has a pattern of its own.
_FORBIDDEN: Final = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_FORBIDDEN_ASCII: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Document(Struct, frozen=True, kw_only=True):
    """A text that was read: the tree of its root mapping."""

    source: Source
    root: Table
    errors: int = 0
    """How many errors were noted while it was read; with any of them nothing typed is made from it."""

    @property
    def name(self) -> str:
        """The file's name as the person gave it."""
        return self.source.name

    def place(self, value: Value) -> Place:
        """Where a value of this document stands."""
        return Place(source=self.source, offset=value.offset)

    def data(self) -> Mapping[str, Json]:
        """The plain JSON value of the whole document."""
        return {name: plain_data(entry.value) for name, entry in self.root.entries.items()}


def load_document(path: Path, problems: Problems, *, name: str | None = None) -> Document | None:
    """Read a file; a name that ends in `.json` means JSON, everything else YAML. None when it is refused."""
    shown = name or str(path)
    try:
        size = path.stat().st_size
        if size > LARGEST:
            _refuse_size(problems, shown)
            return None
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)  # a device or pipe has no size beforehand
    except OSError as error:
        reason = error.strerror or str(error)
        problems.report_file(
            Code.UNREADABLE, shown, f"cannot be read: {reason}", suggestion="check the path and its rights"
        )
        return None
    return read_document(content, shown, problems)


@collector_paused()
def read_document(
    content: str | bytes, name: str, problems: Problems, *, is_json: bool | None = None
) -> Document | None:
    """Read a text that is already here. None when it is refused; the problems tell why.

    `is_json`: None means by the name.
    """
    if len(content) > LARGEST:
        _refuse_size(problems, name)
        return None
    text = content if isinstance(content, str) else _decode(content, name, problems)
    if text is None:
        return None
    source = Source(name=name, text=text.removeprefix("\ufeff"))
    if not _has_only_text(source, problems):
        return None
    before = problems.error_count
    root = _read(source, problems, name.lower().endswith(".json") if is_json is None else is_json)
    errors = problems.error_count - before
    if isinstance(root, Table):
        return Document(source=source, root=root, errors=errors)
    if root is None:
        if not errors:
            problems.report_file(Code.EMPTY, name, "is empty", suggestion="see the README for an example")
        return None
    problems.report(
        Code.WRONG_TYPE,
        Place(source=source, offset=root.offset),
        f"the document must be a mapping with keys, found {describe(root)}",
        suggestion="start with keys such as `nodes:`",
    )
    return None


def document_of(data: Mapping[str, Json], name: str) -> Document:
    """A document from plain data, with places in its JSON text. Raises `ValueError` for what is no JSON."""
    problems = Problems()
    text = json.dumps(data, indent=2, allow_nan=False)
    document = read_document(text, name, problems, is_json=True)
    if document is None or document.errors:
        raise ValueError(problems.to_text())
    return document


def _read(source: Source, problems: Problems, is_json: bool) -> Value | None:
    if not source.text.strip():
        return None
    if is_json:
        return read_json(source, problems)
    # Imported here for start-up time: commands that only read JSON need not pay for the YAML library.
    from cli_multi_rapid.schema.yaml_reader import read_yaml  # noqa: PLC0415

    return read_yaml(source, problems)


def _refuse_size(problems: Problems, name: str) -> None:
    problems.report_file(
        Code.TOO_LARGE,
        name,
        f"is larger than {LARGEST // (1024 * 1024)} MB",
        suggestion="is this the right file? a plan of 1000 nodes has about 0.3 MB",
    )


def _decode(content: bytes, name: str, problems: Problems) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "is UTF-16" if utf16 else f"is not UTF-8: {error.reason} at byte {error.start}"
        before = content[: error.start].decode("utf-8")
        place = Place(source=Source(name=name, text=before + "�"), offset=len(before))
        problems.report(Code.ENCODING, place, what, suggestion="save the file as UTF-8")
        return None


def _has_only_text(source: Source, problems: Problems) -> bool:
    text = source.text
    match = _FORBIDDEN_ASCII.search(text) if text.isascii() else re.search(_FORBIDDEN, text)
    if match is None:
        return True
    problems.report(
        Code.CHARACTER,
        Place(source=source, offset=match.start()),
        f"the character U+{ord(match.group()):04X} has no place in a text",
        suggestion="remove it, or write it as an escape in double quotes",
    )
    return False
