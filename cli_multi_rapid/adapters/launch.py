"""What every started program has in common: its environment, its folder, its arguments."""

from collections.abc import Sequence
from typing import Final

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.ports import Brief, Invocation

CACHES: Final = (
    "**/__pycache__/**",
    "**/.pytest_cache/**",
    "**/.ruff_cache/**",
    "**/.mypy_cache/**",
)
"""What Python and its tools leave behind when a step runs them; never part of the work."""

LONGEST_ARGUMENT: Final = 128 * 1024 - 1
"""Bytes. Linux refuses a longer single argument (MAX_ARG_STRLEN), whatever the total may be."""


def invocation(brief: Brief, argv: Sequence[str], *, ignore: tuple[str, ...] = ()) -> Invocation:
    """The program in the slot, with the attempt's environment and private temporary folder.

    Raises `UserError` for an argument that no program can be given.
    """
    for argument in argv:
        _check_argument(argument, brief)
    return Invocation(argv=tuple(argv), env=environment_of(brief), cwd=brief.slot, ignore=ignore)


def environment_of(brief: Brief) -> dict[str, str]:
    """The environment of the attempt; temporary files go to the folder that is removed with it."""
    return {**brief.environment, "TMPDIR": str(brief.temp)}


def _check_argument(argument: str, brief: Brief) -> None:
    try:
        size = len(argument.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        size = 0
    if "\0" in argument or (argument and not size):
        raise UserError(
            f"node {brief.node.id}: an argument of its command holds what no program can be given",
            hint="remove NUL characters and halves of surrogate pairs from the plan's text",
        )
    if size > LONGEST_ARGUMENT:
        raise UserError(
            f"node {brief.node.id}: an argument of its command is longer than {LONGEST_ARGUMENT} bytes",
            hint="hand long texts over in a file",
        )
