"""`schema`: the published JSON schemas, for editors and scripts."""

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, TypedDict

import click

from cli_multi_rapid.cli.options import NEW_FILE, examples, format_option
from cli_multi_rapid.cli.output import Format, print_json, print_text, tell, write
from cli_multi_rapid.schema.problems import SCHEMA_VERSION
from cli_multi_rapid.schema.published import load_schema, schema_names, schema_text

_WRITTEN_BY_PEOPLE: Final[Mapping[str, str]] = {
    "plan": "plan.yaml",
    "streams": "workflows/multi_stream.yaml",
    "phases": "workflows/phase_definitions/*.yaml",
    "tools": "config/tools.yaml",
    "config": "config/orchestrator.yaml",
}
"""The schemas of files that are edited by hand, and where such files lie."""


class SchemaLine(TypedDict):
    """One published schema. `path`: the installed file, for editors."""

    name: str
    title: str
    description: str
    path: str


class SchemaList(TypedDict):
    """What `schema list --format json` prints."""

    schema_version: int
    schemas: list[SchemaLine]


@click.group(epilog=examples("schema list", "schema show plan -o schemas/plan.json"))
def schema() -> None:
    """Print the published JSON schemas, and the line that gives an editor completion."""


@schema.command("list", epilog=examples("schema list"))
@format_option
def list_schemas(*, format_: Format) -> int:
    """List the schemas of all documents that are read or written."""
    lines = [_line(name) for name in schema_names()]
    if format_ is Format.JSON:
        print_json(SchemaList(schema_version=SCHEMA_VERSION, schemas=lines))
        return 0
    width = max(len(line["name"]) for line in lines)
    print_text("\n".join(f"{line['name']:{width}}  {line['description']}" for line in lines))
    print_text("\nFor completion in an editor, put its line at the top of a file:")
    for name, where in _WRITTEN_BY_PEOPLE.items():
        print_text(f"  {where}\n    {editor_line(installed_path(name).as_uri())}")
    return 0


@schema.command(epilog=examples("schema show plan", "schema show report | jq .properties"))
@click.argument("name")
@click.option("-o", "--output", type=NEW_FILE, metavar="F", help="Write it to a file instead of stdout")
def show(*, name: str, output: Path | None) -> int:
    """Print one schema; NAME is one of `schema list`."""
    text = schema_text(name)
    if output is None:
        write(text)
        reference = installed_path(name).as_uri()
    else:
        from cli_multi_rapid.cli.finish import replace_file

        replace_file(output, text)
        reference = str(output)
        tell(f"written: {output}")
    if name in _WRITTEN_BY_PEOPLE:
        tell(f"for completion in an editor, at the top of the file:\n{editor_line(reference)}")
    return 0


def editor_line(reference: str) -> str:
    """The comment that the YAML language server of editors understands."""
    return f"# yaml-language-server: $schema={reference}"


def installed_path(name: str) -> Path:
    """Where the package keeps a schema. Unpacked packages only, as all installers make them."""
    with as_file(files("cli_multi_rapid.schema") / "published" / f"{name}.json") as path:
        return path


def _line(name: str) -> SchemaLine:
    document = load_schema(name)
    title, description = document.get("title"), document.get("description")
    return SchemaLine(
        name=name,
        title=str(title or name),
        description=str(description or ""),
        path=str(installed_path(name)),
    )
