"""Real runs of small plans in real repositories, and the command line called as a person calls it."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from cli_multi_rapid import wiring
from cli_multi_rapid.cli.main import main
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.engine.session import Session, accept_plan
from cli_multi_rapid.planner.load import load_plan
from tests.fakes.repositories import RepositoryBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Both streams."""
        return self.out + self.err


class _Stream(io.StringIO):
    """A stream that is no terminal."""

    encoding = "utf-8"


def type_(repository: RepositoryBuilder, *words: str) -> Told:
    """Call the command line in a repository, in this process; it never raises."""
    out, err = _Stream(), _Stream()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*words, "--repo", str(repository.path)])
    return Told(code=code, out=out.getvalue(), err=err.getvalue())


def accept(repository: RepositoryBuilder, plan: str) -> RunId:
    """Begin a run of a plan text without driving it: what a kill right after the start leaves behind."""
    path = repository.path.parent / f"{repository.path.name}-plan.yaml"
    path.write_text(plan, encoding="utf-8")
    loaded = load_plan(path)
    with wiring.open_workshop(repository.path) as shop:
        return accept_plan(shop, loaded.plan, str(path))


def carry_out(repository: RepositoryBuilder, plan: str) -> RunId:
    """Drive a run of a plan text until it rests."""
    run_id = accept(repository, plan)
    with wiring.open_workshop(repository.path) as shop:
        Session(shop, run_id).run()
    return run_id


def shell_node(node_id: str, run: str, **more: object) -> str:
    """A node of a plan as YAML flow text: a shell line and its claims on everything it names itself."""
    keys = {"id": node_id, "tool": "shell", "run": run, **more}
    return "  - {" + ", ".join(f"{key}: {_flow(value)}" for key, value in keys.items()) + "}\n"


def plan_of(*nodes: str, head: str = "") -> str:
    """A plan of these nodes without checks."""
    policy = "" if "merge_policy" in head else "merge_policy: {checklist: []}\n"
    return f"version: 1\nplan_id: small\nname: A small plan\n{head}{policy}nodes:\n{''.join(nodes)}"


def _flow(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_plan(path: Path, plan: str) -> Path:
    """A plan file; returns its path."""
    path.write_text(plan, encoding="utf-8")
    return path
