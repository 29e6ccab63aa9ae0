"""`plan`: turn a request into a plan file."""

import json
import os
import shlex
from pathlib import Path

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.intake import (
    UNNAMED,
    Configured,
    Intake,
    Wish,
    aim,
    look_at_repository,
    read_configuration,
    take_in,
)
from cli_multi_rapid.cli.model_planning import keep_planning, planning_ends
from cli_multi_rapid.cli.options import NEW_FILE, examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text, shown_path
from cli_multi_rapid.cli.planner_choice import Asking
from cli_multi_rapid.cli.preview import Preview, preview_document, preview_text
from cli_multi_rapid.cli.wishes import planner_option, read_files, request_options
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.core.scheduler import prepare
from cli_multi_rapid.planner.estimate import Estimate, estimate


@click.command(
    epilog=examples(
        'plan --request "Add a health check" --files src/app.py',
        'plan --request "Write the user guide" --files docs/ -o guide.json --budget 3',
        "execute guide.json",
    )
)
@click.argument("words", nargs=-1, metavar="")
@request_options
@planner_option
@click.option(
    "-o",
    "--output",
    type=NEW_FILE,
    metavar="F",
    help="Where the plan goes  [default: artifacts/plans/<plan_id>.json]",
)
@place_options
@format_option
def plan(  # noqa: PLR0913  # the options of the command line
    *,
    words: tuple[str, ...],
    request: str | None,
    files: tuple[str, ...],
    budget: MicroUsd | None,
    planner: str,
    output: Path | None,
    place: Place,
    format_: Format,
) -> int:
    """Turn a request into a plan file, with how complex, risky and dear it probably is.

    Nothing is run: look at the file, change it, and execute it. A model that plans costs money, which is a
    part of --budget; `logs` shows what it wrote.
    """
    if request is None:
        raise click.UsageError('say what shall be planned: --request "…"')
    if words and not files:
        raise click.UsageError(f"name files with --files: {words[0]}")
    configured = read_configuration(place)
    wish = Wish(request=request, files=read_files(files, words), budget=budget)
    intake = take_in(wish, place, configured, os.environ, Asking(planner=planner))
    with planning_ends(place, intake.run_id):
        made = _aimed(intake.plan, place)
        expected = _estimate(made, intake, configured)
        path = _save(made, output, place)
    if intake.run_id is not None:
        from cli_multi_rapid.cli.execute import plan_ready

        keep_planning(place, intake.run_id, plan_ready(made, path, intake, expected))
    _show(made, path, intake, expected, configured, format_)
    return 0


def _aimed(made: Plan, place: Place) -> Plan:
    """With the current branch as its target; outside of a repository, `main`."""
    if UNNAMED not in (made.branch_base, made.merge_policy.target):
        return made
    try:
        with look_at_repository(place) as repository:
            return aim(made, repository)
    except EnvironmentFault:
        from msgspec.structs import replace

        from cli_multi_rapid.core.ids import Branch

        main = Branch("main")
        return replace(made, branch_base=main, merge_policy=replace(made.merge_policy, target=main))


def _save(made: Plan, output: Path | None, place: Place) -> Path:
    from cli_multi_rapid.cli.execute import save_plan
    from cli_multi_rapid.cli.finish import replace_file
    from cli_multi_rapid.schema.plan_document import plan_to_document

    if output is None:
        home = place.find_home()
        home.prepare()
        return save_plan(home, made)
    replace_file(output, json.dumps(plan_to_document(made), indent=2, ensure_ascii=False) + "\n")
    return output


def _estimate(made: Plan, intake: Intake, configured: Configured) -> Estimate:
    from cli_multi_rapid.wiring import policies_of

    left = None if made.budget is None else MicroUsd(max(0, made.budget - intake.spent))
    rules = policies_of(configured.settings).budget
    return estimate(
        made, budget_limit=left, prices=configured.prices(), rules=rules, who_can=configured.who_can
    )


def _show(
    made: Plan, path: Path, intake: Intake, expected: Estimate, configured: Configured, format_: Format
) -> None:
    order, implied = prepare(made)
    preview = Preview(
        plan=made,
        source=intake.source,
        planner=intake.planner,
        workers=configured.settings.workers,
        order=order,
        implied=implied,
        estimate=expected,
        assessment=intake.assessment,
        target=made.merge_policy.target,
        path=str(path),
    )
    if format_ is Format.JSON:
        print_json(preview_document(preview))
        return
    print_text(preview_text(preview))
    typed = shlex.quote(shown_path(path))
    print_text(f"plan: {shown_path(path)}\nnext: cli-orchestrator execute {typed}")
