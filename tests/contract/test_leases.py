"""A lease is held by one living process at a time, on every implementation."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Branch, queue_stream
from cli_multi_rapid.ports import Lease, Leases
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.leases import FileLease, FileLeases, safe_name
from cli_multi_rapid.store.memory import MemoryLeases
from tests.conftest import REPOSITORY
from tests.fakes.clock import FakeClock

NAME = "20261120-090000-test"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "state" / "orchestrator.db")) as database:
        yield database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "locks"


@pytest.fixture
def file_leases(database: Database, folder: Path) -> FileLeases:
    return FileLeases(folder, database, FakeClock())


@pytest.fixture(params=["memory", "file"])
def leases(request: pytest.FixtureRequest, file_leases: FileLeases) -> Leases:
    return MemoryLeases() if request.param == "memory" else file_leases


def held(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


def test_one_holder_at_a_time(leases: Leases) -> None:
    first = held(leases.acquire(NAME))
    assert first.name == NAME
    assert leases.acquire(NAME) is None
    first.release()
    held(leases.acquire(NAME)).release()


def test_every_later_holder_has_a_larger_token(leases: Leases) -> None:
    fences = []
    for _ in range(4):
        lease = held(leases.acquire(NAME))
        assert leases.acquire(NAME) is None
        fences.append(lease.fence)
        lease.release()
    assert fences == sorted(set(fences))


def test_a_lease_can_be_released_twice_without_harm_to_the_next_holder(leases: Leases) -> None:
    first = held(leases.acquire(NAME))
    first.release()
    second = held(leases.acquire(NAME))
    first.release()
    assert leases.acquire(NAME) is None
    second.release()


def test_leases_of_different_names_do_not_meet(leases: Leases) -> None:
    names = [
        NAME,
        queue_stream(Branch("main")),
        queue_stream(Branch("a/b")),
        "queue:a_b",
        "..",
        "x" * 300,
        "x" * 301,
    ]
    for lease in [held(leases.acquire(name)) for name in names]:
        lease.release()


def test_the_holder_is_told(leases: Leases) -> None:
    assert leases.holder(NAME) is None
    lease = held(leases.acquire(NAME))
    holder = leases.holder(NAME)
    assert holder
    assert leases.holder("another") is None
    lease.release()
    assert leases.holder(NAME) is None


def test_of_many_threads_one_gets_it(leases: Leases) -> None:
    start = threading.Barrier(8)
    got: list[Lease] = []

    def work() -> None:
        start.wait()
        if lease := leases.acquire(NAME):
            got.append(lease)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].release()


def test_a_test_can_take_a_lease_away_from_its_holder() -> None:
    leases = MemoryLeases()
    first = held(leases.acquire(NAME))
    leases.forget(NAME)
    second = held(leases.acquire(NAME))
    assert second.fence > first.fence
    first.release()
    assert leases.acquire(NAME) is None


# What the lock files promise

HOLDER = """
import sys
from pathlib import Path
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.leases import FileLeases
from cli_multi_rapid.system import SystemClock

state, name = sys.argv[1:]
database = Database(Path(state) / "orchestrator.db")
lease = FileLeases(Path(state) / "locks", database, SystemClock()).acquire(name)
print(lease.fence if lease else "none", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start_holder(tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    programs = []

    def start() -> "subprocess.Popen[str]":
        program = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path / "state"), NAME],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        programs.append(program)
        return program

    yield start
    for program in programs:
        program.kill()
        program.communicate()


def answer(program: "subprocess.Popen[str]") -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def test_the_lease_of_a_killed_process_is_free_at_once(
    start_holder: Callable[[], "subprocess.Popen[str]"], file_leases: FileLeases, folder: Path
) -> None:
    program = start_holder()
    fence = int(answer(program))
    assert file_leases.acquire(NAME) is None
    assert (file_leases.holder(NAME) or "").startswith(f"pid {program.pid} on {os.uname().nodename} since 20")
    assert answer(start_holder()) == "none"
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    assert (folder / f"{NAME}.lock").read_text().startswith(f"pid {program.pid} ")
    assert file_leases.holder(NAME) is None
    lease = held(file_leases.acquire(NAME))
    assert lease.fence == fence + 1
    lease.release()


def test_a_program_started_by_the_holder_does_not_keep_the_lease(
    file_leases: FileLeases, folder: Path
) -> None:
    lease = held(file_leases.acquire(NAME))
    pipe = subprocess.PIPE
    with subprocess.Popen(["cat"], stdin=pipe, stdout=pipe, close_fds=False) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"x")
        child.stdin.flush()
        assert child.stdout.read(1) == b"x", "it is under way"
        if sys.platform == "linux":
            assert not [fd for fd in Path(f"/proc/{child.pid}/fd").iterdir() if fd.resolve().parent == folder]
        lease.release()
        held(file_leases.acquire(NAME)).release()
        child.kill()


def test_a_look_at_the_holder_never_makes_an_acquisition_fail(
    file_leases: FileLeases, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second try, which is meant for holders that are dying, would hide a look that stood in the way.
    monkeypatch.setattr("cli_multi_rapid.store.leases._DYING_LOOKS", 0)
    held(file_leases.acquire(NAME)).release()
    done = threading.Event()
    viewer = FileLeases(folder, database, FakeClock())

    def look() -> None:
        while not done.is_set():
            viewer.holder(NAME)

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(200):
        held(file_leases.acquire(NAME)).release()
    done.set()
    thread.join()


def test_the_holder_of_a_removed_lock_file_is_fenced(
    file_leases: FileLeases, database: Database, folder: Path
) -> None:
    first = held(file_leases.acquire(NAME))
    shutil.rmtree(folder)
    second = held(file_leases.acquire(NAME))
    assert second.fence > first.fence
    assert database.query("SELECT token FROM leases WHERE name = ?", (NAME,)) == [(second.fence,)]
    first.release()
    assert file_leases.acquire(NAME) is None
    second.release()


def test_lock_files_are_readable_by_their_owner_and_harmless_when_stale(
    file_leases: FileLeases, folder: Path
) -> None:
    lease = held(file_leases.acquire(NAME))
    [file] = folder.iterdir()
    assert file.name == f"{NAME}.lock"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == f"pid {os.getpid()} on {os.uname().nodename} since 2026-11-20T09:00:00Z\n"
    assert file_leases.holder(NAME) == file.read_text().strip()
    lease.release()
    assert file.read_text() == ""
    file.write_text("pid 1 on nowhere since never, a much longer line than that of any living process\n" * 3)
    assert file_leases.holder(NAME) is None
    lease = held(file_leases.acquire(NAME))
    assert file.read_text().startswith(f"pid {os.getpid()} ")
    assert file.read_text().count("\n") == 1
    lease.release()


def test_file_names_are_safe_and_different() -> None:
    names = [
        "a",
        "A",
        "queue:main",
        "queue:a/b",
        "a%2Fb",
        "a/b",
        "../../etc",
        "ünï",
        "\udcff",
        "x" * 200,
        "x" * 5000,
    ]
    names.append("x" * 4999 + "y")
    files = [safe_name(name) for name in names]
    assert len(set(files)) == len(names)
    assert all("/" not in file and len(f"{file}.lock") <= 255 for file in files)
    assert safe_name("queue:a/b") == "queue%3Aa%2Fb"


def test_a_folder_that_cannot_be_used_is_named(database: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    leases = FileLeases(tmp_path / "file", database, FakeClock())
    with pytest.raises(EnvironmentFault, match="cannot be used"):
        leases.acquire(NAME)
    assert leases.holder(NAME) is None


def test_a_lease_is_not_kept_when_its_token_cannot_be_written(folder: Path, database: Database) -> None:
    leases = FileLeases(folder, database, FakeClock())
    database.query("PRAGMA query_only = ON")
    with pytest.raises(EnvironmentFault):
        leases.acquire(NAME)
    database.query("PRAGMA query_only = OFF")
    held(leases.acquire(NAME)).release()


def test_the_lock_of_a_dead_holder_that_a_dying_child_still_has_is_waited_for(
    file_leases: FileLeases, folder: Path
) -> None:
    """Between fork and exec a child has a copy of its parent's lock, also when the parent was just killed."""
    lease = file_leases.acquire(NAME)
    assert isinstance(lease, FileLease)
    dead = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / f"{NAME}.lock").write_text(f"pid {dead} on here since 2026-11-20T10:00:00Z\n")
    waiter: list[Lease | None] = []
    thread = threading.Thread(target=lambda: waiter.append(file_leases.acquire(NAME)))
    thread.start()
    handle, lease._handle = lease._handle, None  # the copy that the child has
    assert handle is not None
    os.close(handle)
    thread.join(timeout=10)
    (found,) = waiter
    assert found is not None
    found.release()
