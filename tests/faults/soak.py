"""A process that does small runs one after the other and tells after each what it holds.

As a module: `python -m tests.faults.soak FOLDER SECONDS` writes a line of JSON for each run.
"""

import gc
import os
import sys
import time
from pathlib import Path

from msgspec import Struct
from msgspec.json import encode

from tests.fakes.command_line import type_in
from tests.fakes.real_runs import node, plan_of, saved, writes
from tests.fakes.repositories import RepositoryBuilder, make_repository

_FEWEST_RUNS = 8


class Sample(Struct, frozen=True, kw_only=True):
    """What there is after a run. All but the first three has to stay as it is."""

    run: int
    memory_kb: int
    disk_kb: int
    """Of `.git`, `state/` and `artifacts/`: what lands and what is told is kept, so it grows by every run."""
    descriptors: int
    threads: int
    children: int
    slots: int
    """Worktrees, pooled ones included."""
    refs: int
    """But the landing markers and the branches of work that did not land."""
    temporary: int
    """Files in TMPDIR, sockets, locks, records of worktrees, and what lies in the trash."""


def soak(folder: Path, seconds: float) -> None:
    """Run until the time is over."""
    temp = folder / "tmp"
    temp.mkdir()
    os.environ["TMPDIR"] = str(temp)
    repository = make_repository(folder / "repo", {"README.md": "# Soak\n"})
    ends = time.monotonic() + seconds
    number = 0
    while time.monotonic() < ends or number < _FEWEST_RUNS:
        number += 1
        ended = type_in(repository.path, "execute", saved(repository, _plan(number)), "--yes")
        if ended.status != 1:  # one node of each run fails
            raise AssertionError(ended.err)
        sys.stdout.write(encode(_look(repository, temp, number)).decode() + "\n")
        sys.stdout.flush()


def _plan(number: int) -> str:
    """Two that land, one that leaves children, one that fails with work, one that runs too long."""
    return plan_of(
        node("a", f"echo {number} > a.txt"),
        node("b", f"cat a.txt > b.txt; echo {number} >> b.txt", deps=["a"]),
        node("c", f"(env -i setsid sleep 600 &); echo {number} > c.txt"),
        node("d", f"echo {number} > d.txt; exit 1", retries=0),
        writes("e", timeout_s=0.3, retries=0).replace("echo e", "sleep 600; echo e"),
    )


def _look(repository: RepositoryBuilder, temp: Path, number: int) -> Sample:
    gc.collect()
    state, git_dir = repository.path / "state", repository.path / ".git"
    refs = repository.git("for-each-ref", "--format=%(refname)").split()
    passing = [
        *temp.rglob("*"),
        *(state / "bus").glob("*"),
        *(state / "git" / "owners").glob("*"),
        *(state / "git" / "slots").glob("*"),
        *git_dir.rglob("*.lock"),
    ]
    own = Path("/proc/self")
    return Sample(
        run=number,
        memory_kb=int((own / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024,
        disk_kb=sum(_kilobytes(repository.path / name) for name in (".git", "state", "artifacts")),
        descriptors=len(list((own / "fd").iterdir())),
        threads=len(list((own / "task").iterdir())),
        children=len((own / "task" / str(os.getpid()) / "children").read_text().split()),
        slots=len(list((state / "worktrees").glob("[!.]*"))) + len(list((state / "git" / "pool").glob("*"))),
        refs=sum("/landed/" not in ref and not ref.startswith("refs/heads/lane/") for ref in refs),
        temporary=len(passing),
    )


def _kilobytes(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and ".pool" not in path.parts)
    return sum(path.stat().st_size for path in files) // 1024


if __name__ == "__main__":
    soak(Path(sys.argv[1]), float(sys.argv[2]))
