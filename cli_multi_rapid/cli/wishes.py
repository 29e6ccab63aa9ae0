"""The options that say what is wanted: a file or a request, and what goes on top of it."""

from functools import wraps
from pathlib import Path
from typing import Any

import click

from cli_multi_rapid.cli.intake import Wish
from cli_multi_rapid.cli.options import Decorated
from cli_multi_rapid.cli.planner_choice import AUTO, PLANNERS
from cli_multi_rapid.cli.run_options import budget_option, read_priority
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.schema.names import is_param


def request_options(function: Decorated) -> Decorated:
    """`--request`, `--files` and `--budget`, handed over as `request`, `files` and `budget`."""
    for option in (
        budget_option,
        click.option(
            "--files",
            multiple=True,
            metavar="PATHS",
            help="Files, folders or globs that the request is about; repeat it, or separate them by commas",
        ),
        click.option("--request", metavar="TEXT", help="What shall be done, in your own words"),
    ):
        function = option(function)
    return function


def read_files(files: tuple[str, ...], more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """`--files a,b --files c` and words that follow, as single names."""
    names = (name.strip() for text in (*files, *more) for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def read_params(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`--param api=v2` to a mapping; the last of a name counts."""
    found: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not is_param(name):
            raise click.BadParameter(f"{text!r} is not of the form name=value")
        found[name] = value
    return found


serialize_option = click.option(
    "--serialize-overlaps",
    is_flag=True,
    help="Put streams whose paths overlap one after the other instead of refusing them",
)

param_option = click.option(
    "--param",
    multiple=True,
    callback=read_params,
    metavar="NAME=VALUE",
    help="A value for ${params.NAME} in the plan; can be repeated",
)

planner_option = click.option(
    "--planner",
    type=click.Choice(PLANNERS),
    default=AUTO,
    show_default=True,
    help="Who plans a request. template: rules, no model, no network; claude, codex: its model, whose plan "
    "is held against the rules for plans; auto: the first of these that is healthy, else the template",
)


def wish_options(function: Decorated) -> Decorated:
    """All that decides what `execute` runs, handed over as `wish: Wish`; the planner as `planner: str`."""

    @wraps(function)
    def with_wish(
        *args: Any,
        words: tuple[str, ...],
        request: str | None,
        files: tuple[str, ...],
        budget: MicroUsd | None,
        priority: int | None,
        param: dict[str, str],
        serialize_overlaps: bool,
        **kwargs: Any,
    ) -> Any:
        if param and request is not None:
            raise click.UsageError("--param belongs to a plan: a request has no params")
        wish = Wish(
            file=None if request is not None else _only_file(words),
            request=request,
            files=_files_of_request(request, files, words),
            budget=budget,
            priority=priority,
            params=param,
            serialize_overlaps=serialize_overlaps,
        )
        return function(*args, wish=wish, **kwargs)

    decorated: Decorated = with_wish
    for option in (
        planner_option,
        serialize_option,
        param_option,
        click.option(
            "--priority",
            callback=read_priority,
            metavar="LEVEL",
            help="high, medium, low or a number: moves all nodes by as much as LEVEL is away from medium, "
            "in the order of starts and in the merge queue",
        ),
        request_options,
        click.argument("words", nargs=-1, metavar="[FILE]", type=click.Path()),
    ):
        decorated = option(decorated)
    return decorated


def _only_file(words: tuple[str, ...]) -> Path | None:
    if len(words) > 1:
        raise click.UsageError(f"one FILE is run at a time, here are {len(words)}: {', '.join(words)}")
    return Path(words[0]) if words else None


def _files_of_request(request: str | None, files: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    """What a request is about: `--files a b` means both, and a plan beside a request means neither."""
    if request is None:
        if files:
            raise click.UsageError("--files belongs to --request: a plan names its files itself")
        return ()
    if words and not files:
        raise click.UsageError(f"either FILE or --request, not both: {words[0]}")
    return read_files(files, words)
