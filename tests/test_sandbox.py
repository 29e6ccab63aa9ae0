"""The guards of conftest.py really guard."""

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, HomeGuard, HomeTouched


def test_a_test_gets_its_own_home_and_a_git_identity(sandbox_home: Path) -> None:
    assert Path.home() == sandbox_home
    assert sandbox_home != Path(pwd.getpwuid(os.getuid()).pw_dir)
    name = subprocess.run(
        ["git", "config", "user.email"], cwd=sandbox_home, capture_output=True, text=True, check=True
    )
    assert name.stdout == "test@example.invalid\n"


def test_the_network_is_closed_and_unix_sockets_are_open(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="tried to use socket"), pytest.raises(RuntimeError):
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.bind(str(tmp_path / "s"))


@pytest.fixture
def guard(tmp_path: Path) -> HomeGuard:
    guard = HomeGuard(tmp_path / "home", allowed=(tmp_path / "home" / "project",))
    guard.active = True
    return guard


def test_a_write_to_the_real_home_is_refused(guard: HomeGuard, tmp_path: Path) -> None:
    for event, arguments in {
        "open": (str(tmp_path / "home" / ".config"), "w", os.O_WRONLY | os.O_CREAT),
        "os.mkdir": (tmp_path / "home" / ".cache", 0o777, -1),
        "os.rename": (b"/elsewhere", os.fsencode(tmp_path / "home" / "x"), -1, -1),
        "sqlite3.connect": (str(tmp_path / "home" / "state.db"),),
    }.items():
        with pytest.raises(HomeTouched, match=r"must not write to the real home"):
            guard(event, arguments)


def test_reading_the_home_and_writing_elsewhere_is_allowed(guard: HomeGuard, tmp_path: Path) -> None:
    guard("open", (str(tmp_path / "home" / ".config"), "r", os.O_RDONLY))
    guard("open", (str(tmp_path / "home" / "project" / "x"), "w", os.O_WRONLY | os.O_CREAT))
    guard("open", (str(tmp_path / "home" / "__pycache__" / "x.pyc"), "w", os.O_WRONLY | os.O_CREAT))
    guard("os.mkdir", (str(tmp_path / "homestead"), 0o777, -1))
    guard.active = False
    guard("os.mkdir", (str(tmp_path / "home" / "x"), 0o777, -1))


def test_the_guard_listens_to_this_process(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.conftest import HomeGuard, HomeTouched
guard = HomeGuard(Path({str(tmp_path)!r}), allowed=())
sys.addaudithook(guard)
guard.active = True
try:
    Path({str(tmp_path / "x")!r}).write_text("x")
except HomeTouched:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert list(tmp_path.iterdir()) == []
