"""`export` and `import`: a run as a text file, to be kept or looked at elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypedDict

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.imported import marking_import
from cli_multi_rapid.cli.loaded_run import fold
from cli_multi_rapid.cli.options import NEW_FILE, examples, format_option, place_options, run_argument
from cli_multi_rapid.cli.output import Format, print_json, print_text, tell, write
from cli_multi_rapid.cli.report import write_file
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.state import IllegalTransition
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.store.export import export_run, import_run
from cli_multi_rapid.store.memory import MemoryEventLog

if TYPE_CHECKING:
    from cli_multi_rapid.core.ids import RunId


class ImportDocument(TypedDict):
    """The document of `import`."""

    schema_version: int
    run_id: str
    event_count: int


@click.command("export", epilog=examples("export > run.jsonl", "export 20261120-094612-k3f9 -o run.jsonl"))
@run_argument
@click.option("-o", "--output", type=NEW_FILE, metavar="FILE", help="Write here  [default: stdout]")
@place_options
def export(place: Place, run: str | None, output: Path | None) -> None:
    """Write all events of a run as JSON lines: a header, then one event per line."""
    with place.open_records() as records:
        run_id = records.find_run(run)
        text = "".join(export_run(records.log, run_id))
    if output is None:
        write(text)
        return
    write_file(output, text)
    tell(f"wrote {run_id} to {output}")


@click.command("import", epilog=examples("import run.jsonl", "import - < run.jsonl"))
@click.argument("file", type=click.File("r", encoding="utf-8", errors="surrogateescape"))
@format_option
@place_options
def import_(place: Place, format_: Format, file: TextIO) -> None:
    """Take up a run that `export` wrote, to look at it here. `-` reads stdin.

    All events are taken or none. The run keeps its id; one that is here already is refused. An imported run
    is never driven here: `resume`, `retry`, `approve` and the like refuse it.
    """
    from cli_multi_rapid.wiring import open_records

    lines = file.readlines()
    name = rehearse(lines)
    with open_records(place.find_home(), create=True) as records:
        with marking_import(records.home, name):
            run_id = import_run(records.log, lines)
        count = records.log.last_seq(run_id)
        records.bus.hint(run_id)
    if format_ is Format.JSON:
        print_json(ImportDocument(schema_version=SCHEMA_VERSION, run_id=run_id, event_count=count))
    else:
        print_text(f"imported {run_id} with {count} events\nnext: cli-orchestrator status {run_id}")


def rehearse(lines: Sequence[str]) -> "RunId":
    """Read it into an empty log first: what does not add up to a run must not get into the real one."""
    log = MemoryEventLog()
    run_id = import_run(log, lines)
    try:
        fold(run_id, log.read(run_id))
    except IllegalTransition as error:
        raise UserError(f"the events of {run_id} do not add up to a run: {error}") from error
    return run_id
