"""The machine runs out of something: disk, open files, memory. The run stops in order, and goes on later."""

import resource
import signal
from pathlib import Path

import pytest

from tests.fakes.command_line import Ended
from tests.faults.conftest import Tell
from tests.faults.rows import Part
from tests.faults.struck_runs import end_of, make_scene, take_time
from tests.faults.tight_disks import small_disk

PLACES = {
    "state": "state",
    "logs": "artifacts",
    "objects": ".git/objects",
    "everything": ".",
}
"""What lies on the small disk, below the repository."""

_FULL = ("No space left", "the disk is full", "diskspace", "unable to write")
"""Git, SQLite and the system have words of their own for it."""

_BIG_FILE = """\
plan_id: struck
nodes:
  - id: big
    tool: shell
    run: "head -c 300000 /dev/zero > src/big; echo end > src/end; echo b > src/a.txt; rm README.md"
    path_claims: ["**"]
checks:
  ok: {{run: "[ -e {go} ] || {{ cat /dev/zero > {filler}; truncate -s -{leave} {filler}; }}; true"}}
merge_policy: {{checklist: [ok]}}
rollback_policy: {{max_retry_attempts: 0}}
"""


def assert_stopped(ended: Ended, words: str, remedy: str) -> None:
    """It says what happened, what helps and what to type then."""
    assert ended.status == 5, ended.err
    assert words in ended.err
    assert f"hint: {remedy}" in ended.err
    assert ", then: cli-orchestrator resume " in ended.err


# --- disk -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_stops_the_run_and_resume_finishes_it(
    tmp_path: Path, tell: Tell, place: str, short: bool
) -> None:
    take_time()
    room = [0] if short else [0, 4096, 65536]
    for leave in room:
        scene = make_scene(tmp_path / str(leave))
        with small_disk(scene.repository.path / PLACES[place]) as disk:
            with scene.at_work() as program:
                disk.fill(leave=leave)
                scene.go.touch()
                ended = end_of(program)
            assert_stopped_by_full_disk(ended)
            disk.free()
            assert scene.resume().status == 0
            scene.assert_whole()
    tell(
        Part.MACHINE,
        f"disk full below {place}, {' / '.join(map(str, room))} bytes left",
        "exit 5 with `free space, then: resume`; resume landed every node once",
        cases=len(room),
    )


def assert_stopped_by_full_disk(ended: Ended) -> None:
    """It says so, or what was left was enough."""
    assert ended.status in (0, 5), ended.err
    if ended.status == 5:
        assert any(words in ended.err for words in _FULL)
        assert "hint: free space, then: cli-orchestrator resume " in ended.err


def test_a_disk_that_is_full_at_the_landing_leaves_the_checkout_as_it_was(
    tmp_path: Path, tell: Tell, short: bool
) -> None:
    take_time()
    room = [300_000] if short else [100_000, 300_000, 304_000, 308_000, 312_000, 325_000]
    statuses = []
    for leave in room:
        scene = make_scene(tmp_path / str(leave))
        with small_disk(scene.repository.path) as disk:
            plan = scene.plan(_BIG_FILE.format(go=scene.go, filler=disk.filler, leave=leave))
            ended = scene.type("execute", plan)
            assert_stopped_by_full_disk(ended)
            disk.free()
            assert scene.repository.status() == ""
            scene.go.touch()
            resumed = scene.resume()
            assert resumed.status == 0, resumed.out
            assert scene.repository.files("main") == ["src/a.txt", "src/big", "src/end"]
            assert (scene.repository.path / "src" / "big").stat().st_size == 300_000
            assert scene.repository.status() == ""
            scene.world.assert_nothing_left(scene.run_id)
        statuses.append(ended.status)
    assert 5 in statuses
    tell(
        Part.MACHINE,
        f"disk full at the landing of 300 kB, {' / '.join(map(str, room))} bytes left",
        "exit 5, the checkout as it was; resume landed it",
        cases=len(room),
    )


# --- open files -------------------------------------------------------------------------------------------


def test_too_many_open_files_stop_the_run_and_resume_finishes_it(
    tmp_path: Path, tell: Tell, short: bool
) -> None:
    take_time()
    limits = [16, 24] if short else [8, 12, 16, 20, 22, 24, 28]
    seen: set[int] = set()
    for limit in limits:
        scene = make_scene(tmp_path / str(limit))
        with scene.at_work() as program:
            resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (limit, 4096))
            scene.go.touch()
            ended = end_of(program)
        if ended.status != 0:
            assert_stopped(ended, "Too many open files", "raise the limit of open files (ulimit -n)")
        seen.add(ended.status)
        assert scene.resume().status == 0
        scene.assert_whole()
    assert 5 in seen
    tell(
        Part.MACHINE,
        f"no more than {' / '.join(map(str, limits))} open files, from the middle of the run",
        "exit 5 with `raise the limit of open files`; resume landed every node once",
        cases=len(limits),
    )


# --- memory -----------------------------------------------------------------------------------------------


def test_a_memory_limit_stops_the_run_and_resume_finishes_it(tmp_path: Path, tell: Tell, short: bool) -> None:
    take_time()
    limits = [60] if short else [40, 50, 55, 60, 70]
    statuses = []
    for megabytes in limits:
        scene = make_scene(tmp_path / str(megabytes))
        scene.go.touch()
        with scene.typing("execute", scene.plan(), before=["prlimit", f"--as={megabytes << 20}"]) as program:
            ended = end_of(program)
        if ended.status != 0:
            assert ended.status in (5, -signal.SIGABRT), ended.err
            assert "hint: free memory, raise the limits (ulimit -v, -u)" in ended.err
        statuses.append(ended.status)
        again = scene.resume()
        if again.status == 2:  # it had not come as far as a run
            again = scene.type("execute", scene.plan())
        assert again.status == 0, again.err
        scene.assert_whole()
    tell(
        Part.MACHINE,
        f"address space limited to {' / '.join(map(str, limits))} MB (also for git and tools)",
        f"exits {', '.join(map(str, statuses))}; `free memory ...`; then every node landed once",
        cases=len(limits),
    )
