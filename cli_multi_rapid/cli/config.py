"""`config show`: every setting and where it comes from."""

from collections.abc import Iterator
from enum import Enum
from typing import Final, TypedDict

import click
from msgspec import Struct

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text, tell
from cli_multi_rapid.core.money import MicroUsd, to_usd
from cli_multi_rapid.core.plan import CheckSpec, Json
from cli_multi_rapid.schema.problems import SCHEMA_VERSION
from cli_multi_rapid.schema.settings import Settings

_MONEY: Final = frozenset(("budget.node_usd", "budget.day_usd"))


class SettingLine(TypedDict):
    """One setting by its dotted key. `source`: `built-in`, a file, `environment` or `command line`."""

    key: str
    value: Json
    source: str


class SettingsDocument(TypedDict):
    """What `config show --format json` prints."""

    schema_version: int
    files: list[str]
    settings: list[SettingLine]


@click.group(epilog=examples("config show", "config show --format json"))
def config() -> None:
    """Show every setting and where it comes from."""


@config.command(epilog=examples("config show", "config show --format json", "config show --repo ../other"))
@place_options
@format_option
def show(*, place: Place, format_: Format) -> int:
    """Show the settings that a run here would use, each with the layer that set it.

    Layers, later ones win: built-in values, the user's file, config/orchestrator.yaml, environment variables
    (CLI_ORCHESTRATOR_BUDGET__NODE_USD=3), flags of the command line.
    """
    from cli_multi_rapid.wiring import CONFIG_FILE, TOOLS_FILE, load_settings, user_config

    settings = load_settings(place.root, warn=lambda problem: tell(problem.to_text()))
    lines = list(setting_lines(settings))
    files = [str(path) for path in (user_config(), place.root / CONFIG_FILE, place.root / TOOLS_FILE)]
    if format_ is Format.JSON:
        print_json(SettingsDocument(schema_version=SCHEMA_VERSION, files=files, settings=lines))
        return 0
    width = max(len(line["key"]) for line in lines)
    shown = [f"{line['key']:{width}}  {_text(line['value'])}  ({line['source']})" for line in lines]
    print_text("\n".join([*shown, "", "files that are read, when they exist:", *(f"  {f}" for f in files)]))
    return 0


def setting_lines(settings: Settings) -> Iterator[SettingLine]:
    """Every setting in the order of the documentation; limits and checks one by one."""
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name == "where":
            continue
        if name == "tool_limits":
            yield from (_line(settings, f"tool_limits.{tool}", limit) for tool, limit in value.items())
        elif name == "checks":
            yield from (_line(settings, f"checks.{check.id}", _check(check)) for check in value.values())
        elif isinstance(value, Struct):
            for inner in value.__struct_fields__:
                yield _line(settings, f"{name}.{inner}", getattr(value, inner))
        else:
            yield _line(settings, name, value)


def _line(settings: Settings, key: str, value: object) -> SettingLine:
    plain: Json
    if isinstance(value, Enum):
        plain = value.value
    elif isinstance(value, tuple):
        plain = list(value)
    elif key in _MONEY and isinstance(value, int):
        plain = to_usd(MicroUsd(value))
    elif value is None or isinstance(value, str | int | float | dict):
        plain = value
    else:
        plain = str(value)
    return SettingLine(key=key, value=plain, source=settings.source_of(key))


def _check(check: CheckSpec) -> dict[str, Json]:
    command: dict[str, Json] = {"run": check.run} if check.run is not None else {"argv": list(check.argv)}
    more: dict[str, Json] = {
        "inputs": list(check.inputs),
        "timeout_s": check.timeout_s,
        "min_time_s": check.min_time_s,
        "env": dict(check.env),
    }
    return {**command, **{key: value for key, value in more.items() if value}}


def _text(value: Json) -> str:
    import json

    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
