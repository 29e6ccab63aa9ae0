"""What a person says to a run: cancel, pause, unpause, approve, reject, inject, retry."""

from typing import TYPE_CHECKING

import click

from cli_multi_rapid.cli.command_given import give, person, tell_given
from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.loaded_run import LoadedRun, find_node, find_run_and_node, load_run
from cli_multi_rapid.cli.options import examples, format_option, place_options, run_argument
from cli_multi_rapid.cli.output import Format
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_state import MERGE_DEAD, NodeState, NodeStatus
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.reports import commands

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records

NO_RESUME = "Only record it; do not go on with a run that no process has in hand"


def _most_words(words: tuple[str, ...], most: int, usage: str) -> None:
    if len(words) > most:
        raise click.UsageError(f"too many words; type: {usage}")


# --- the run as a whole -------------------------------------------------------------------------------------


@click.command(
    epilog=examples("cancel", "cancel 20261120-094612-k3f9 --reason 'wrong plan'", "cancel n3   # one node")
)
@click.argument("words", nargs=-1, metavar="[RUN] [NODE]")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record")
@format_option
@place_options
def cancel(place: Place, format_: Format, words: tuple[str, ...], reason: str) -> None:
    """End a run: running attempts are stopped with all their processes, nothing new starts.

    With NODE: call off one node that has not started. Work that was sealed keeps its branch.
    """
    _most_words(words, 2, "cancel [RUN] [NODE]")
    with place.open_records() as records:
        run, node = find_run_and_node(records, words)
        _require_unfinished(run, "cancel")
        if node is not None and node.shown_status not in (NodeStatus.PENDING, NodeStatus.WAITING):
            raise UserError(
                f"{node.node.id} is {node.shown_status}: only a node that has not started can be called off",
                hint=f"cancel the whole run: cli-orchestrator cancel {run.run_id}",
            )
        node_id = node.node.id if node else None
        command = CommandGiven(command="cancel", by=person(), node_id=node_id, text=reason)
        tell_given(give(records, run, command), format_)


@click.command(epilog=examples("pause", "pause 20261120-094612-k3f9 --reason lunch"))
@run_argument
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record")
@format_option
@place_options
def pause(place: Place, format_: Format, run: str | None, reason: str) -> None:
    """Start nothing new in a run; running attempts finish and their work lands."""
    with place.open_records() as records:
        loaded = load_run(records, records.find_run(run))
        _require_unfinished(loaded, "pause")
        tell_given(give(records, loaded, CommandGiven(command="pause", by=person(), text=reason)), format_)


@click.command(epilog=examples("unpause"))
@run_argument
@format_option
@place_options
def unpause(place: Place, format_: Format, run: str | None) -> None:
    """Let a paused run go on."""
    with place.open_records() as records:
        loaded = load_run(records, records.find_run(run))
        _require_unfinished(loaded, "unpause")
        tell_given(give(records, loaded, CommandGiven(command="unpause", by=person())), format_)


def _require_unfinished(run: LoadedRun, verb: str) -> None:
    """A command to a run at rest would wait in its stream and spoil the next `resume`."""
    if run.state.finished is not None and not run.alive:
        raise UserError(
            f"run {run.run_id} rests ({run.state.status}): there is nothing to {verb}",
            hint=f"see how it stands: cli-orchestrator status {run.run_id}",
        )


# --- consent ------------------------------------------------------------------------------------------------


@click.command(epilog=examples("approve", "approve n2", "approve 20261120-094612-k3f9 n2 --no-resume"))
@click.argument("words", nargs=-1, metavar="[RUN] [NODE]")
@click.option("--no-resume", is_flag=True, help=NO_RESUME)
@format_option
@place_options
def approve(place: Place, format_: Format, words: tuple[str, ...], no_resume: bool) -> int:
    """Agree to what a run waits for: to all of it, or to one node's start or landing.

    A run that no process has in hand goes on here and now, with the exit codes of `execute`.
    """
    _most_words(words, 2, "approve [RUN] [NODE]")
    with place.open_records() as records:
        run, node = find_run_and_node(records, words)
        _require_request(run, node)
        command = CommandGiven(command="approve", by=person(), node_id=node.node.id if node else None)
        return give_and_go_on(records, place, run, command, format_, goes_on=not no_resume)


@click.command(epilog=examples("reject n2 --reason 'the API must stay as it is'"))
@click.argument("words", nargs=-1, required=True, metavar="[RUN] NODE")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record")
@click.option("--no-resume", is_flag=True, help=NO_RESUME)
@format_option
@place_options
def reject(place: Place, format_: Format, words: tuple[str, ...], reason: str, no_resume: bool) -> int:
    """Refuse what a node waits for: it does not start, or its work does not land but keeps its branch.

    A run at rest takes it in here and now; one whose process died waits for `resume`.
    """
    _most_words(words, 2, "reject [RUN] NODE")
    with place.open_records() as records:
        run, node = find_node(records, words)
        _require_request(run, node)
        command = CommandGiven(command="reject", by=person(), node_id=node.node.id, text=reason)
        at_rest = run.state.finished is not None
        return give_and_go_on(records, place, run, command, format_, goes_on=at_rest and not no_resume)


def _require_request(run: LoadedRun, node: NodeState | None) -> None:
    asking = [each.node.id for each in run.state.nodes.values() if each.requested]
    if node is not None and node.node.id not in asking:
        others = f"what waits: {', '.join(asking)}" if asking else "no other node does either"
        raise UserError(
            f"{node.node.id} ({node.shown_status}) does not wait for anybody's approval", hint=others
        )
    if not asking:
        raise UserError(
            f"nothing in run {run.run_id} waits for approval",
            hint=f"see how it stands: cli-orchestrator status {run.run_id}",
        )


# --- nodes --------------------------------------------------------------------------------------------------


@click.command(
    epilog=examples(
        "inject 'use the new client'  # every node of the latest run",
        "inject n2 'see tests/api'  # one node of the latest run",
        "inject 20261120-094612-k3f9 n2 'use the new client'",
    )
)
@click.argument("words", nargs=-1, required=True, metavar="[RUN] [NODE] TEXT")
@format_option
@place_options
def inject(place: Place, format_: Format, words: tuple[str, ...]) -> None:
    """Tell the tools of a run something: it stands in the prompt of every attempt that starts later."""
    _most_words(words, 3, "inject [RUN] [NODE] TEXT (with quotes around the text)")
    text = words[-1].strip()
    if not text:
        raise UserError("there is nothing to say in an empty text")
    with place.open_records() as records:
        run, node = find_run_and_node(records, words[:-1])
        if all(one.landed for one in run.state.nodes.values()):
            _require_unfinished(run, "inject")  # with something left to do, the next attempt will hear it
        node_id = node.node.id if node else None
        command = CommandGiven(command="inject", by=person(), node_id=node_id, text=text)
        tell_given(give(records, run, command), format_)


@click.command(epilog=examples("retry n2", "retry 20261120-094612-k3f9 n2 --with-dependents"))
@click.argument("words", nargs=-1, required=True, metavar="[RUN] NODE")
@click.option("--with-dependents", is_flag=True, help="Also do again what depends on it and did not land")
@click.option("--no-resume", is_flag=True, help=NO_RESUME)
@format_option
@place_options
def retry(
    place: Place, format_: Format, words: tuple[str, ...], with_dependents: bool, no_resume: bool
) -> int:
    """Do a node again that failed, was skipped or cancelled, or whose work did not land.

    A run that no process has in hand goes on here and now, with the exit codes of `execute`.
    """
    _most_words(words, 2, "retry [RUN] NODE")
    with place.open_records() as records:
        run, node = find_node(records, words)
        _require_over(run, node)
        command = CommandGiven(
            command="retry", by=person(), node_id=node.node.id, with_dependents=with_dependents
        )
        return give_and_go_on(records, place, run, command, format_, goes_on=not no_resume)


_OVER = (NodeStatus.FAILED, NodeStatus.SKIPPED, NodeStatus.CANCELLED)


def _require_over(run: LoadedRun, node: NodeState) -> None:
    if node.status in _OVER or node.merge_status in MERGE_DEAD:
        return
    if node.blocked_by is not None:
        cause = _first_cause(run, node)
        raise UserError(
            f"{node.node.id} has not run: it waits for {cause}, which did not complete or land",
            hint=f"do that again: {commands.retry(run.run_id, cause)}",
        )
    if node.status is NodeStatus.COMPLETED and node.landed:
        raise UserError(f"{node.node.id} is done and landed: there is nothing to do again")
    raise UserError(
        f"{node.node.id} is {node.shown_status}: only what came to an end without landing can be done again",
        hint=f"go on with the run: {commands.resume(run.run_id)}",
    )


def _first_cause(run: LoadedRun, node: NodeState) -> NodeId:
    seen = {node.node.id}
    while node.blocked_by is not None and node.blocked_by not in seen:
        seen.add(node.blocked_by)
        node = run.state.nodes[node.blocked_by]
    return node.node.id


def give_and_go_on(
    records: "Records",
    place: Place,
    run: LoadedRun,
    command: CommandGiven,
    format_: Format,
    *,
    goes_on: bool,
) -> int:
    """Say something to a run; one that nobody has in hand goes on, and how it ends is the exit code."""
    document = give(records, run, command)
    if run.alive or not goes_on:
        tell_given(document, format_)
        return ExitCode.DONE

    from cli_multi_rapid.cli.resume import go_on

    return go_on(place, run.run_id, format_=format_)
