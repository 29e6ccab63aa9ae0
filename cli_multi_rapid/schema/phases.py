"""Phase files: the steps that streams name by their id."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import Approval, Work
from cli_multi_rapid.schema.checks import LONGEST_S, SHORTEST_S, read_env
from cli_multi_rapid.schema.document import Document, load_document
from cli_multi_rapid.schema.fields import keys, open_table
from cli_multi_rapid.schema.names import tool_name
from cli_multi_rapid.schema.nodes import name_of, read_priority
from cli_multi_rapid.schema.plan_head import MOST_RETRIES, read_version
from cli_multi_rapid.schema.problems import Code, Problems
from cli_multi_rapid.schema.reading import Reading, Text
from cli_multi_rapid.schema.source import Place, quoted
from cli_multi_rapid.schema.values import Value
from cli_multi_rapid.schema.work import read_tool, read_work

PHASES_KEYS: Final = keys(
    "version taskspec_version name title description global_policies goals acceptance phases "
    "schema_version $schema"
)
PHASE_KEYS: Final = keys(
    "id title description goals acceptance actions tool prompt run argv target kwargs script deps inputs "
    "outputs capabilities priority est_cost max_cost timeout_s retries model env approval notes",
    title="label name",
    prompt="goal",
    deps="dependencies depends_on",
    est_cost="estimated_cost",
    capabilities="capabilities_required",
)
_PHASES_KEY: Final = (b"phases:", b'"phases":', b"{phases:", b'{"phases":')


class PhaseDep(Struct, frozen=True, kw_only=True):
    """A phase that another waits for, by its id or as `<stream>.<phase>`."""

    name: str
    at: Place


class Phase(Struct, frozen=True, kw_only=True):
    """A step of a stream. It becomes the node `<stream>.<phase>`. Durations are seconds."""

    id: str
    title: str
    """One line; the id when the file gives none."""
    at: Place
    description: str = ""
    goals: tuple[str, ...] = ()
    acceptance: tuple[str, ...] = ()
    tool: ToolName | None = None
    """None: the tool of the stream's owner."""
    work: Work | None = None
    """None: work for an agent, told by `prompt`, or else by title, goals and acceptance."""
    prompt: str = ""
    deps: tuple[PhaseDep, ...] = ()
    """Other phases, beside the one before it in its stream."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    priority: int | None = None
    """None: the stream's."""
    est_cost: MicroUsd | None = None
    max_cost: MicroUsd | None = None
    timeout_s: float | None = None
    retries: int | None = None
    model: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    approval: Approval = Approval.NONE


def find_phase_files(folder: Path) -> tuple[Path, ...]:
    """The YAML files in a folder and in `phase_definitions/` below it that have a `phases:` list, by name."""
    found: list[Path] = []
    for place in (folder, folder / "phase_definitions"):
        if place.is_dir():
            candidates = sorted(path for path in place.iterdir() if path.suffix in (".yaml", ".yml"))
            found += [path for path in candidates if path.is_file() and _mentions_phases(path)]
    return tuple(found)


def _mentions_phases(path: Path) -> bool:
    """Whether a line starts with the key; a file that cannot be read is reported by who loads it."""
    try:
        with path.open("rb") as file:
            return any(line.startswith(_PHASES_KEY) for line in file)
    except OSError:
        return True


def load_phases(
    folder: Path, problems: Problems, *, known_tools: Collection[str] | None = None
) -> Mapping[str, Phase]:
    """All phases for the streams of a folder, by id; their problems are noted."""
    found: dict[str, Phase] = {}
    for path in find_phase_files(folder):
        document = load_document(path, problems)
        if document is None:
            continue
        for phase in parse_phases(document, problems, known_tools=known_tools):
            if phase.id in found and phase is not found[phase.id]:
                report_twice(problems, found[phase.id], phase)
            found.setdefault(phase.id, phase)
    return found


def report_twice(problems: Problems, first: Phase, second: Phase) -> None:
    """Note that an id is defined a second time."""
    problems.report(
        Code.DUPLICATE_ID,
        second.at,
        f"the phase {quoted(second.id)} is already defined at {first.at}",
        suggestion="give each phase an id of its own",
    )


def parse_phases(
    document: Document, problems: Problems, *, known_tools: Collection[str] | None = None
) -> tuple[Phase, ...]:
    """The phases of a document; those with errors are left out, as the problems tell."""
    reading = Reading(document.source, problems)
    fields = open_table(reading, document.root, PHASES_KEYS, "the phase file")
    if fields is None:
        return ()
    read_version(fields)
    for text in ("taskspec_version", "name", "title", "description"):
        fields.text(text)
    if not fields.has("phases"):
        fields.missing("phases", "write phases: [{id: phase1, title: …, prompt: …}]")
    found: dict[str, Phase] = {}
    for position, value in enumerate(fields.items("phases", "a list of phases"), 1):
        phase = _read_phase(reading, value, position, known_tools)
        if phase is not None and phase.id in found:
            report_twice(problems, found[phase.id], phase)
        elif phase is not None:
            found[phase.id] = phase
    return tuple(found.values())


def _read_phase(
    reading: Reading, value: Value, position: int, known_tools: Collection[str] | None
) -> Phase | None:
    fields = open_table(reading, value, PHASE_KEYS, name_of("phase", value, position))
    if fields is None:
        return None
    given = fields.text("id")
    if given is None:
        if not fields.has("id"):
            fields.missing("id", f"write id: phase{position}")
        return None
    reading.id(given, "a phase id")
    tool, tool_at = read_tool(fields)
    check_tool(reading, tool_at, known_tools, fields.what)
    has_work = any(fields.has(key) for key in ("actions", "run", "argv", "target", "script"))
    work = read_work(fields, tool, needs_goal=False) if has_work or tool is not None else None
    fields.text("notes")
    return Phase(
        id=given.text,
        title=" ".join(fields.string("title").split()) or given.text,
        at=reading.place(given.at),
        description=fields.string("description"),
        goals=fields.strings("goals"),
        acceptance=fields.strings("acceptance"),
        tool=tool,
        work=work if has_work else None,
        prompt=fields.string("prompt"),
        deps=tuple(PhaseDep(name=dep.text, at=reading.place(dep.at)) for dep in fields.texts("deps")),
        inputs=tuple(text.text for text in fields.globs("inputs")),
        outputs=tuple(text.text for text in fields.globs("outputs")),
        capabilities=fields.strings("capabilities"),
        priority=read_priority(fields, 1) if fields.has("priority") else None,
        est_cost=fields.amount("est_cost"),
        max_cost=fields.amount("max_cost"),
        timeout_s=fields.number("timeout_s", low=SHORTEST_S, high=LONGEST_S),
        retries=fields.integer("retries", low=0, high=MOST_RETRIES),
        model=fields.optional_string("model"),
        env=read_env(fields),
        approval=fields.choice("approval", Approval) or Approval.NONE,
    )


def check_tool(reading: Reading, text: Text | None, known: Collection[str] | None, what: str) -> None:
    """Note a tool that is not among the known ones."""
    if text is None or known is None or tool_name(text.text) in known:
        return
    reading.report(
        Code.UNKNOWN_TOOL,
        text.at,
        f"{what} names the unknown tool {quoted(text.text)}",
        suggestion=reading.did_you_mean(tool_name(text.text), known)
        or f"tools are: {', '.join(sorted(known))}",
    )
