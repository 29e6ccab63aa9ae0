"""The words of `queue add`: what is wished for the branches."""

from functools import wraps
from typing import Any

import click
from msgspec import Struct

from cli_multi_rapid.cli.options import Decorated
from cli_multi_rapid.cli.run_options import read_priority


class AddWish(Struct, frozen=True, kw_only=True):
    """The words of `queue add`. `checks` None: the configured ones, else those that are found."""

    branches: tuple[str, ...]
    target: str | None
    priority: int | None = None
    checks: tuple[str, ...] | None = None
    approval: bool = False
    urgent: bool = False
    solo: bool = False
    depends_on: tuple[str, ...] = ()


def read_names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Names with commas; an empty text is no name at all, and nothing is None."""
    return None if value is None else tuple(name for name in value.split(",") if name.strip())


def wish_options(function: Decorated) -> Decorated:
    """The branches and what is wished for them, handed over as `wish: AddWish`."""

    @wraps(function)
    def with_wish(*args: Any, **kwargs: Any) -> Any:
        words = {name: kwargs.pop(name) for name in AddWish.__struct_fields__}
        return function(*args, wish=AddWish(**words), **kwargs)

    for option in reversed(_OPTIONS):
        with_wish = option(with_wish)
    return with_wish


_OPTIONS = (
    click.argument("branches", nargs=-1, required=True, metavar="BRANCH..."),
    click.option(
        "--target",
        metavar="BRANCH",
        help="Where it lands  [default: the configuration's target, else main]",
    ),
    click.option("--priority", callback=read_priority, metavar="WORD", help="high, medium, low or a number"),
    click.option(
        "--checks",
        callback=read_names,
        metavar="NAMES",
        help="The checks that must pass, with commas  [default: the configuration's, else what is found]",
    ),
    click.option(
        "--urgent", is_flag=True, help="To the head of the line; says first what that costs the others"
    ),
    click.option("--solo", is_flag=True, help="Check and land it in a train of its own"),
    click.option(
        "--depends-on",
        multiple=True,
        metavar="NAME",
        help="Land only after this branch or entry of the queue; may be repeated",
    ),
    click.option("--approval", is_flag=True, help="Land only after `queue approve`"),
)
