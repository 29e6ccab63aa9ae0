"""The options that commands share, each defined once."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.output import Format

Decorated = Callable[..., Any]

FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FILE: Final = click.Path(dir_okay=False, path_type=Path)


def place_options(function: Decorated) -> Decorated:
    """`--repo` and `--home`, handed to the command as `place: Place`."""

    @wraps(function)
    def with_place(*args: Any, repo: Path, home: Path | None, **kwargs: Any) -> Any:
        return function(*args, place=Place(repo=repo, home=home), **kwargs)

    with_repo = click.option(
        "--repo",
        type=FOLDER,
        default=".",
        metavar="DIR",
        help="The repository  [default: the current folder]",
    )
    with_home = click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Where state/ and artifacts/ are  [default: the repository's root, or $CLI_ORCHESTRATOR_HOME]",
    )
    return with_repo(with_home(with_place))


def format_option(function: Decorated) -> Decorated:
    """`--format text|json`, handed to the command as `format_: Format`."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice([word.value for word in Format], case_sensitive=False),
        callback=read_format,
        default=Format.TEXT.value,
        show_default=True,
        help="json: one document on stdout, and nothing else",
    )(function)


def read_format(_ctx: click.Context, _param: click.Parameter, value: str) -> Format:
    """The word to its meaning. Not an enum for click, whose help would show the members' names."""
    return Format(value)


def run_argument(function: Decorated) -> Decorated:
    """An optional RUN, handed over as `run: str | None`; `Records.find_run` makes a run id of it."""
    return click.argument("run", required=False, metavar="[RUN]")(function)


def examples(*lines: str) -> str:
    """The end of a command's help: what a person can type. Without the program's name."""
    return "\n".join(["\b", "Examples:", *(f"  cli-orchestrator {line}" for line in lines)])
