"""A person's repository, a node that means harm, and two orchestrators: one that takes no care, and ours.

The naive one does what a first script does: a linked worktree for each node, and git called in it, so that
git finds its repository, its settings and its hooks wherever the node put them. A fault that it survives
would prove nothing about us.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from cli_multi_rapid.process_environment import inherited_environment
from tests.fakes.command_line import Ended
from tests.fakes.repositories import Content, RepositoryBuilder, make_repository
from tests.fakes.short_runs import execute, the_report

FILES: Final[Mapping[str, Content]] = {
    "a.txt": "".join(f"line {number}\n" for number in range(1, 13)),
    "src/app.py": "print('app')\n",
    "tests/test_app.sh": "grep -q app src/app.py\n",
    "config/orchestrator.yaml": "version: 1\nchecks: {tests: {argv: [sh, tests/test_app.sh]}}\n",
}
CHECK: Final = "tests/test_app.sh"


class Deed(Struct, frozen=True, kw_only=True):
    """What one node does, as the text of a shell script, and what it claims."""

    script: str
    claims: tuple[str, ...] = ("**",)
    mode: str = "shared"
    keys: Mapping[str, Any] = {}


class World(Struct, frozen=True, kw_only=True):
    """Where a node strikes: a folder with the repository, the trap and what lies beside them."""

    folder: Path
    repository: RepositoryBuilder

    @property
    def trap(self) -> Path:
        """A program that an attacker wants to be run by somebody else."""
        return self.folder / "trap"

    @property
    def sprung(self) -> bool:
        """Whether anybody ran it."""
        return (self.folder / "sprung").exists()

    @property
    def outside(self) -> Path:
        """A folder beside the repository."""
        return self.folder / "outside"

    def filled(self, script: str) -> str:
        """The script with the places that an attacker would have found out by looking around."""
        places = {"TRAP": self.trap, "OUTSIDE": self.outside, "REPO": self.repository.path}
        return "".join(f"{name}={place}\n" for name, place in places.items()) + script

    # --- the two ways of working ----------------------------------------------------------------------------

    def naively(self, *deeds: Deed) -> list[str]:
        """Let each node work in a worktree, then commit and merge; returns what git said where it refused."""
        refused = []
        for number, deed in enumerate(deeds):
            self._git("worktree", "add", "-q", "-b", f"n{number}", str(self._tree(number)), "main")
            self._shell(deed.script, self._tree(number))
        for number in range(len(deeds)):
            at = self._tree(number)
            for words in (("add", "-A"), ("diff", "HEAD"), ("commit", "-q", "-m", f"n{number}")):
                refused += self._git(*words, at=at)
            refused += self._git("merge", "-q", "--no-edit", f"n{number}")
            if self._shell(f"sh {CHECK}", self.repository.path):
                self._git("reset", "-q", "--hard", "HEAD~")
        return refused

    def ours(self, *deeds: Deed, check: bool = False, **keys: Any) -> Ended:
        """The same nodes in a plan, executed as a person does."""
        nodes = [
            {
                "id": f"n{number}",
                "tool": "shell",
                "run": self.filled(deed.script),
                "path_claims": [{"path": path, "mode": deed.mode} for path in deed.claims],
                **deed.keys,
                **keys,
            }
            for number, deed in enumerate(deeds)
        ]
        policy = {"checklist": ["tests"] if check else []}
        return execute(
            self.repository, json.dumps({"plan_id": "hostile", "nodes": nodes, "merge_policy": policy})
        )

    def nodes(self) -> list[Any]:
        """The nodes of the report."""
        found = the_report(self.repository)["nodes"]
        assert isinstance(found, list)
        return found

    def modes(self) -> set[str]:
        """The file modes on `main`: 160000 is an embedded repository, 120000 a symlink."""
        return {line.split()[0] for line in self.repository.git("ls-tree", "-r", "main").splitlines()}

    def _tree(self, number: int) -> Path:
        return self.folder / f"naive{number}"

    def _git(self, *words: str, at: Path | None = None) -> list[str]:
        done = self.repository.try_git(*words, at=at)
        return [] if done.returncode == 0 else [done.stderr.decode("utf-8", "replace").strip()]

    def _shell(self, script: str, at: Path) -> int:
        argv: Sequence[str] = ("sh", "-c", self.filled(script))
        env = {**inherited_environment(), "PATH": os.environ["PATH"]}
        return subprocess.run(argv, cwd=at, env=env, check=False, capture_output=True, timeout=60).returncode


def make_world(folder: Path) -> World:
    """A fresh world; every part of it is a folder of its own."""
    repository = make_repository(folder / "repo", FILES)
    world = World(folder=folder, repository=repository)
    world.outside.mkdir()
    world.trap.write_text(f"#!/bin/sh\ntouch {folder}/sprung\ncat 2>/dev/null\n")
    world.trap.chmod(0o755)
    return world
