"""What the work costs in things that every machine counts alike: processes, checks, rows, bytes, modules.

No test measures time; times are in docs/performance.md. A count that grows fails here. One that falls: lower
its bound in the same commit, so that it cannot grow back unseen.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import Struct

from benchmarks.queue_sim.results import LADDER, mean, simulate
from benchmarks.queue_sim.workloads import Workload
from benchmarks.suite.dag_files import plan_file
from benchmarks.suite.ground import layers
from benchmarks.suite.pure_run import PureRun
from cli_multi_rapid.adapters.own_program import own_program
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import Branch, queue_stream
from cli_multi_rapid.core.merge_events import CheckStarted, MergeLanded
from cli_multi_rapid.planner.load import load_plan
from cli_multi_rapid.wiring import find_home, open_records
from tests.fakes.command_line import PACKAGE_ROOT, type_in
from tests.fakes.repositories import RepositoryBuilder, make_repository

FEW, MANY = 1, 4
"""Nodes of the two runs."""

GIT_PER_RUN, GIT_PER_NODE, GIT_PER_TRAIN = 5, 9, 7
"""Most git processes: of a run once, of a node up to its sealed lane, of a train with one check."""

CHECKS = {1: 0.29, 4: 0.44, 8: 0.60}
"""Most checks per change by the number of checkers, in a simulated burst of 60 with one in twenty broken."""

CALLS_PER_NODE = 400
"""Most function calls of the core, decisions and folds, for a node that starts and succeeds."""

EVENTS_PER_TRAIN = 5
"""Of the queue, for a candidate with one check that lands at once."""

BYTES: Mapping[str, int] = {
    "plan.accepted": 475,
    "merge.enqueued": 375,
    "merge.landing": 325,
    "node.succeeded": 300,
    "check.finished": 270,
    "check.started": 215,
}
BYTES_OF_OTHERS = 200
"""Longest JSON of an event's own fields, for one node and one entry; a few are spare, as numbers differ."""

HEAVY = frozenset({"asyncio", "jsonschema", "networkx", "pydantic", "rich", "sqlalchemy", "sqlmodel", "yaml"})
MODULES: Mapping[tuple[str, ...], tuple[int, int]] = {
    ("--help",): (115, 8),
    ("status",): (235, 92),
    ("queue", "list"): (245, 110),
}
"""Most modules that a command imports beyond the interpreter's own: all, which differs by ten or so from one
Python to the next, and those of this package. What knows a full disk or too few open files is loaded before
that happens."""

IMPORTED = """
import sys
before = set(sys.modules)
from cli_multi_rapid.cli.main import main
code = main(sys.argv[1:])
print(code, *sorted(set(sys.modules) - before), file=sys.stderr)
"""


class SmallRun(Struct, frozen=True, kw_only=True):
    """A run with independent nodes, one after the other, that landed together."""

    repository: RepositoryBuilder
    git_commands: Sequence[str]
    """The first word of each `git` that was started, options left out."""
    run: Sequence[Event]
    queue: Sequence[Event]


def run_small(folder: Path, nodes: int, patch: pytest.MonkeyPatch) -> SmallRun:
    repository = make_repository(folder / "repo")
    plan = {
        "plan_id": "counted",
        "nodes": [
            {"id": f"n{i}", "tool": "shell", "run": f"echo {i} > n{i}.txt", "path_claims": [f"n{i}.txt"]}
            for i in range(nodes)
        ],
        "checks": {"check": {"run": "true"}},
        "merge_policy": {"checklist": ["check"], "when": "after_all"},
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    told = folder / "git.log"
    patch.setenv("PATH", f"{counting_git(folder / 'bin', told)}:{os.environ['PATH']}")
    ended = type_in(repository.path, "execute", folder / "plan.json", "--yes", "--workers", "1")
    assert ended.status == 0, ended.err
    with open_records(find_home(repository.path)) as records:
        run = records.log.read(records.latest_run())
        queue = records.log.read(queue_stream(Branch("main")))
    return SmallRun(repository=repository, git_commands=told.read_text().split(), run=run, queue=queue)


def counting_git(folder: Path, told: Path) -> Path:
    """A `git` that notes its command and becomes the real one."""
    real = shutil.which("git")
    folder.mkdir()
    script = f"""#!/bin/sh
for word; do
  case $skip$word in
    -c | -C | --git-dir | --work-tree) skip=x ;;
    x*) skip= ;;
    -*) ;;
    *) break ;;
  esac
done
echo "$word" >> {told}
exec {real} "$@"
"""
    (folder / "git").write_text(script)
    (folder / "git").chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallRun, SmallRun]:
    with pytest.MonkeyPatch.context() as patch:
        few = run_small(tmp_path_factory.mktemp("few"), FEW, patch)
    with pytest.MonkeyPatch.context() as patch:
        many = run_small(tmp_path_factory.mktemp("many"), MANY, patch)
    return few, many


def trains(run: SmallRun) -> int:
    """How many it took to land: that hangs on how quickly the entries followed each other."""
    return sum(isinstance(event.data, MergeLanded) for event in run.queue)


def test_a_node_and_a_train_take_no_more_git_processes_than_before(runs: tuple[SmallRun, SmallRun]) -> None:
    for run, nodes in zip(runs, (FEW, MANY), strict=True):
        bound = GIT_PER_RUN + nodes * GIT_PER_NODE + trains(run) * GIT_PER_TRAIN
        assert len(run.git_commands) <= bound, Counter(run.git_commands)


def test_no_entry_is_checked_more_often_than_once_when_all_are_good(runs: tuple[SmallRun, SmallRun]) -> None:
    for run, nodes in zip(runs, (FEW, MANY), strict=True):
        assert sum(isinstance(event.data, CheckStarted) for event in run.queue) <= nodes


@pytest.mark.parametrize(("workers", "bound"), [(1, CHECKS[1]), (4, CHECKS[4]), (8, CHECKS[8])])
def test_a_burst_with_broken_changes_takes_no_more_checks_than_before(workers: int, bound: float) -> None:
    workload = Workload(name="counted", changes=60, workers=workers, failure_rate=0.05)
    found = mean([simulate(workload, LADDER, seed) for seed in range(1, 4)])
    assert found.runs_per_change <= bound


def test_a_node_leaves_four_events_in_its_run_and_one_in_the_queue(runs: tuple[SmallRun, SmallRun]) -> None:
    _, many = runs
    told = Counter(event.type for event in many.run)
    assert sum(told[name] for name in told if name.startswith("node.")) == 3 * MANY
    assert told["merge.enqueued"] == MANY
    of_the_queue = Counter(event.type for event in many.queue)
    assert of_the_queue["merge.enqueued"] == MANY
    assert len(many.queue) <= MANY + EVENTS_PER_TRAIN * max(
        trains(many), of_the_queue["merge.checking"], of_the_queue["check.started"]
    )


def test_an_event_is_one_row_and_no_longer_than_before(runs: tuple[SmallRun, SmallRun]) -> None:
    few, _ = runs  # with one entry: with more in a train its events name them all
    with closing(sqlite3.connect(find_home(few.repository.path).database)) as database:
        rows = database.execute("SELECT type, data FROM events").fetchall()
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        counts = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for (table,) in tables
        }
    assert counts == {"events": len(few.run) + len(few.queue), "streams": 2, "leases": 2}
    sizes: dict[str, int] = {}
    for name, data in rows:
        # Where the tests' folder lies is no matter of the event.
        length = len(data.replace(str(few.repository.path.parent), ""))
        sizes[name] = max(length, sizes.get(name, 0))
    assert {name: size for name, size in sizes.items() if size > BYTES.get(name, BYTES_OF_OTHERS)} == {}


@pytest.mark.parametrize("words", [("--help",), ("status",), ("queue", "list")], ids=" ".join)
def test_a_command_that_only_looks_imports_no_more_modules_than_before(
    runs: tuple[SmallRun, SmallRun], words: tuple[str, ...]
) -> None:
    few, _ = runs
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words],
        cwd=few.repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    status, *modules = done.stderr.split()
    assert status == "0", done.stderr
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    own = [name for name in modules if name.partition(".")[0] == "cli_multi_rapid"]
    most, most_own = MODULES[words]
    assert len(own) <= most_own, own
    assert len(modules) <= most, modules


def test_the_steward_that_forks_wardens_loads_os_and_nothing_else_that_is_written_in_python() -> None:
    began = "import os, sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1])"
    program = f"{began}; import process_warden; print(*set(sys.modules) - before - {{'process_warden'}})"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(PACKAGE_ROOT / "cli_multi_rapid")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) <= {"_ctypes", "_socket", "errno", "resource", "_struct"}


def calls_of_the_core(folder: Path, nodes: int) -> int:
    """How many functions a run without any I/O calls, from its plan to its end."""
    plan = load_plan(plan_file(folder, layers(nodes, nodes // 10))).plan
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        PureRun(plan, 4).run()
    finally:
        sys.setprofile(None)
    return calls


def test_a_node_of_a_large_plan_takes_no_more_calls_than_one_of_a_small_plan(tmp_path: Path) -> None:
    calls_of_the_core(tmp_path, 20)  # what is made once
    few, many = (calls_of_the_core(tmp_path, nodes) / nodes for nodes in (100, 400))
    assert many <= 1.05 * few
    assert many <= CALLS_PER_NODE


@pytest.mark.parametrize("module", ["run_actions", "run_python", "run_script"])
def test_a_program_of_ours_starts_without_what_it_does_not_need(module: str, tmp_path: Path) -> None:
    """A node of actions costs little more than this start. Python itself tells what it imports."""
    done = subprocess.run(
        own_program(module, tmp_path / "no-job.json"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert {"msgspec", "cli_multi_rapid.adapters.final_record"} <= imported
    # `inspect` comes with `typing_extensions`, which is told of also where it is not there to be imported.
    assert imported.isdisjoint({"inspect", "cli_multi_rapid.core.events", *HEAVY})
