"""Layers of configuration (files, environment, flags) to one `Settings`, all problems noted."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.core.ids import CheckId, ToolName
from cli_multi_rapid.core.plan import CheckSpec, Sandbox
from cli_multi_rapid.schema.actions import is_inside
from cli_multi_rapid.schema.checks import read_checklist, read_checks
from cli_multi_rapid.schema.document import Document
from cli_multi_rapid.schema.fields import Fields, Keys, keys, open_table
from cli_multi_rapid.schema.names import is_branch, tool_name
from cli_multi_rapid.schema.plan_head import read_branch, read_version
from cli_multi_rapid.schema.problems import Code, Problems
from cli_multi_rapid.schema.reading import Reading
from cli_multi_rapid.schema.settings import (
    LANE_PRESETS,
    BudgetSettings,
    LandingApproval,
    Settings,
    SlotStrategy,
    Violation,
)
from cli_multi_rapid.schema.source import Place, quoted
from cli_multi_rapid.schema.values import Scalar, Value, is_null, number_of
from cli_multi_rapid.schema.verification import check_fixer, read_fix, read_fixer, read_rounds

Read = Callable[[Fields, str], object]
"""Reads one key of a mapping; None when it is absent or wrong."""

_MOST_WORKERS: Final = 1000


def _count(low: int, high: int) -> Read:
    return lambda fields, key: fields.integer(key, low=low, high=high)


def _percentage(fields: Fields, key: str) -> float | None:
    return fields.number(key, low=0, high=100)


def _branch(fields: Fields, key: str) -> str | None:
    return read_branch(fields, key, "") or None


def _checklist(fields: Fields, _key: str) -> tuple[CheckId, ...] | None:
    return read_checklist(fields, None)


def _links(fields: Fields, key: str) -> tuple[str, ...]:
    return tuple(text.text for text in fields.texts(key) if is_inside(fields.reading, text))


def _lane(fields: Fields, key: str) -> str | None:
    """A template, or the name of a preset."""
    text = fields.text(key)
    if text is None:
        return None
    lane = LANE_PRESETS.get(text.text, text.text)
    sample = lane.replace("{run}", "r1").replace("{node}", "n1")
    if sample == lane or "{node}" not in lane or "{run}" not in lane or not is_branch(sample):
        presets = ", ".join(LANE_PRESETS)
        fields.reading.report(
            Code.BAD_BRANCH,
            text.at,
            f"{quoted(text.text)} makes no branch of its own for each run and node",
            suggestion=f'write "lane/{{run}}/{{node}}", or one of {presets}',
        )
        return None
    return lane


SETTINGS: Final[Mapping[str, Mapping[str, Read]]] = {
    "": {
        "workers": _count(1, _MOST_WORKERS),
        "sandbox": lambda fields, key: fields.choice(key, Sandbox),
        "retention_days": _count(0, 36_500),
    },
    "merge_policy": {
        "target": _branch,
        "checklist": _checklist,
        "workers": _count(1, _MOST_WORKERS),
        "per_change": lambda fields, key: fields.flag(key),
        "retry_flaky": _count(0, 100),
        "approval": lambda fields, key: fields.choice(key, LandingApproval),
    },
    "budget": {
        "warn_pct": _percentage,
        "halt_pct": _percentage,
        "node_usd": lambda fields, key: fields.amount(key),
        "day_usd": lambda fields, key: fields.amount(key),
    },
    "worktrees": {
        "strategy": lambda fields, key: fields.choice(key, SlotStrategy),
        "pool": _count(0, 10_000),
        "hydrate": lambda fields, key: fields.strings(key),
        "links": _links,
        "lane": _lane,
    },
    "landing": {
        "update_checkout": lambda fields, key: fields.flag(key),
        "push": _branch,
    },
    "claims": {"violation": lambda fields, key: fields.choice(key, Violation)},
    "verification": {
        "fix": read_fix,
        "rounds": read_rounds,
        "tool": read_fixer,
    },
}
"""Every plain setting by its section and key."""

_RESETTABLE: Final = frozenset(
    (
        *("merge_policy.target", "merge_policy.checklist", "budget.day_usd"),
        *("worktrees.hydrate", "landing.push", "verification.tool"),
    )
)
"""Keys whose `null` means "none" and so takes back what a lower layer set."""

_ROOT_KEYS: Final = keys(
    "version tool_limits checks schema_version $schema " + " ".join((*SETTINGS[""], *filter(None, SETTINGS)))
)


def section_keys(section: str) -> Keys:
    """The keys of a section."""
    return (
        keys(" ".join(SETTINGS[section]), checklist="pre_merge_checks")
        if section == "merge_policy"
        else keys(" ".join(SETTINGS[section]))
    )


def parse_settings(
    layers: Sequence[Document], problems: Problems, *, known_tools: Collection[str] | None = None
) -> Settings | None:
    """The settings of all layers, the last one winning key by key; None when there are errors.

    `known_tools`: the tools that may be named; None: any.
    """
    before = problems.error_count - sum(document.errors for document in layers)
    found = _Found()
    for document in layers:
        _read_layer(document, problems, found)
    if problems.error_count > before:
        return None
    settings = _settings(found)
    _check_percentages(settings.budget, found.places, problems)
    fixer, place = settings.verification.tool, found.places.get("verification.tool")
    if fixer is not None and known_tools is not None and place is not None:
        check_fixer(fixer, known_tools, place, problems)
    return None if problems.error_count > before else settings


class _Found(Struct):
    """What the layers read so far have set, by dotted key."""

    values: dict[str, object] = field(default_factory=dict)
    limits: dict[ToolName, int] = field(default_factory=dict)
    checks: dict[CheckId, CheckSpec] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)


def _read_layer(document: Document, problems: Problems, found: _Found) -> None:
    reading = Reading(document.source, problems)
    root = open_table(reading, document.root, _ROOT_KEYS, "the configuration")
    if root is None:
        return
    read_version(root)
    _read_section(root, "", found)
    for section in filter(None, SETTINGS):
        value = root.value(section)
        keys_of = section_keys(section)
        fields = None if value is None else open_table(reading, value, keys_of, f"`{section}`")
        if fields is not None:
            _read_section(fields, section, found)
    _read_limits(root, found)
    for check in read_checks(root):
        found.checks[check.id] = check
        found.places[f"checks.{check.id}"] = reading.place(root.at("checks"))


def _read_section(fields: Fields, section: str, found: _Found) -> None:
    for key, read in SETTINGS[section].items():
        dotted = _dotted(section, key)
        at: Value | None = fields.value(key)
        if at is not None:
            found.values[dotted] = read(fields, key)
        elif dotted in _RESETTABLE and (at := _null_of(fields, key)) is not None:
            found.values[dotted] = () if key == "hydrate" else None
        if at is not None:
            found.places[dotted] = fields.reading.place(at)


def _dotted(section: str, key: str) -> str:
    return f"{section}.{key}" if section else key


def _null_of(fields: Fields, key: str) -> Value | None:
    entry = fields.table.entries.get(key)
    return entry.value if entry is not None and is_null(entry.value) else None


def _read_limits(root: Fields, found: _Found) -> None:
    for key, value in root.entries("tool_limits", "a mapping from tools to numbers"):
        number = number_of(value) if isinstance(value, Scalar) else None
        if isinstance(number, int) and 1 <= number <= _MOST_WORKERS:
            tool = tool_name(key.text)
            found.limits[tool] = number
            found.places[f"tool_limits.{tool}"] = root.reading.place(value)
        else:
            what = f"the limit of {quoted(key.text)}"
            root.reading.wrong_type(value, what, f"a number from 1 to {_MOST_WORKERS}")


def _settings(found: _Found) -> Settings:
    where = {key: place.source.name for key, place in found.places.items()}
    settings = Settings(where=where, tool_limits=found.limits, checks=found.checks)
    for section, readers in SETTINGS.items():
        dotted = {key: _dotted(section, key) for key in readers}
        # Each reader in the table returns what the field of the same name holds.
        values: dict[str, Any] = {key: found.values[k] for key, k in dotted.items() if k in found.values}
        if section:
            values = {section: replace(getattr(settings, section), **values)}
        settings = replace(settings, **values)
    return settings


def _check_percentages(budget: BudgetSettings, places: Mapping[str, Place], problems: Problems) -> None:
    place = places.get("budget.halt_pct") or places.get("budget.warn_pct")
    if place is not None and budget.warn_pct > budget.halt_pct:
        problems.report(
            Code.BAD_VALUE,
            place,
            f"the budget warns at {budget.warn_pct:g} % but stops before, at {budget.halt_pct:g} %",
            suggestion="make warn_pct the smaller one",
        )
