"""Any of our documents: which kind it is, and every problem that it has."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.schema.document import Document, load_document
from cli_multi_rapid.schema.names import did_you_mean
from cli_multi_rapid.schema.phases import parse_phases
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.settings_reader import parse_settings
from cli_multi_rapid.schema.streams import load_streams, parse_streams
from cli_multi_rapid.schema.tools import parse_tools


class DocumentKind(StrEnum):
    """What a document describes."""

    PLAN = "plan"
    STREAMS = "streams"
    PHASES = "phases"
    TOOLS = "tools"
    CONFIG = "config"


_TELLING_KEYS: Final[Mapping[str, DocumentKind]] = {
    "nodes": DocumentKind.PLAN,
    "streams": DocumentKind.STREAMS,
    "phases": DocumentKind.PHASES,
    "tools": DocumentKind.TOOLS,
    "workers": DocumentKind.CONFIG,
    "tool_limits": DocumentKind.CONFIG,
    "budget": DocumentKind.CONFIG,
    "worktrees": DocumentKind.CONFIG,
    "landing": DocumentKind.CONFIG,
    "claims": DocumentKind.CONFIG,
    "sandbox": DocumentKind.CONFIG,
    "retention_days": DocumentKind.CONFIG,
    "plan_id": DocumentKind.PLAN,
    "execution_order": DocumentKind.STREAMS,
    "checks": DocumentKind.CONFIG,
    "merge_policy": DocumentKind.CONFIG,
    "verification": DocumentKind.CONFIG,
}
"""The first of these keys that a document has tells its kind."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a document may refer to beside itself. None: any name goes."""

    known_tools: Collection[str] | None = None
    known_checks: Collection[str] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    default_base: str = "main"
    serialize_overlaps: bool = False


def kind_of(document: Document, problems: Problems) -> DocumentKind | None:
    """The kind of a document by its keys; None (and a problem) when they tell none."""
    for key, kind in _TELLING_KEYS.items():
        if key in document.root.entries:
            return kind
    names = ", ".join(f"`{key}`" for key in ("nodes", "streams", "phases", "tools", "workers"))
    some = islice(document.root.entries, 20)  # each look for what was meant takes a millisecond
    close = next(filter(None, (did_you_mean(key, _TELLING_KEYS) for key in some)), "")
    problems.report(
        Code.UNKNOWN_KIND,
        document.place(document.root),
        f"this is no plan, streams, phases, tools or configuration file: it has none of {names}",
        suggestion=close or "a plan starts with nodes:, a streams file with streams:",
    )
    return None


def validate_file(path: Path, problems: Problems, around: Surroundings | None = None) -> DocumentKind | None:
    """Note every problem of a file and return its kind. Needs no git, network or database.

    A phase that a streams file names and no file defines is a warning here: the phases may still be written.
    """
    around = around or Surroundings()
    first_look = Problems()
    document = load_document(path, first_look)
    kind = None if document is None else kind_of(document, first_look)
    if kind is DocumentKind.STREAMS:  # is read again, together with its phases
        load_streams(
            path,
            problems,
            known_tools=around.known_tools,
            known_checks=around.known_checks,
            serialize_overlaps=around.serialize_overlaps,
            undefined_phases=Severity.WARNING,
            default_base=around.default_base,
        )
        return kind
    problems.extend(first_look)
    if document is not None and kind is not None:
        validate_document(document, kind, problems, around)
    return kind


def validate_document(
    document: Document, kind: DocumentKind, problems: Problems, around: Surroundings
) -> None:
    """Note every problem of a document that is read already; of streams, without their phases."""
    match kind:
        case DocumentKind.PLAN:
            parse_plan_around(document, problems, around)
        case DocumentKind.STREAMS:
            parse_streams(
                document,
                problems,
                known_tools=around.known_tools,
                known_checks=around.known_checks,
                serialize_overlaps=around.serialize_overlaps,
                default_base=around.default_base,
            )
        case DocumentKind.PHASES:
            parse_phases(document, problems, known_tools=around.known_tools)
        case DocumentKind.TOOLS:
            parse_tools(document, problems, known_tools=around.known_tools)
        case DocumentKind.CONFIG:
            parse_settings([document], problems, known_tools=around.known_tools)


def parse_plan_around(document: Document, problems: Problems, around: Surroundings) -> Plan | None:
    """`parse_plan` with what surrounds the document."""
    return parse_plan(
        document,
        problems,
        known_tools=around.known_tools,
        known_checks=around.known_checks,
        params=around.params,
        default_base=around.default_base,
    )
