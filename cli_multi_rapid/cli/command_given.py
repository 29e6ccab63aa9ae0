"""Saying something to a run: an event in its stream, and a word on when it takes effect."""

import getpass
import os
from typing import TYPE_CHECKING, TypedDict

from msgspec.structs import replace

from cli_multi_rapid.cli.imported import require_ours
from cli_multi_rapid.cli.loaded_run import LoadedRun
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.journal import Journal, open_journal
from cli_multi_rapid.redaction import Redactor
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.document import SCHEMA_VERSION, NextStep

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records


class CommandDocument(TypedDict):
    """The document of `cancel`, `pause`, `approve` and so on. `driven_by` null: nobody heard of it yet."""

    schema_version: int
    run_id: str
    command: str
    node_id: str | None
    findings: list[str]
    text: str
    event_seq: int
    driven_by: str | None
    next: list[NextStep]


def person() -> str:
    """Who types: the name that events record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an account
        return "somebody"


def journal_of(records: "Records", run_id: RunId) -> Journal[RunState]:
    """The stream of a run, with an empty state."""
    return open_journal(records, run_id, RunState(run_id))


def give(records: "Records", run: LoadedRun, command: CommandGiven) -> CommandDocument:
    """Append the command to the run's stream and wake its driver. Any process may, at any time.

    Raises `UserError` for a run that was imported.
    """
    require_ours(records, run.run_id)
    # An event is kept: a key that somebody pastes into a reason must not be in it.
    command = replace(command, text=Redactor.from_environment(os.environ).redact(command.text))
    event = journal_of(records, run.run_id).submit(command)
    return CommandDocument(
        schema_version=SCHEMA_VERSION,
        run_id=run.run_id,
        command=command.command,
        node_id=command.node_id,
        findings=[ref.name for ref in command.findings],
        text=command.text,
        event_seq=event.seq,
        driven_by=run.driver,
        next=[_next(run)],
    )


def _next(run: LoadedRun) -> NextStep:
    if run.alive:
        return NextStep(text="look on", command=commands.watch(run.run_id))
    return NextStep(text="it takes effect when the run goes on", command=commands.resume(run.run_id))


def tell_given(document: CommandDocument, format_: Format) -> None:
    """Say what was recorded, who heard it, and what to type next."""
    if format_ is Format.JSON:
        print_json(document)
        return
    names = document["findings"] or ([document["node_id"]] if document["node_id"] else [])
    about = "".join(f" {name}" for name in names)
    driver = document["driven_by"]
    heard = f"told {driver}" if driver else "recorded; no process has the run in hand"
    lines = [f"{document['run_id']} {document['command']}{about}: {heard}"]
    for step in document["next"]:
        lines += [f"next: {step['text']}", f"        {step['command']}"]
    print_text("\n".join(lines))
