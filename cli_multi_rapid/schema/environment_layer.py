"""Environment variables as a layer of configuration: `CLI_ORCHESTRATOR_BUDGET__NODE_USD=3`."""

from collections.abc import Mapping
from typing import Final

from cli_multi_rapid.schema.document import Document
from cli_multi_rapid.schema.names import did_you_mean
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.settings_reader import SETTINGS
from cli_multi_rapid.schema.source import Place, Source, quoted
from cli_multi_rapid.schema.values import Entry, Items, Scalar, Table, Value

PREFIX: Final = "CLI_ORCHESTRATOR_"
NAME: Final = "environment"

_OLD_NAMES: Final = {"WT_PARALLEL_LIMIT": "workers"}
_FREE_SECTIONS: Final = ("tool_limits", "checks")
_KNOWN: Final = tuple(
    f"{section}__{key}" if section else key for section, readers in SETTINGS.items() for key in readers
)


def environment_layer(environment: Mapping[str, str], problems: Problems) -> Document | None:
    """The settings that the environment holds, or None when it holds none.

    Dots of a key are `__`. Lists and mappings are written as in YAML: `[uv, sync]`. Variables of that prefix
    that are no setting are left alone, but those that look like a misspelled one are worth a warning.
    """
    found = _settings_of(environment)
    # The values of what is no setting stay out of messages: who knows what they hold.
    lines = {name: environment[name] if _is_setting(key) else "" for name, key in found.items()}
    source = Source(name=NAME, text="".join(f"{name}={value}\n" for name, value in lines.items()))
    before = problems.error_count
    entries: dict[str, Entry] = {}
    offset = 0
    for name, dotted in found.items():
        if _is_setting(dotted):
            value = _value(environment[name], offset + len(name) + 1, problems)
            _put(entries, dotted.split("__"), offset, value)
        else:
            _warn(source, offset, name, dotted, problems)
        offset += len(name) + len(lines[name]) + 2
    errors = problems.error_count - before
    return Document(source=source, root=Table(entries, 0), errors=errors) if entries else None


def _settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Variable to key, with `__` for dots; our own names after the old ones, which they win over."""
    found = {name: key for name, key in _OLD_NAMES.items() if environment.get(name)}
    for name in sorted(environment):
        if name.startswith(PREFIX) and environment[name]:
            found[name] = name.removeprefix(PREFIX).lower()
    return found


def _is_setting(dotted: str) -> bool:
    return dotted in _KNOWN or dotted.partition("__")[0] in _FREE_SECTIONS


def _warn(source: Source, offset: int, name: str, dotted: str, problems: Problems) -> None:
    close = did_you_mean(dotted, _KNOWN)
    if close:
        known = close.split("`")[1]
        problems.report(
            Code.UNKNOWN_VARIABLE,
            Place(source=source, offset=offset),
            f"{quoted(name)} is no setting",
            suggestion=f"did you mean `{PREFIX}{known.upper()}`?",
            severity=Severity.WARNING,
        )


def _value(text: str, offset: int, problems: Problems) -> Value:
    if text[:1] not in ("[", "{"):
        return Scalar(text, True, offset)
    # Imported here for start-up time: few environments hold a list.
    from cli_multi_rapid.schema.yaml_reader import read_yaml  # noqa: PLC0415

    value = read_yaml(Source(name=NAME, text=text), problems)
    return Scalar(text, True, offset) if value is None else _shifted(value, offset)


def _shifted(value: Value, by: int) -> Value:
    """The value with offsets that count from the start of the layer's text."""
    if isinstance(value, Items):
        return Items(tuple(_shifted(item, by) for item in value.items), value.offset + by)
    if isinstance(value, Table):
        entries = {
            name: Entry(key._replace(offset=key.offset + by), _shifted(item, by))
            for name, (key, item) in value.entries.items()
        }
        return Table(entries, value.offset + by)
    return value._replace(offset=value.offset + by)


def _put(entries: dict[str, Entry], path: list[str], offset: int, value: Value) -> None:
    """Set a value at a path of keys."""
    here = entries
    for name in path[:-1]:
        entry = here.get(name)
        below = dict(entry.value.entries) if entry is not None and isinstance(entry.value, Table) else {}
        here[name] = Entry(Scalar(name, True, offset), Table(below, offset))
        here = below
    here[path[-1]] = Entry(Scalar(path[-1], True, offset), value)
