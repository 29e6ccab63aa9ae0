"""The list of living programs: complete also where nobody leads a session, and without kernel threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli_multi_rapid.process_table import living_processes
from tests.engine.process.bench import linux_only
from tests.fakes.command_line import PACKAGE_ROOT

OWN_SPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
"""As in a container that was entered from outside: the processes in it have no session that it knows."""

LOOK = """
import os
from cli_multi_rapid.process_table import living_processes
print(os.getsid(0), os.getpid() in [process.pid for process in living_processes()])
"""


@linux_only
def test_every_program_is_listed_and_no_thread_of_the_kernel() -> None:
    listed = {process.pid for process in living_processes()}
    assert os.getpid() in listed
    assert "kthreadd\n" not in map(_name_of, listed)


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since
        return ""


@linux_only
def test_programs_without_a_session_are_listed_too() -> None:
    try:
        subprocess.run([*OWN_SPACE, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody make a space of their own for processes")
    told = subprocess.run(
        [*OWN_SPACE, sys.executable, "-c", LOOK],
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout == "0 True\n"
