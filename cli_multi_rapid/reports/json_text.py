"""JSON for people and programs: a document with an indentation of two."""

import json

from msgspec import DecodeError
from msgspec.json import format as indent


def indented_json(document: object, *, ascii_only: bool = True) -> str:
    """What `json.dumps(document, indent=2)` says, but by C code, which that has not for indentation."""
    text = json.dumps(document, ensure_ascii=ascii_only)
    try:
        return indent(text, indent=2)
    except (DecodeError, UnicodeEncodeError):  # half of a surrogate pair, from a tool's text or a file's name
        return json.dumps(document, indent=2, ensure_ascii=ascii_only)
