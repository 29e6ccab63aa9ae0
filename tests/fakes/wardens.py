"""The worst end of an orchestrator: killed together with the wardens that would end its programs."""

import os
import signal
import subprocess
from typing import Any

from cli_multi_rapid.process_table import command_of
from cli_multi_rapid.process_tree import find_marked
from tests.fakes.forks import Fork


def kill_with_wardens(orchestrator: "subprocess.Popen[Any] | Fork", marker: str) -> None:
    """Kill both; what works below `marker` lives on."""
    os.kill(orchestrator.pid, signal.SIGSTOP)  # or it would notice that its wardens died
    sessions = {os.getsid(left.pid) for left in find_marked(marker)}
    wardens = [session for session in sessions if "process_warden.py" in command_of(session)]
    assert wardens
    for pid in wardens:
        os.kill(pid, signal.SIGKILL)
    orchestrator.kill()
    orchestrator.wait()
