"""A plan by a model, for `plan` and `execute`: the run begins with it, so that money and logs are told."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.adapters.registry import AGENTS, adapters, answerer, missing
from cli_multi_rapid.cli.command_given import journal_of
from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.errors import NotConfirmed, StoppedByBudget
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.output import tell
from cli_multi_rapid.cli.planner_choice import Asking
from cli_multi_rapid.cli.progress import Narrator
from cli_multi_rapid.core.errors import EnvironmentFault, ToolFault, UserError
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import RunId, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.run_events import PlanReady, RunFinished
from cli_multi_rapid.schema.settings import Settings
from cli_multi_rapid.schema.tools import ToolConfig

if TYPE_CHECKING:
    from cli_multi_rapid.engine.plan_drafts import Drafting
    from cli_multi_rapid.planner.from_model import ModelPlan
    from cli_multi_rapid.planner.template import Request
    from cli_multi_rapid.planner.tool_choice import Toolbox
    from cli_multi_rapid.wiring import Records


class Question(Struct, frozen=True, kw_only=True):
    """What a model is asked, and in which surroundings."""

    tool: ToolName
    request: "Request"
    toolbox: "Toolbox"
    listing: Sequence[str]
    """The repository's files."""
    settings: Settings
    tools: tuple[ToolConfig, ...]
    environment: Mapping[str, str]
    asking: Asking


class Planning(Struct, frozen=True, kw_only=True):
    """What came of asking a model."""

    run_id: RunId | None
    """The run that began with it; None: nothing was asked."""
    spent: MicroUsd
    made: "ModelPlan | None"
    fault: str = ""
    """Why there is no plan."""


def ask_model(question: Question, place: Place) -> Planning:
    """The plan of a model.

    Without one, who named the model gets the error (`ToolFault`, `StoppedByBudget`); who left the choice open
    gets the reason, for the template to take over.
    """
    from cli_multi_rapid.store.plain_files import write_plain_files
    from cli_multi_rapid.wiring import open_records

    home = place.find_home()
    with open_records(home, create=True) as records:
        run_id = records.ids.run_id()
    with planning_ends(place, run_id), open_records(home) as records:
        try:
            return _ask(question, records, run_id)
        finally:
            write_plain_files(records.log, home.state)


def _ask(question: Question, records: "Records", run_id: RunId) -> Planning:
    from cli_multi_rapid.engine.plan_drafts import OverBudget
    from cli_multi_rapid.planner.from_model import first_prompt, plan_of_draft
    from cli_multi_rapid.process_terms import CancelToken

    drafting = _drafting(question, records, run_id)
    journal, lease = drafting.journal, records.leases.acquire(run_id)
    journal.lease = lease
    journal.observers.append(_telling())
    prompt = first_prompt(
        question.request, question.toolbox, [ToolName(name) for name in drafting.tools], question.listing
    )
    fault = ""
    made: ModelPlan | None = None
    try:
        with CancelToken() as cancel:
            draft = drafting.ask(prompt, cancel)
        spent = journal.state.ledger.spent
        made = plan_of_draft(draft, question.request, question.toolbox, planner=question.tool, spent=spent)
    except OverBudget as error:
        if not question.asking.is_open:
            raise StoppedByBudget(str(error), hint="raise --budget, or: --planner template") from error
        fault = str(error)
    except ToolFault as error:
        if not question.asking.is_open:
            raise
        fault = error.message.splitlines()[0]
    finally:
        if lease is not None:
            lease.release()
    begun = run_id if journal.state.seq else None
    return Planning(run_id=begun, spent=journal.state.ledger.spent, made=made, fault=fault)


def _drafting(question: Question, records: "Records", run_id: RunId) -> "Drafting":
    from cli_multi_rapid.engine.plan_drafts import Drafting
    from cli_multi_rapid.redaction import Redactor
    from cli_multi_rapid.tool_facts import tool_facts
    from cli_multi_rapid.wiring import policies_of, spent_today

    adapter = answerer(question.tool, question.tools, question.environment)
    if adapter is None:  # the choice of the planner looked at that
        raise UserError(f"{question.tool} cannot plan")
    rules = policies_of(question.settings).budget
    return Drafting(
        adapter=adapter,
        price=tool_facts(question.settings, question.tools)[question.tool].price,
        rules=replace(
            rules,
            allow_unpriced=rules.allow_unpriced or question.asking.allow_unpriced,
            day_spent=ZERO if rules.day_limit is None else spent_today(records, run_id),
        ),
        limit=question.request.budget,
        tools=_usable(question),
        default_base=question.request.target,
        home=records.home,
        redactor=Redactor.from_environment(question.environment),
        journal=journal_of(records, run_id),
    )


def _usable(question: Question) -> tuple[ToolName, ...]:
    """The agents that nodes may name: the configured ones, else those that are there; the planner too."""
    available = adapters(question.tools, question.environment)
    names = [tool.name for tool in question.toolbox.tools] or list(AGENTS)
    found = [
        name
        for name in names
        if name not in question.toolbox.down and missing(name, available, question.environment) is None
    ]
    return tuple(dict.fromkeys((*found, question.tool)))


# --- the run that begins with a planning --------------------------------------------------------------------


@contextmanager
def planning_ends(place: Place, run_id: RunId | None) -> Iterator[None]:
    """When no plan is run after the planning, the run that began with it is ended with the reason."""
    try:
        yield
    except BaseException as error:
        if run_id is not None:
            status, code = _end_of(error)
            _finish(place, run_id, status=status, code=code, reason=str(error).partition("\n")[0])
        raise


def keep_planning(place: Place, run_id: RunId, ready: PlanReady) -> None:
    """The plan was all that was wanted."""
    reason = f"planned, not run: {ready.path}"
    _finish(place, run_id, ready, status=RunStatus.SUCCESS, code=ExitCode.DONE, reason=reason)


def _finish(
    place: Place, run_id: RunId, *facts: PlanReady, status: RunStatus, code: ExitCode, reason: str
) -> None:
    with place.open_records() as records:
        journal = journal_of(records, run_id)
        journal.catch_up()
        state = journal.state
        if not state.seq or state.plan is not None or state.finished is not None:
            return  # nothing was asked, or the run tells its end itself
        end = RunFinished(status=status, exit_code=code, reason=reason or "interrupted")
        for fact in (*facts, end):
            journal.submit(fact)


def _end_of(error: BaseException) -> tuple[RunStatus, ExitCode]:
    match error:
        case NotConfirmed():
            return RunStatus.CANCELLED, ExitCode.WAITING
        case StoppedByBudget():
            return RunStatus.BUDGET_STOPPED, ExitCode.BUDGET
        case UserError():
            return RunStatus.FAILED, ExitCode.WRONG_INPUT
        case EnvironmentFault():
            return RunStatus.FAILED, ExitCode.ENVIRONMENT
        case KeyboardInterrupt() | click.Abort():
            return RunStatus.CANCELLED, ExitCode.INTERRUPTED
        case _:
            return RunStatus.FAILED, ExitCode.NOT_LANDED


def _telling() -> Callable[[Event], None]:
    """Tell what the planning records, as a run is told."""
    narrator = Narrator()

    def observe(event: Event) -> None:
        line = narrator.line_of(event)
        if line is not None:
            tell(line)

    return observe
