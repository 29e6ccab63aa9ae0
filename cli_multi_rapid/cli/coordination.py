"""`coordination report`: the runs that belong together by one correlation id."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypedDict

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.loaded_run import LoadedRun, load_run
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.money import MicroUsd, to_usd
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.run_list import RunLine, run_list, run_list_text
from cli_multi_rapid.reports.run_report import coordination_id
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import iso_or_none

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records


class Workstream(TypedDict):
    """A node of one of the runs."""

    run_id: str
    node_id: str
    label: str
    tool: str
    status: str
    merge_status: str | None
    landed_commit: str | None
    attempts: int


class CoordinationDocument(TypedDict):
    """The document of `coordination report`. `status` sums up the runs, in the words of a run."""

    schema_version: int
    coordination_id: str
    status: str
    created_at: str | None
    updated_at: str | None
    used_usd: float
    completed: int
    landed: int
    runs: list[RunLine]
    workstreams: list[Workstream]


@click.group(epilog=examples("coordination report release-42"))
def coordination() -> None:
    """Report on runs that belong together."""


@coordination.command(
    epilog=examples("coordination report release-42", "coordination report 20261120-094612-k3f9")
)
@click.argument("name", metavar="ID")
@format_option
@place_options
def report(place: Place, format_: Format, name: str) -> None:
    """Sum up every run with a correlation id. ID is that id, or one of the runs.

    A plan or a streams file says `correlation_id: release-42` at its top; a run whose plan names none has its
    own id. `runs --format json` lists them as `coordination_id`.
    """
    with place.open_records() as records:
        runs = _runs_of(records, name)
        now = records.clock.now()
    document = _document(runs)
    if format_ is Format.JSON:
        print_json(document)
        return
    head = (
        f"{document['coordination_id']}  {document['status']}  {len(runs)} runs, "
        f"{document['completed']} of {len(document['workstreams'])} nodes completed, "
        f"{document['landed']} landed, ${document['used_usd']:.2f}\n\n"
    )
    print_text(head + run_list_text(document["runs"], now=now) + "\n" + "\n".join(_lines(document)))


def _runs_of(records: "Records", name: str) -> list[LoadedRun]:
    """The runs of a correlation id, or of the one that a run has. Raises `UserError`."""
    loaded = [load_run(records, run_id) for run_id in records.runs()]
    groups: dict[str, list[LoadedRun]] = {}
    for run in loaded:
        groups.setdefault(coordination_id(run.state, run.events), []).append(run)
    if name in groups:
        return groups[name]
    if not any(run.run_id.startswith(name) for run in loaded):
        from cli_multi_rapid.schema.names import did_you_mean

        raise UserError(
            f"no run has the correlation id {name}, and none is called so",
            hint=did_you_mean(name, groups) or "list them: cli-orchestrator runs --format json",
        )
    chosen = records.find_run(name)
    return next(group for group in groups.values() if any(run.run_id == chosen for run in group))


def _document(runs: Sequence[LoadedRun]) -> CoordinationDocument:
    states = [run.state for run in runs]
    workstreams = list(_workstreams(runs))
    began = [state.created_at for state in states if state.created_at]
    updated = [state.updated_at for state in states if state.updated_at]
    return CoordinationDocument(
        schema_version=SCHEMA_VERSION,
        coordination_id=coordination_id(runs[0].state, runs[0].events),
        status=_status([state.status for state in states]),
        created_at=iso_or_none(min(began, default=None)),
        updated_at=iso_or_none(max(updated, default=None)),
        used_usd=to_usd(MicroUsd(sum(state.ledger.spent for state in states))),
        completed=sum(1 for stream in workstreams if stream["status"] == "completed"),
        landed=sum(1 for stream in workstreams if stream["merge_status"] == MergeStatus.MERGED),
        runs=run_list(states)["runs"],
        workstreams=workstreams,
    )


def _status(statuses: Sequence[RunStatus]) -> RunStatus:
    """One word for all: what still moves or asks counts first, then what went wrong."""
    for telling in (RunStatus.RUNNING, RunStatus.WAITING, RunStatus.BUDGET_STOPPED):
        if telling in statuses:
            return telling
    if len(set(statuses)) == 1:
        return statuses[0]
    return RunStatus.PARTIAL


def _workstreams(runs: Sequence[LoadedRun]) -> Iterator[Workstream]:
    for run in runs:
        for node in run.state.nodes.values():
            yield Workstream(
                run_id=run.run_id,
                node_id=node.node.id,
                label=node.node.label,
                tool=node.attempts[-1].tool if node.attempts else node.node.tool,
                status=node.shown_status,
                merge_status=node.merge_status,
                landed_commit=node.landed_commit,
                attempts=len(node.attempts),
            )


def _lines(document: CoordinationDocument) -> Iterator[str]:
    names = min(30, max((len(stream["node_id"]) for stream in document["workstreams"]), default=0))
    for stream in document["workstreams"]:
        standing = " ".join(word for word in (stream["status"], stream["merge_status"]) if word)
        name = one_line(stream["node_id"], names)
        yield f"  {stream['run_id']}  {name:{names}}  {standing:20}  {one_line(stream['label'], 40)}".rstrip()
