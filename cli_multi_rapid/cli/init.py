"""`init`: configuration and example workflows for a repository, never over a file that is there."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final, TypedDict

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.schema.problems import SCHEMA_VERSION

STARTER: Final[Mapping[str, str]] = {
    "config/orchestrator.yaml": "orchestrator.yaml",
    "config/tools.yaml": "tools.yaml",
    "workflows/multi_stream.yaml": "multi_stream.yaml",
    "workflows/phase_definitions/overview.yaml": "overview.yaml",
}
"""The path in the repository, and the file of this package that it is a copy of."""

_IGNORED: Final = ("state/.gitignore", "artifacts/.gitignore")


class InitDocument(TypedDict):
    """What `init --format json` prints; paths are below `repository`."""

    schema_version: int
    repository: str
    written: list[str]
    left_alone: list[str]


@click.command(epilog=examples("init", "init --repo ../other", "execute --dry-run"))
@place_options
@format_option
def init(*, place: Place, format_: Format) -> int:
    """Write configuration and example workflows into a repository, never over a file.

    Nothing of it is needed to run a plan: what is written shows what can be configured. state/ and artifacts/
    ignore themselves, so `git status` names only the new files.
    """
    root = place.root
    if not (root / ".git").exists():
        raise EnvironmentFault(
            f"{root} is in no git repository", hint="run `git init` there, or pass --repo DIR"
        )
    home = place.find_home()
    wanted = {path: _starter_text(name) for path, name in STARTER.items()}
    done = {path: _write_new(root / path, text) for path, text in wanted.items()}
    rules = {str(home.root / name): not (home.root / name).exists() for name in _IGNORED}
    home.prepare()
    done |= {_below(root, Path(path)): new for path, new in rules.items()}
    _tell(root, done, format_)
    return 0


def _starter_text(name: str) -> str:
    return (files("cli_multi_rapid.cli") / "starter" / name).read_text(encoding="utf-8")


def _write_new(path: Path, text: str) -> bool:
    """Write a file that is not there; False when something is. Raises `EnvironmentFault`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}") from error
    return True


def _below(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _tell(root: Path, done: Mapping[str, bool], format_: Format) -> None:
    written = [path for path, new in done.items() if new]
    left_alone = [path for path, new in done.items() if not new]
    if format_ is Format.JSON:
        print_json(
            InitDocument(
                schema_version=SCHEMA_VERSION, repository=str(root), written=written, left_alone=left_alone
            )
        )
        return
    lines = [f"written:    {path}" for path in written]
    lines += [f"left alone: {path} (it is there)" for path in left_alone]
    lines += ["next: look at what would run, then run it", "        cli-orchestrator execute --dry-run"]
    print_text("\n".join(lines))
