"""The burst as a repository: a branch per change, and a check that takes its time and knows the truth."""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.generated_repository import MAIN, GeneratedRepository, make_repository
from benchmarks.queue_sim.workloads import Change

CHECK = "works"
_BROKEN = "broken"
_FOLDER = "changes"


def make_burst(
    path: Path, changes: Sequence[Change], *, workers: int, check_s: float, jitter: float
) -> GeneratedRepository:
    """A repository whose branches are the changes, each with a file of its own, and whose configuration
    asks for this many checkers and for a check of `check_s` seconds, give or take the share `jitter`."""
    config = {
        "version": 1,
        "checks": {CHECK: {"run": check_script(check_s, jitter)}},
        "merge_policy": {"target": MAIN, "checklist": [CHECK], "workers": workers},
    }
    base = {"README.md": "A burst of changes.\n", "config/orchestrator.yaml": json.dumps(config, indent=1)}
    return make_repository(path, base, [(branch_of(change), _files(change)) for change in changes])


def branch_of(change: Change) -> str:
    """The branch that brings a change."""
    return f"work/{change.name}"


def check_script(check_s: float, jitter: float) -> str:
    """Sleep, then fail when a broken file is in the tree. The dice are the kernel's: nothing repeats."""
    least, spread = round(1000 * check_s * (1 - jitter)), round(2000 * check_s * jitter)
    dice = "$(od -An -N4 -tu4 /dev/urandom)"
    return (
        f"ms=$(({least} + {dice} % {spread + 1}))\n"
        'sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"\n'
        f"! grep -rsx {_BROKEN} {_FOLDER}"
    )


def _files(change: Change) -> dict[str, str]:
    return {f"{_FOLDER}/{change.name}.txt": f"{_BROKEN if change.broken else 'good'}\n"}


def landed_changes(repository: GeneratedRepository) -> set[str]:
    """The names of the changes whose files are on the target."""
    files = repository.git("ls-tree", "-r", "--name-only", MAIN).splitlines()
    return {Path(name).stem for name in files if name.startswith(f"{_FOLDER}/")}
