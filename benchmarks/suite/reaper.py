"""Start one program and tell what it and all that came of it cost: `reaper.py RESULT LIMIT_S PROGRAM ARG…`.

A process of its own, so that the sums begin at zero. As a subreaper it becomes the parent of what its program
leaves behind, so that daemons are counted too; those are killed a moment after the program's end. Imports
nothing of the project: its own start must be short. The result is JSON: `cpu_s` of the whole tree, `wall_s`
to the program's own end, `peak_kb` of the largest process, `code` (negative: a signal), `left` (processes
killed).
"""

import ctypes
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from types import FrameType

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_S = 2.0
"""How long what the program left behind may take to end by itself."""


class _OverTime(Exception):
    """The alarm went off."""


def main(result: str, limit_s: str, *argv: str) -> None:
    """Run the program, reap everything, write the result."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGALRM, _over_time)
    signal.setitimer(signal.ITIMER_REAL, float(limit_s))
    began = time.monotonic()
    pid = os.posix_spawnp(argv[0], argv, os.environ)
    try:
        code = _await(pid)
    except _OverTime:
        code = -signal.SIGKILL
    wall_s = time.monotonic() - began
    signal.setitimer(signal.ITIMER_REAL, _GRACE_S)
    left = _reap_rest()
    usage = getrusage(RUSAGE_CHILDREN)
    found = {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": wall_s, "peak_kb": usage.ru_maxrss}
    Path(result).write_text(json.dumps(found | {"code": code, "left": left}), encoding="utf-8")


def _await(pid: int) -> int:
    """Reap whatever ends until the program itself does; its exit code."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def _reap_rest() -> int:
    """Wait for what is left, then kill it; how many had to be killed."""
    killed: set[int] = set()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return len(killed)
        except _OverTime:
            for child in _children():
                killed.add(child)
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            # What these leave becomes our child in turn.
            signal.setitimer(signal.ITIMER_REAL, 0.05)


def _children() -> list[int]:
    """Our children; those of threads of ours too, but there are none."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def _over_time(_signal: int, _frame: FrameType | None) -> None:
    raise _OverTime


if __name__ == "__main__":
    main(*sys.argv[1:])
