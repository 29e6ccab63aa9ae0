"""The worst end of an orchestrator: killed together with the wardens that would end its programs."""

import os
import signal
import subprocess
from typing import Any

from cli_multi_rapid.process_tree import find_marked
from tests.fakes.forks import Fork


def kill_with_wardens(orchestrator: "subprocess.Popen[Any] | Fork", marker: str) -> None:
    """Kill both; what works below `marker` lives on."""
    os.kill(orchestrator.pid, signal.SIGSTOP)  # or it would notice that its wardens died
    wardens = [left.pid for left in find_marked(marker) if "process_warden.py" in left.command]
    assert wardens
    for pid in wardens:
        os.kill(pid, signal.SIGKILL)
    orchestrator.kill()
    orchestrator.wait()
