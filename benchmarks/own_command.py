"""Our own command line as a person starts it: a process of its own, with what it cost."""

import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import gettempdir
from time import perf_counter

from msgspec import Struct

from benchmarks.generated_repository import plain_environment
from cli_multi_rapid.process import Completed, run

ROOT = Path(__file__).resolve().parent.parent

_COMPILED = Path(gettempdir()) / "cli-orchestrator-bench-compiled"
"""An installed program is compiled once; with a folder of our own that holds here too, whatever is set."""


class Timed(Struct, frozen=True, kw_only=True):
    """A command that ended, and its price in seconds."""

    done: Completed
    wall_s: float
    cpu_s: float
    """User and system time of the process and of all that it waited for."""


def time_command(repository: Path, *args: str) -> Timed:
    """Run `cli-orchestrator ARGS` in a repository, with this tree's package."""
    environment = plain_environment(repository) | {
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(_COMPILED),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, began = children_cpu_s(), perf_counter()
    done = run([sys.executable, "-m", "cli_multi_rapid", *args], cwd=repository, env=environment)
    return Timed(done=done, wall_s=perf_counter() - began, cpu_s=children_cpu_s() - before)


def children_cpu_s() -> float:
    """User and system time of every process that this one has waited for."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
