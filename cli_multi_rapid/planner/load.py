"""Whatever file a person names to a plan: a plan in YAML or JSON, or a multi_stream file with its phases."""

from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.planner.streams import compile_streams
from cli_multi_rapid.schema.document import Document, load_document
from cli_multi_rapid.schema.problems import Code, InvalidInput, Problem, Problems, Severity
from cli_multi_rapid.schema.streams import load_streams
from cli_multi_rapid.schema.validation import (
    DocumentKind,
    Surroundings,
    kind_of,
    parse_plan_around,
    validate_document,
)


class LoadedPlan(Struct, frozen=True, kw_only=True):
    """A plan, where it comes from, and what is worth knowing before it runs."""

    plan: Plan
    kind: DocumentKind
    """PLAN or STREAMS."""
    source: str
    """The file as the person named it."""
    notices: tuple[Problem, ...] = ()
    """Warnings and notices, in the order of their places; never errors."""


def load_plan(
    path: Path, around: Surroundings | None = None, *, default_tool: ToolName | None = None
) -> LoadedPlan:
    """The plan of a file. Raises `InvalidInput` with all problems when there is an error among them.

    `around` says which tools and checks there are, and whether overlapping streams are put in order.
    `default_tool` does the phases of streams whose owner names no tool.
    """
    problems = Problems()
    loaded = read_plan(path, problems, around, default_tool=default_tool)
    if loaded is None:
        raise InvalidInput(problems)
    return loaded


def read_plan(
    path: Path,
    problems: Problems,
    around: Surroundings | None = None,
    *,
    default_tool: ToolName | None = None,
) -> LoadedPlan | None:
    """Like `load_plan` for several files at once: None when there are errors, which the problems tell."""
    around = around or Surroundings()
    found = Problems()
    plan: Plan | None = None
    document = load_document(path, found)
    kind = None if document is None else kind_of(document, found)
    if kind is DocumentKind.STREAMS:
        found = Problems()  # the file is read again, together with its phases
        plan = _compile(path, found, around, default_tool, Severity.ERROR)
    elif document is not None and kind is DocumentKind.PLAN:
        plan = parse_plan_around(document, found, around)
    elif document is not None and kind is not None:
        _report_no_plan(document, kind, found)
    for problem in found:
        problems.add(problem)
    if plan is None or kind is None or found.error_count:
        return None
    return LoadedPlan(plan=plan, kind=kind, source=str(path), notices=tuple(found))


def validate(
    path: Path,
    problems: Problems,
    around: Surroundings | None = None,
    *,
    default_tool: ToolName | None = None,
) -> DocumentKind | None:
    """Note every problem that any of our files has, and return its kind.

    For streams that includes what shows only when they become a plan. A phase that no file defines yet is
    a warning here, unlike in `load_plan`.
    """
    around = around or Surroundings()
    first_look = Problems()
    document = load_document(path, first_look)
    kind = None if document is None else kind_of(document, first_look)
    if kind is DocumentKind.STREAMS:  # is read again, together with its phases
        _compile(path, problems, around, default_tool, Severity.WARNING)
        return kind
    problems.extend(first_look)
    if document is not None and kind is not None:
        validate_document(document, kind, problems, around)
    return kind


def _compile(
    path: Path,
    problems: Problems,
    around: Surroundings,
    default_tool: ToolName | None,
    undefined_phases: Severity,
) -> Plan | None:
    for name in around.params:
        problems.report_file(
            Code.UNKNOWN_PARAM,
            str(path),
            f"a value was given for the param `{name}`, and a streams file has no params",
            suggestion="leave --param out, or write what it says into the phases",
        )
    loaded = load_streams(
        path,
        problems,
        known_tools=around.known_tools,
        known_checks=around.known_checks,
        serialize_overlaps=around.serialize_overlaps,
        undefined_phases=undefined_phases,
        default_base=around.default_base,
    )
    if loaded is None:
        return None
    named = {named.name for stream in loaded.document.streams for named in stream.phases}
    if not named <= loaded.phases.keys():
        return None  # reported already, with the severity that was asked for
    return compile_streams(
        loaded, problems, serialize_overlaps=around.serialize_overlaps, default_tool=default_tool
    )


def _report_no_plan(document: Document, kind: DocumentKind, problems: Problems) -> None:
    hints = {
        DocumentKind.PHASES: "name the multi_stream file whose streams run these phases",
        DocumentKind.TOOLS: "tools are read from config/tools.yaml without being named",
        DocumentKind.CONFIG: "settings are read from config/orchestrator.yaml without being named",
    }
    problems.report(
        Code.UNKNOWN_KIND,
        document.place(document.root),
        f"this is a {kind} file, and a plan or a streams file is needed",
        suggestion=hints[kind],
    )
