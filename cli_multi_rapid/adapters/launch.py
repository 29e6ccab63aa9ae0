"""What every started program has in common: environment, folder, and how our own programs are found."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cli_multi_rapid.core.codec import to_data
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

_PACKAGE_PARENT: Final = Path(__file__).resolve().parents[2]

# `-P` keeps the slot off the module path, so that a repository with a `json.py` or a `cli_multi_rapid` of its
# own cannot take our place. The package that started us is imported from its own folder and nowhere else.
_BOOT: Final = (
    "import sys; root, module = sys.argv[1:3]; del sys.argv[1:3]; "
    "sys.path.insert(0, root); import cli_multi_rapid; sys.path.remove(root); "
    "from runpy import run_module; run_module(module, run_name='__main__', alter_sys=True)"
)


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


def own_program(module: str, job: Path) -> tuple[str, ...]:
    """The command line of one of our own programs, run by the orchestrator's interpreter from any folder."""
    boot = (sys.executable, "-P", "-X", "utf8", "-c", _BOOT)
    return (*boot, str(_PACKAGE_PARENT), f"{__package__}.{module}", str(job))


def write_job(folder: Path, name: str, job: object) -> Path:
    """Hand a job to one of our own programs by file: command lines are short and seen by everybody."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(to_data(job)), encoding="utf-8")
    path.chmod(0o600)
    return path


def find_program(name: str, environment: Mapping[str, str]) -> str | None:
    """Where a program lies on the PATH of an environment; None when it is not there."""
    return shutil.which(name, path=environment.get("PATH", ""))


def _check_argument(argument: str, brief: Brief) -> None:
    if "\0" in argument:
        raise UserError(
            f"node {brief.node.id}: an argument of its command holds a NUL character",
            hint="remove it from the plan's text",
        )
    if len(argument.encode("utf-8", "surrogateescape")) > LONGEST_ARGUMENT:
        raise UserError(
            f"node {brief.node.id}: an argument of its command is longer than {LONGEST_ARGUMENT} bytes",
            hint="hand long texts over in a file",
        )
