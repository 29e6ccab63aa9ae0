"""`docs/reference/events.md`: every event type with its fields, from the catalogue."""

from collections.abc import Iterator
from inspect import getdoc
from typing import Any, get_type_hints

from msgspec.structs import fields

from cli_multi_rapid.core.events import CATALOGUE, DURABLE
from scripts.pages.page import table, write_page


def write() -> str:
    """Write the page."""
    lines = [
        "# Events",
        "",
        "Written from the catalogue in `cli_multi_rapid/core/events.py`; do not edit.",
        "Every event has the envelope `id, seq, run_id, type, version, time, source, causation_id,",
        "correlation_id, data`; `seq` counts from 1 without gaps in each stream.",
        "",
    ]
    for name, payload in sorted(CATALOGUE.items()):
        lines.extend(_describe(name, payload))
    return write_page("events.md", lines)


def _describe(name: str, payload: Any) -> Iterator[str]:
    durable = ", on disk before anybody acts on it" if name in DURABLE else ""
    yield f"## {name}"
    yield ""
    yield f"{getdoc(payload) or ''} (version {payload.version}{durable})"
    yield ""
    hints = get_type_hints(payload)
    rows = [
        (f"`{field.name}`", _type_name(hints[field.name]), "yes" if field.required else "")
        for field in fields(payload)
    ]
    if rows:
        yield from table(("field", "type", "required"), rows)
        yield ""


def _type_name(hint: Any) -> str:
    name = getattr(hint, "__name__", None)
    return f"`{name if name and not hasattr(hint, '__args__') else str(hint).replace('typing.', '')}`"
