"""`doctor`: examine the surroundings and what is left over, and say what to repair."""

from collections.abc import Sequence
from typing import Final, TypedDict

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.doctor_leftovers import examine_leftovers
from cli_multi_rapid.cli.doctor_surroundings import examine_surroundings
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.findings import Finding, Standing
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.cli.terminal import indented
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.safe_text import one_line

_SIGNS: Final = {Standing.GOOD: "+", Standing.NOTICE: "?", Standing.PROBLEM: "!"}


class FindingDocument(TypedDict):
    """One thing that was looked at. `standing`: `good`, `notice` or `problem`."""

    topic: str
    standing: str
    detail: str
    command: str | None


class DoctorDocument(TypedDict):
    """The document of `doctor`."""

    schema_version: int
    problems: int
    notices: int
    findings: list[FindingDocument]


@click.command(epilog=examples("doctor", "doctor --format json"))
@format_option
@place_options
def doctor(place: Place, format_: Format) -> int:
    """Examine git, python, the disk, the configuration and the tools, and look for what was left behind.

    Each finding comes with what to type. The exit code is 5 when work cannot go on like this, else 0.
    """
    found = [*examine_surroundings(place), *examine_leftovers(place)]
    document = _document(found)
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_text(_text(found, document))
    return ExitCode.ENVIRONMENT if document["problems"] else ExitCode.DONE


def _document(found: Sequence[Finding]) -> DoctorDocument:
    return DoctorDocument(
        schema_version=SCHEMA_VERSION,
        problems=sum(1 for finding in found if finding.standing is Standing.PROBLEM),
        notices=sum(1 for finding in found if finding.standing is Standing.NOTICE),
        findings=[
            FindingDocument(
                topic=finding.topic,
                standing=finding.standing,
                detail=finding.detail,
                command=finding.command,
            )
            for finding in found
        ],
    )


def _text(found: Sequence[Finding], document: DoctorDocument) -> str:
    topics = max(len(finding.topic) for finding in found)
    lines = []
    for finding in found:
        first, *rest = [*indented(one_line(finding.detail), topics + 4), ""]
        lines.append(f"{_SIGNS[finding.standing]} {finding.topic:{topics}}  {first.lstrip()}".rstrip())
        lines += [line for line in rest if line]
        lines += [f"  {'':{topics}}  type: {finding.command}"] if finding.command else []
    if not document["problems"] and not document["notices"]:
        return "\n".join([*lines, "", "all is well"])
    counts = (_count(document["problems"], "problem"), _count(document["notices"], "notice"))
    return "\n".join([*lines, "", ", ".join(counts)])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
