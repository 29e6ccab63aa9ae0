"""The run that is killed at every moment: its plan, its tools, its repository, and what it must come to."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.node_state import MergeStatus, NodeStatus
from tests.fakes.repositories import RepositoryBuilder, make_bare_remote, make_repository

PLAN: Final = """\
version: 1
plan_id: sweep
name: All that can happen in one run
global_budget_usd: 0.5
checks:
  ok: {run: "! grep -rq BAD src"}
merge_policy: {target: main, checklist: [ok]}
rollback_policy: {max_retry_attempts: 1}
nodes:
  - {id: clash-a, tool: shell, run: "echo a > src/clash.txt",
     path_claims: [{path: src/clash.txt, mode: shared}]}
  - {id: clash-b, tool: shell, run: "echo b > src/clash.txt",
     path_claims: [{path: src/clash.txt, mode: shared}]}
  - {id: first, tool: shell, run: "echo 1 > src/first.txt", path_claims: [src/first.txt]}
  - {id: second, tool: shell, run: "cat src/first.txt > src/second.txt", deps: [first],
     path_claims: [src/second.txt]}
  - {id: turn-a, tool: shell, run: "echo a >> src/turns.txt", path_claims: [src/turns.txt]}
  - {id: turn-b, tool: shell, run: "echo b >> src/turns.txt", path_claims: [src/turns.txt]}
  - {id: paid, tool: meter, goal: g, est_cost: 0.02, env: {FILE: src/paid.txt, COST: "0.01"},
     path_claims: [src/paid.txt]}
  - {id: dearer, tool: meter, goal: g, est_cost: 0.04, env: {FILE: src/dearer.txt, COST: "0.03"},
     deps: [paid], path_claims: [src/dearer.txt]}
  - {id: lame, tool: scripted, est_cost: 0.01, path_claims: [src/lame.txt],
     script: [{attempts: {1: [{fail: not yet}], 2: [{write: src/lame.txt, text: done}]}}]}
  - {id: lost, tool: shell, run: "echo half > src/lost.txt; exit 1", path_claims: [src/lost.txt], retries: 0}
  - {id: orphan, tool: shell, run: "echo o > src/orphan.txt", deps: [lost], path_claims: [src/orphan.txt]}
  - {id: red, tool: shell, run: "echo BAD > src/red.txt", path_claims: [src/red.txt]}
  - {id: children, tool: shell, path_claims: [src/children.txt],
     run: "setsid sleep 600 & (env -i setsid sleep 600 &) ; sleep 0.05; echo c > src/children.txt"}
  - {id: too-dear, tool: meter, goal: g, est_cost: 0.6, env: {FILE: src/too-dear.txt, COST: "0.6"},
     path_claims: [src/too-dear.txt]}
"""

_METER: Final = """\
#!/bin/sh
# A tool that costs money. What it charges is noted in its own book, which nobody else writes.
echo "$CLI_ORCHESTRATOR_MARKER $COST" >> "$RECEIPTS"
echo "$COST" > "$FILE"
echo "{\\"answer\\": \\"done\\", \\"usd\\": $COST}"
"""
_TOOLS: Final = """\
version: 1
tools:
  - name: meter
    argv: [{meter}, "{{prompt}}"]
    env: [RECEIPTS]
    read: {{format: jsonl, result: answer, cost: usd}}
    cost_class: priced
    typical_cost_usd: 0.05
"""

LANDS: Final = frozenset(
    {"first", "second", "turn-a", "turn-b", "paid", "dearer", "lame", "children"},
)
RIVALS: Final = frozenset({"clash-a", "clash-b"})
"""Both write one file, as their claims allow: one at least lands, the other does too or is in conflict."""
ENDS: Final[Mapping[str, tuple[NodeStatus, MergeStatus | None]]] = {
    **dict.fromkeys(LANDS, (NodeStatus.COMPLETED, MergeStatus.MERGED)),
    "lost": (NodeStatus.FAILED, None),
    "orphan": (NodeStatus.BLOCKED, None),
    "red": (NodeStatus.COMPLETED, MergeStatus.FAILED),
    "too-dear": (NodeStatus.SKIPPED, None),
}
"""How each node must end whatever happens, but for the rivals."""
EXIT_CODE: Final = 3
"""Of a run in which a node did not fit the budget."""
CHECKS: Final = ("ok",)


class CrashWorld(Struct, frozen=True, kw_only=True):
    """A folder with a person's repository, its remote, a place for temporary files and the tools' book."""

    folder: Path
    pushes: bool
    """Whether landings go to a remote; else they fast-forward the person's own checkout of `main`."""
    start: str = ""
    seen: Mapping[str, bytes] = field(default_factory=dict)
    """The person's files before the run, beside those that a landing may bring."""

    @property
    def repository(self) -> RepositoryBuilder:
        """The person's repository."""
        return RepositoryBuilder(path=self.folder / "repo")

    @property
    def remote(self) -> RepositoryBuilder:
        """The bare repository that it pushes to."""
        return RepositoryBuilder(path=self.folder / "remote.git")

    @property
    def receipts(self) -> Path:
        """What the tools charged, by their own account."""
        return self.folder / "receipts"

    @property
    def temp(self) -> Path:
        """The TMPDIR of all that runs there."""
        return self.folder / "tmp"

    @property
    def environment(self) -> dict[str, str]:
        """What programs there find."""
        return {
            "TMPDIR": str(self.temp),
            "RECEIPTS": str(self.receipts),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }


def make_crash_world(folder: Path, *, pushes: bool) -> CrashWorld:
    """A repository with a person's uncommitted work in it, ready for `execute plan.yaml`."""
    folder.mkdir()
    meter = folder / "meter"
    meter.write_text(_METER, encoding="utf-8")
    meter.chmod(0o755)
    (folder / "tmp").mkdir()
    (folder / "receipts").touch()
    (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
    settings = "version: 1\nlanding: {push: origin}\n" if pushes else "version: 1\n"
    repository = make_repository(
        folder / "repo",
        {
            "src/start.txt": "start\n",
            "mine.txt": "mine\n",
            "config/orchestrator.yaml": settings,
            "config/tools.yaml": _TOOLS.format(meter=meter),
        },
    )
    start = repository.head
    if pushes:
        make_bare_remote(folder / "remote.git", repository)
        repository.git("checkout", "-q", "-b", "mine")
    repository.write({"mine.txt": "edited\n", "staged.txt": "staged\n", "loose.txt": "loose\n"})
    repository.git("add", "staged.txt")
    world = CrashWorld(folder=folder, pushes=pushes, start=start)
    return CrashWorld(folder=folder, pushes=pushes, start=start, seen=persons_files(world))


def persons_files(world: CrashWorld) -> dict[str, bytes]:
    """What is the person's alone, byte for byte: their edits, and where nothing may land all the rest too."""
    repository = world.repository
    mine = ["mine.txt", "staged.txt", "loose.txt"]
    if world.pushes:
        mine += [".git/index", ".git/HEAD", *(f"./{name}" for name in repository.files("HEAD"))]
    seen = {name: (repository.path / name).read_bytes() for name in mine}
    seen["what is staged and what is not"] = repository.git("status", "--porcelain", "-uall").encode()
    seen["the staged blob"] = repository.git("rev-parse", ":staged.txt").encode()
    return seen
