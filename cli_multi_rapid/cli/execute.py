"""`execute`: run a plan, a streams file or a request."""

import os
import shlex
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.errors import NotConfirmed, StoppedByBudget
from cli_multi_rapid.cli.fix_wish import idle_fix
from cli_multi_rapid.cli.intake import (
    Configured,
    Intake,
    Wish,
    aim,
    look_at_repository,
    read_configuration,
    take_in,
)
from cli_multi_rapid.cli.model_planning import planning_ends
from cli_multi_rapid.cli.options import Decorated, examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, is_interactive, print_json, print_text, shown_path, tell
from cli_multi_rapid.cli.planner_choice import AUTO, TEMPLATE, Asking
from cli_multi_rapid.cli.preflight import (
    checks_notice,
    missing_tools,
    refuse_hopeless,
    require_sandboxes,
    tools_notice,
)
from cli_multi_rapid.cli.preview import (
    Preview,
    budget_notice,
    preview_document,
    preview_text,
)
from cli_multi_rapid.cli.run_options import RunOptions, open_run_workshop, run_options
from cli_multi_rapid.cli.wishes import wish_options
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import CheckSpec, Plan
from cli_multi_rapid.core.run_events import PlanReady
from cli_multi_rapid.core.scheduler import prepare
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.planner.estimate import Estimate, estimate

if TYPE_CHECKING:
    from cli_multi_rapid.engine.workshop import Policies
    from cli_multi_rapid.git import Repository


class Consent(Struct, frozen=True, kw_only=True):
    """What the person says beforehand to the questions of a start."""

    yes: bool = False
    ci: bool = False
    strict_budget: bool = False

    @property
    def asks_nothing(self) -> bool:
        """Whether all questions are answered beforehand."""
        return self.yes or self.ci


def consent_options(function: Decorated) -> Decorated:
    """`--yes`, `--ci` and `--strict-budget`, handed over as `consent: Consent`."""

    @wraps(function)
    def with_consent(*args: Any, yes: bool, ci: bool, strict_budget: bool, **kwargs: Any) -> Any:
        return function(*args, consent=Consent(yes=yes, ci=ci, strict_budget=strict_budget), **kwargs)

    for option in (
        click.option(
            "--strict-budget",
            is_flag=True,
            help="Refuse to start (exit 3) when the estimate exceeds the budget",
        ),
        click.option(
            "--ci", is_flag=True, help="No questions, plain lines, GitHub annotations and a step summary"
        ),
        click.option(
            "--yes", "-y", is_flag=True, help="No questions: run what fits the budget, in priority order"
        ),
    ):
        with_consent = option(with_consent)
    return with_consent


@click.command(
    epilog=examples(
        "execute                        # workflows/multi_stream.yaml",
        "execute plan.yaml --dry-run    # what would run, in which order, at what cost",
        "execute plan.yaml --budget 5 --workers 8",
        'execute --request "Add a health check" --files src/app.py --budget 2',
        "execute plan.yaml --ci --format json > report.json",
    )
)
@wish_options
@run_options
@consent_options
@click.option("--dry-run", is_flag=True, help="Show nodes, order, estimate and checks, and touch nothing")
@place_options
@format_option
def execute(
    *,
    wish: Wish,
    planner: str,
    options: RunOptions,
    consent: Consent,
    dry_run: bool,
    place: Place,
    format_: Format,
) -> int:
    """Run a plan, a streams file, or a request that is planned first.

    FILE is a plan or a multi_stream file; without FILE and --request it is workflows/multi_stream.yaml.
    What is green lands on the target branch; all else keeps its branch and is named at the end.
    A plan that a model made is shown, and run when you say yes or have said --yes.

    \b
    Exit status: 0 all done and landed, 1 something failed or did not land, 2 the input is wrong,
    3 stopped by the budget, 4 waits for a person, 5 the environment is wrong, 130 interrupted.
    """
    if wish.request is None and planner not in (AUTO, TEMPLATE):
        raise click.UsageError(f"--planner {planner} belongs to --request: here is a plan already")
    configured = read_configuration(place, options.settings())
    asking = Asking(
        planner=planner, obstacle=_obstacle(consent, dry_run=dry_run), allow_unpriced=options.allow_unpriced
    )
    intake = take_in(wish, place, configured, os.environ, asking)
    with planning_ends(place, intake.run_id):
        for notice in intake.notices:
            tell(notice.to_text())
        if idle := idle_fix(intake.plan, options.fix):
            if not intake.by_model:
                raise idle
            tell(f"warning: {idle.message}")  # the plan is paid for, and may be just what is wanted
        expected = _estimate(intake, configured, options)
        gone = missing_tools(intake.plan, configured, os.environ)
        if not dry_run:
            refuse_hopeless(intake.plan, gone)
            require_sandboxes(intake.plan, configured, options.fix)
        if gone:
            tell(tools_notice(gone))
        if dry_run:
            return _show(intake, expected, configured, place, format_)
        _confirm(intake, expected, configured, consent, place)
        _hold_to_budget(expected, consent)
        return _run(intake, expected, options, consent, place, format_)


def _obstacle(consent: Consent, *, dry_run: bool) -> str:
    """Why no model may be asked for a plan: its money would be lost."""
    if dry_run:
        return "a dry run asks no model (`plan --request` does)"
    if consent.asks_nothing or is_interactive():
        return ""
    return "nobody is here to confirm a model's plan, and there is no --yes"


def _estimate(intake: Intake, configured: Configured, options: RunOptions) -> Estimate:
    """Held against what the planning has left of the budget."""
    from cli_multi_rapid.wiring import policies_of

    rules = options.refine(policies_of(configured.settings)).budget
    limit = intake.plan.budget
    left = None if limit is None else MicroUsd(max(0, limit - intake.spent))
    return estimate(
        intake.plan, budget_limit=left, prices=configured.prices(), rules=rules, who_can=configured.who_can
    )


def _show(intake: Intake, expected: Estimate, configured: Configured, place: Place, format_: Format) -> int:
    """The dry run: looks at the repository and leaves nothing behind."""
    from cli_multi_rapid.wiring import policies_of

    settings = configured.settings
    with look_at_repository(place) as repository:
        plan = aim(intake.plan, repository)
        checks = _checks(plan, policies_of(settings), repository)
    preview = _preview(plan, intake, expected, configured, checks)
    if format_ is Format.JSON:
        print_json(preview_document(preview))
    else:
        print_text(preview_text(preview))
        print_text("dry run: nothing was started and nothing was written")
    return 0


def _preview(
    plan: Plan,
    intake: Intake,
    expected: Estimate,
    configured: Configured,
    checks: tuple[CheckSpec, ...] | None = None,
) -> Preview:
    order, implied = prepare(plan)
    return Preview(
        plan=plan,
        source=intake.source,
        planner=intake.planner,
        workers=configured.settings.workers,
        order=order,
        implied=implied,
        estimate=expected,
        checks=checks,
        assessment=intake.assessment,
        target=plan.merge_policy.target,
    )


def _confirm(
    intake: Intake, expected: Estimate, configured: Configured, consent: Consent, place: Place
) -> None:
    """Show the plan of a model, and ask. Raises `NotConfirmed`; the plan is kept."""
    if not intake.by_model:
        return
    with look_at_repository(place) as repository:
        plan = aim(intake.plan, repository)
    tell(preview_text(_preview(plan, intake, expected, configured)))
    if consent.asks_nothing or click.confirm("run this plan?", default=False, err=True):
        return
    home = place.find_home()
    path = shown_path(save_plan(home, plan))
    raise NotConfirmed(
        f"nothing was started; the plan is in {path}",
        hint=f"change it and run it: cli-orchestrator execute {shlex.quote(path)}",
    )


def _checks(plan: Plan, policies: "Policies", repository: "Repository") -> tuple[CheckSpec, ...]:
    """What must pass before anything lands. Raises `UserError` for a check without a command."""
    from cli_multi_rapid.engine.check_discovery import checks_of_plan

    tip = repository.branch_tip(plan.merge_policy.target) or repository.resolve("HEAD")
    return checks_of_plan(
        plan, policies.checks, policies.checklist, lambda: repository.list_files(tip) if tip else ()
    )


def _hold_to_budget(expected: Estimate, consent: Consent) -> None:
    """Ask, say what is left out, or refuse. Raises `StoppedByBudget`."""
    if expected.fits:
        return
    if consent.strict_budget:
        raise StoppedByBudget(
            budget_notice(expected), hint="raise --budget, or leave out --strict-budget to run what fits"
        )
    tell(budget_notice(expected))
    asks = not consent.asks_nothing and is_interactive()
    if asks and not click.confirm("run what fits?", default=False, err=True):
        raise StoppedByBudget("nothing was started", hint="raise the limit with --budget")


def _run(
    intake: Intake,
    expected: Estimate,
    options: RunOptions,
    consent: Consent,
    place: Place,
    format_: Format,
) -> int:
    from cli_multi_rapid.cli.drive import drive
    from cli_multi_rapid.engine.session import accept_plan, run_journal

    with open_run_workshop(place, options) as shop:
        plan = aim(intake.plan, shop.repository)
        notice = checks_notice(_checks(plan, shop.policies, shop.repository))
        run_id = accept_plan(shop, plan, intake.source, intake.run_id)  # first: it refuses secrets
        path = save_plan(shop.home, plan)
        run_journal(shop, run_id).submit(plan_ready(plan, path, intake, expected))
        # What does not fit was said before the start.
        tell(f"run {run_id}: {expected.to_text()}" if expected.fits else f"run {run_id}")
        if notice:
            tell(notice)
        return drive(shop, run_id, format_=format_, ci=consent.ci)


def plan_ready(plan: Plan, path: Path, intake: Intake, expected: Estimate) -> PlanReady:
    """The fact that a plan is made and saved."""
    found = intake.assessment
    return PlanReady(
        plan_id=plan.plan_id,
        path=str(path),
        planner=intake.planner,
        estimated_cost=expected.total,
        complexity=found.complexity if found else None,
        confidence=found.confidence if found else None,
    )


def save_plan(home: Home, plan: Plan) -> Path:
    """Write `artifacts/plans/<plan_id>.json`, in place of an earlier plan of that id."""
    from cli_multi_rapid.cli.finish import replace_file
    from cli_multi_rapid.reports.json_text import indented_json
    from cli_multi_rapid.schema.plan_document import plan_to_document

    path = home.plans / f"{plan.plan_id}.json"
    replace_file(path, indented_json(plan_to_document(plan), ascii_only=False) + "\n")
    return path
