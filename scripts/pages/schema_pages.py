"""`docs/reference/schemas.md`: the keys of every document, from the published JSON schemas."""

from collections.abc import Iterator, Mapping
from typing import Any

from cli_multi_rapid.schema.published import load_schema, schema_names
from scripts.pages.page import table, write_page


def write() -> str:
    """Write the page."""
    lines = ["# Documents", "", "Written from the published JSON schemas; do not edit.", ""]
    for name in schema_names():
        lines.extend(_describe(name, load_schema(name)))
    return write_page("schemas.md", lines)


def _describe(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield str(schema.get("description") or schema.get("title") or "")
    yield ""
    yield f"In an editor: `# yaml-language-server: $schema=…/{name}.json`; print it: `schema show {name}`."
    yield ""
    required = set(schema.get("required", ()))
    rows = [
        (f"`{key}`", _type_of(value), "yes" if key in required else "", str(value.get("description", "")))
        for key, value in schema.get("properties", {}).items()
        if isinstance(value, Mapping)
    ]
    if rows:
        yield from table(("key", "type", "required", "meaning"), rows)
        yield ""


def _type_of(value: Mapping[str, Any]) -> str:
    kind = value.get("type")
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    return str(kind or ("one of " + ", ".join(map(str, value["enum"])) if "enum" in value else "see schema"))
