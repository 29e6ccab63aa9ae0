"""What the command line says about a run, and the workshop that it runs in; for `execute` and `resume`."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.options import Decorated
from cli_multi_rapid.core.money import MicroUsd, parse_usd
from cli_multi_rapid.core.plan import FixMode
from cli_multi_rapid.schema.names import PRIORITIES

if TYPE_CHECKING:
    from cli_multi_rapid.core.plan import Json
    from cli_multi_rapid.engine.workshop import Policies, Workshop


def read_amount(_ctx: click.Context, _param: click.Parameter, value: str | None) -> MicroUsd | None:
    """Dollars, as people write them (`15`, `0.50`, `$2`), to micro-dollars."""
    try:
        return None if value is None else parse_usd(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def read_priority(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """`high`, `medium`, `low`, or a number; lower is first."""
    if value is None:
        return None
    text = value.strip().lower()
    if text in PRIORITIES:
        return PRIORITIES[text]
    if text.isdecimal() and text.isascii() and len(text) < 6:
        return int(text)
    raise click.BadParameter(f"{value!r} is none of high, medium, low or a number from 0")


budget_option = click.option(
    "--budget",
    callback=read_amount,
    metavar="USD",
    help="The most that the run may cost, instead of the plan's own budget",
)


class RunOptions(Struct, frozen=True, kw_only=True):
    """The flags that change how a run works; None and False leave the configuration as it is."""

    workers: int | None = None
    fail_fast: bool = False
    allow_unpriced: bool = False
    fix: FixMode | None = None

    def settings(self) -> "dict[str, Json]":
        """The flags that are settings: the topmost layer of the configuration."""
        return {} if self.workers is None else {"workers": self.workers}

    def refine(self, policies: "Policies") -> "Policies":
        """The flags that are no settings."""
        budget = replace(
            policies.budget, allow_unpriced=policies.budget.allow_unpriced or self.allow_unpriced
        )
        return replace(
            policies, fail_fast=policies.fail_fast or self.fail_fast, budget=budget, fix_asked=self.fix
        )


def run_options(function: Decorated) -> Decorated:
    """`--workers`, `--fail-fast`, `--fix` and `--allow-unpriced`, handed over as `options: RunOptions`."""

    @wraps(function)
    def with_options(
        *args: Any, workers: int | None, fail_fast: bool, allow_unpriced: bool, fix: str | None, **kwargs: Any
    ) -> Any:
        options = RunOptions(
            workers=workers,
            fail_fast=fail_fast,
            allow_unpriced=allow_unpriced,
            fix=None if fix is None else FixMode(fix),
        )
        return function(*args, options=options, **kwargs)

    for option in (
        click.option(
            "--allow-unpriced", is_flag=True, help="Run tools of unknown price although there is a budget"
        ),
        click.option(
            "--fix",
            type=click.Choice([str(mode) for mode in FixMode]),
            help="When what has landed does not pass its verification, add nodes that put it right: "
            "auto: run them, ask: after your approval  [default: off, or the plan or configuration]",
        ),
        click.option("--fail-fast", is_flag=True, help="Start nothing new once a node failed"),
        click.option(
            "--workers",
            type=click.IntRange(min=1, max=1000),
            metavar="N",
            help="Nodes at once  [default: 4, or the configuration]",
        ),
    ):
        with_options = option(with_options)
    return with_options


@contextmanager
def open_run_workshop(place: Place, options: RunOptions) -> Iterator["Workshop"]:
    """All that a run needs. Raises `EnvironmentFault` without a repository, `UserError` for bad settings."""
    from cli_multi_rapid.wiring import open_workshop

    with open_workshop(place.repo, place.home, flags=options.settings(), refine=options.refine) as shop:
        yield shop
