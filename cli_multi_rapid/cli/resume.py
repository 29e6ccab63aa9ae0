"""`resume`: take a run up again, after a crash, an interruption, a waiting time or a spent budget."""

from typing import TYPE_CHECKING

import click

from cli_multi_rapid.cli.command_given import give, person, tell_given
from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.fix_wish import idle_fix
from cli_multi_rapid.cli.imported import require_ours
from cli_multi_rapid.cli.loaded_run import LoadedRun, load_run
from cli_multi_rapid.cli.options import examples, format_option, place_options, run_argument
from cli_multi_rapid.cli.output import Format, print_text, write
from cli_multi_rapid.cli.run_options import RunOptions, budget_option, open_run_workshop, run_options
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import FixMode
from cli_multi_rapid.core.remedy import has_findings
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports import commands

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records


@click.command(
    epilog=examples(
        "resume",
        "resume 20261120-094612-k3f9",
        "resume --budget 20  # what did not fit is tried again",
        "resume --allow-unpriced  # so is what has no price",
        "resume --fix auto  # put right what the verification found",
    )
)
@run_argument
@budget_option
@run_options
@click.option("--ci", is_flag=True, help="Plain lines, annotations and a step summary for GitHub Actions")
@format_option
@place_options
def resume(
    place: Place,
    format_: Format,
    run: str | None,
    budget: MicroUsd | None,
    options: RunOptions,
    ci: bool,
) -> int:
    """Go on with a run: the latest one, unless RUN names another.

    Nothing that is finished runs again. What a dead process left is ended and saved first. Failed nodes stay
    failed: `retry` does them again, and a run in which nothing else is left, or that was cancelled, is only
    told. With `--fix` nodes are added for what its verification found. A paused run goes on. The exit codes
    are those of `execute`.
    """
    with place.open_records() as records:
        loaded = load_run(records, records.find_run(run))
        require_ours(records, loaded.run_id)
        if loaded.state.plan and (idle := idle_fix(loaded.state.plan, options.fix)):
            raise idle
        if loaded.alive:
            return _tell_living(records, loaded, budget, format_)
        if budget is None and options.allow_unpriced:
            budget = _limit_again(loaded.state)
        fixes = has_findings(loaded.state) and _may_fix(loaded.state, options)
        if _was_called_off(loaded.state) or (
            budget is None and not fixes and _nothing_can_move(loaded.state)
        ):
            return _tell_end(records, loaded, format_)
        if budget is not None:
            give(records, loaded, CommandGiven(command="budget", by=person(), amount=budget))
        if _is_paused(loaded):
            give(records, loaded, CommandGiven(command="unpause", by=person()))
    return go_on(place, loaded.run_id, options, format_=format_, ci=ci)


def _may_fix(state: RunState, options: RunOptions) -> bool:
    """Whether to look again at what its verification found: as is asked for, or because it waits for that."""
    rests = state.finished is not None and state.status in (RunStatus.WAITING, RunStatus.BUDGET_STOPPED)
    return rests if options.fix is None else options.fix is not FixMode.OFF


def _limit_again(state: RunState) -> MicroUsd | None:
    """The run's limit, to be given once more: then what was left out because of money is looked at again."""
    return state.ledger.limit if any(node.by_budget for node in state.nodes.values()) else None


def _nothing_can_move(state: RunState) -> bool:
    """Whether it rests for good: every node landed, or came to an end that only `retry` changes."""
    return (
        state.finished is not None
        and not state.unanswered()
        and all(node.settled for node in state.nodes.values())
    )


def _was_called_off(state: RunState) -> bool:
    """Whether a person cancelled it and nobody has asked for anything since. An interruption is no wish."""
    end = state.finished
    return (
        end is not None
        and end.status is RunStatus.CANCELLED
        and end.exit_code != ExitCode.INTERRUPTED
        and not state.unanswered()
    )


def _is_paused(run: LoadedRun) -> bool:
    """Whether it is paused, or will be as soon as somebody hears of it."""
    return run.state.paused or any(command.command == "pause" for _, command in run.state.unanswered())


def go_on(
    place: Place,
    run_id: RunId,
    options: RunOptions | None = None,
    *,
    format_: Format,
    ci: bool = False,
) -> int:
    """Drive a run in the foreground until it rests, and return its exit code."""
    from cli_multi_rapid.cli.drive import drive

    with open_run_workshop(place, options or RunOptions()) as shop:
        return drive(shop, run_id, format_=format_, ci=ci)


def _tell_living(records: "Records", run: LoadedRun, limit: MicroUsd | None, format_: Format) -> int:
    """A living process can be told of another budget; the rest it does already."""
    if limit is None:
        raise EnvironmentFault(
            f"run {run.run_id} is being driven by {run.driver}",
            hint=f"watch it: {commands.watch(run.run_id)}",
        )
    tell_given(give(records, run, CommandGiven(command="budget", by=person(), amount=limit)), format_)
    return ExitCode.DONE


def _tell_end(records: "Records", run: LoadedRun, format_: Format) -> int:
    """Say again how it ended, and write its files: its process may have died before it came to them."""
    from cli_multi_rapid.cli.finish import write_run_files
    from cli_multi_rapid.cli.summary import run_summary

    written = write_run_files(records.home, records.log, records.clock, run.run_id)
    if format_ is Format.JSON:
        write(written.text)
    else:
        print_text(run_summary(written.report, written.path))
    return run.state.finished.exit_code if run.state.finished else ExitCode.DONE
