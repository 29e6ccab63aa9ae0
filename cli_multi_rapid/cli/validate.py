"""`validate`: every problem of plans, streams, phases, tools and configuration, all at once."""

import os
from pathlib import Path

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.intake import Configured, read_configuration
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text, tell
from cli_multi_rapid.cli.wishes import param_option, serialize_option
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.planner.load import validate as validate_file
from cli_multi_rapid.schema.problems import Problems, Severity
from cli_multi_rapid.schema.validation import Surroundings


@click.command(
    epilog=examples(
        "validate plan.yaml",
        "validate workflows/*.yaml config/*.yaml --strict",
        "validate plan.json --format json",
    )
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings count as errors")
@param_option
@serialize_option
@place_options
@format_option
def validate(
    *,
    files: tuple[Path, ...],
    strict: bool,
    param: dict[str, str],
    serialize_overlaps: bool,
    place: Place,
    format_: Format,
) -> int:
    """Find every problem of FILEs, each with its line, the reason and what to do.

    Plans, streams, phases, tools and configuration files are told apart by their keys.
    Needs no git, network or database. Exit status: 0 no error, 2 errors (with --strict also warnings).
    """
    problems = Problems()
    around, default_tool = _surroundings(place, param, serialize_overlaps=serialize_overlaps)
    for file in dict.fromkeys(files):
        validate_file(file, problems, around, default_tool=default_tool)
    if format_ is Format.JSON:
        print_json(problems.to_data())
    else:
        _print(problems, len(set(files)))
    warnings = sum(problem.severity is Severity.WARNING for problem in problems)
    return ExitCode.WRONG_INPUT if problems.error_count or (strict and warnings) else ExitCode.DONE


def _surroundings(
    place: Place, params: dict[str, str], *, serialize_overlaps: bool
) -> tuple[Surroundings, ToolName | None]:
    """What the repository configures; where that is broken, any tool and check may be named."""
    try:
        configured: Configured | None = read_configuration(place)
    except UserError as error:
        tell(f"warning: checks are not looked up, the configuration is wrong\n{error.message}")
        configured = None
    around = Surroundings(
        known_tools=configured.known_tools if configured else _described_tools(place),
        known_checks=tuple(configured.settings.checks) if configured else (),
        params=params,
        serialize_overlaps=serialize_overlaps,
    )
    return around, configured.default_tool(os.environ) if configured else None


def _described_tools(place: Place) -> frozenset[str] | None:
    """The tools that may be named although the settings are wrong; None when those are, too."""
    from cli_multi_rapid.adapters.registry import known_tools
    from cli_multi_rapid.wiring import load_tools

    try:
        return known_tools(load_tools(place.root))
    except UserError:
        return None


def _print(problems: Problems, files: int) -> None:
    if len(problems):
        print_text(problems.to_text())
    counted = {severity: sum(p.severity is severity for p in problems) for severity in Severity}
    found = ", ".join(
        f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counted.items() if count
    )
    print_text(f"{files} {'file' if files == 1 else 'files'}: {found or 'no problems'}")
