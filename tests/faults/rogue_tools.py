"""A repository whose tool is a script of the test, beside a well-behaved one; and what must hold after it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from cli_multi_rapid.process_tree import find_marked
from cli_multi_rapid.redaction import printable
from tests.fakes.command_line import PACKAGE_ROOT, Ended
from tests.faults.struck_runs import Scene, make_scene

_TOOLS = """\
version: 1
tools:
  - name: rogue
    capabilities: [code]
    version_cmd: ["true"]
    argv: [sh, "{script}", "{{prompt_file}}"]
    cost_class: free
"""
_PLAN = """\
plan_id: rogue
nodes:
  - {{id: good, tool: shell, run: "echo good > src/good", path_claims: [src/good]}}
  - {{id: bad, tool: rogue, goal: misbehave, path_claims: [src/bad], timeout_s: {timeout_s}}}
checks: {{ok: {{run: "test -e README.md"}}}}
merge_policy: {{checklist: [ok]}}
rollback_policy: {{max_retry_attempts: 0}}
"""
_SCRIPT = """\
if [ -e '{go}' ]; then echo cured > src/bad; exit 0; fi
{body}
"""

_MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as told:
    told.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""
"""A small program between: what a test's own process takes would count for a program that it starts."""


class Misdeed(Struct, frozen=True, kw_only=True):
    """What came of a run beside a rogue tool."""

    scene: Scene
    ended: Ended
    peak_kb: int
    """The most memory that the orchestrator, or a program that it waited for, took at a time."""
    report: Mapping[str, Any]

    def node(self, name: str = "bad") -> Mapping[str, Any]:
        """A node as the report has it."""
        found: Mapping[str, Any] = next(node for node in self.report["nodes"] if node["node_id"] == name)
        return found

    def assert_contained(self) -> None:
        """The other node landed, nothing runs on, the terminal is safe, and the checkout is the person's."""
        assert self.node("good")["merge_status"] == "MERGED"
        assert find_marked(self.scene.run_id) == ()
        for text in (self.ended.out, self.ended.err, self.scene.type("logs", self.scene.run_id, "bad").out):
            assert printable(text) == text
        assert self.scene.repository.status() == ""

    def assert_cured(self, *, kept: bool = False) -> None:
        """Done again by a tool that behaves, the node lands, and nothing is left."""
        scene = self.scene
        scene.go.touch()
        again = scene.type("retry", scene.run_id, "bad")
        assert again.status == 0, again.out + again.err
        assert scene.repository.show("main", "src/bad") == "cured\n"
        scene.world.assert_only_verified_trees(scene.start, ["ok"])
        if not kept:
            scene.world.assert_nothing_left(scene.run_id)


def let_loose(folder: Path, body: str, *, timeout_s: float = 60.0) -> Misdeed:
    """Run a plan in which a tool does what the shell lines of `body` say."""
    scene = make_scene(folder)
    script = folder / "rogue.sh"
    script.write_text(_SCRIPT.format(go=scene.go, body=body))
    scene.repository.commit({"config/tools.yaml": _TOOLS.format(script=script)}, "a tool")
    scene = Scene(world=scene.world, start=scene.repository.head, started=scene.started, go=scene.go)
    before = fingerprint_of(scene)
    ended, peak_kb = measured(scene, scene.plan(_PLAN.format(timeout_s=timeout_s)))
    assert "Traceback" not in ended.err
    assert ended.status != 70, ended.err
    report = scene.type("report", scene.run_id, "--format", "json").document
    assert fingerprint_of(scene) == before
    return Misdeed(scene=scene, ended=ended, peak_kb=peak_kb, report=report)


def fingerprint_of(scene: Scene) -> dict[str, bytes]:
    """The person's settings and hooks, which an agent may not reach."""
    git_dir = scene.repository.path / ".git"
    places = [
        git_dir / "config",
        *sorted((git_dir / "hooks").glob("*")),
        *sorted((git_dir / "info").glob("*")),
    ]
    return {str(path): path.read_bytes() for path in places if path.is_file()}


def measured(scene: Scene, plan: Path) -> tuple[Ended, int]:
    """Execute a plan; its end, and its peak of memory in kilobytes."""
    told = scene.started.with_name("peak")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _MEASURE,
            told,
            sys.executable,
            "-m",
            "cli_multi_rapid.cli.main",
            "execute",
            plan,
        ],
        cwd=scene.repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    ended = Ended(status=done.returncode, out=done.stdout, err=done.stderr)
    return ended, int(told.read_text())
