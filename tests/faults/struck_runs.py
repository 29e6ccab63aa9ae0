"""A run that something happens to while it is at work, as the person sees it who typed the command."""

import faulthandler
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.merge_events import MergeLanded
from tests.fakes.command_line import PACKAGE_ROOT, Ended
from tests.fakes.meanwhile import shell_wait, wait_for
from tests.fakes.real_runs import latest_run
from tests.fakes.repositories import RepositoryBuilder
from tests.fakes.worlds import World, make_world

LONGEST_S = 120
"""For one command, on a machine that is busy with others."""

_PLAN = """\
plan_id: struck
nodes:
  - {{id: one, tool: shell, run: "echo 1 > src/one", path_claims: [src/one]}}
  - {{id: two, tool: shell, run: "{wait}; echo 2 > src/two", deps: [one], path_claims: [src/two]}}
  - {{id: three, tool: shell, run: "echo 3 > src/three", deps: [two], path_claims: [src/three]}}
checks: {{ok: {{run: "! grep -rq BAD src"}}}}
merge_policy: {{checklist: [ok]}}
rollback_policy: {{max_retry_attempts: 0}}
"""


class Scene(Struct, frozen=True, kw_only=True):
    """A repository, and a run of three nodes whose second one works until it is told to go on."""

    world: World
    start: str
    """The commit that the target was at before the run."""
    started: Path
    """Is there when the second node works."""
    go: Path
    """Made by the test to let it go on."""

    @property
    def repository(self) -> RepositoryBuilder:
        """The person's repository."""
        return self.world.repository

    @property
    def state(self) -> Path:
        """Where the run keeps its record."""
        return self.repository.path / "state"

    @property
    def run_id(self) -> RunId:
        """The only run."""
        return latest_run(self.repository)

    def plan(self, text: str | None = None) -> Path:
        """The plan as a file beside the repository."""
        path = self.repository.path.parent / "plan.yaml"
        path.write_text(text or _PLAN.format(wait=f"touch {self.started}; {shell_wait(self.go)}"))
        return path

    @contextmanager
    def at_work(self, **how: Any) -> Iterator["subprocess.Popen[str]"]:
        """The run, from the moment that its second node works; it does not outlive the body."""
        with self.typing("execute", self.plan(), **how) as program:
            wait_for(self.started)
            yield program

    @contextmanager
    def typing(
        self, *words: str | Path, before: Sequence[str] = (), instead: Sequence[str | Path] = ()
    ) -> Iterator["subprocess.Popen[str]"]:
        """A command under way; it does not outlive the body.

        It is started through the program `before`, or is the module and the words `instead` of our own.
        """
        module = instead or ["cli_multi_rapid.cli.main"]
        program = subprocess.Popen(
            [*before, sys.executable, "-m", *map(str, (*module, *words))],
            cwd=self.repository.path,
            env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        try:
            yield program
        finally:
            program.kill()
            program.communicate()

    def type(self, *words: str | Path, **how: Any) -> Ended:
        """A command, to its end."""
        with self.typing(*words, **how) as program:
            return end_of(program)

    def resume(self) -> Ended:
        """Continue the run that was cut short."""
        return self.type("resume")

    def assert_whole(self) -> None:
        """Everything landed once, from verified trees, and nothing is left of the run."""
        wanted = ["README.md", "src/a.txt", "src/one", "src/three", "src/two"]
        assert self.repository.files("main") == wanted
        document = self.type("status", "--format", "json").document
        nodes = {node["node_id"]: (node["status"], node["merge_status"]) for node in document["nodes"]}
        assert set(nodes.values()) == {("completed", "MERGED")}, nodes
        facts = [event.data for event in self.world.queue_events()]
        entries = [entry for fact in facts if isinstance(fact, MergeLanded) for entry in fact.entries]
        assert len(entries) == len(set(entries)) == len(nodes)
        self.world.assert_only_verified_trees(self.start, ["ok"])
        self.world.assert_nothing_left(self.run_id)
        assert self.repository.status() == ""


def make_scene(folder: Path) -> Scene:
    """A new repository in a folder, beside which the test can reach into the run."""
    folder.mkdir(exist_ok=True)
    world = make_world(folder / "repo", {"README.md": "# Example\n", "src/a.txt": "a\n"})
    return Scene(world=world, start=world.repository.head, started=folder / "started", go=folder / "go")


def take_time() -> None:
    """Let this test take longer than `faulthandler_timeout` allows the others: it strikes many times."""
    faulthandler.cancel_dump_traceback_later()


def end_of(program: "subprocess.Popen[str]") -> Ended:
    """Wait for the end of a command; it never shows a trace or calls itself buggy."""
    out, err = program.communicate(timeout=LONGEST_S)
    ended = Ended(status=program.returncode, out=out, err=err)
    assert "Traceback" not in err, err
    assert ended.status != 70, err
    return ended
