"""The command line in a process in which something is wrong from within, when a file says so.

`python -m tests.faults.unlucky_program clock FILE WORDS…`: the clock port of the composition root is ahead of
the system's by the seconds in FILE. `… thread FILE WORDS…`: as soon as FILE is there, the threads whose names
begin with what it holds get a `SystemExit`, wherever they are.
"""

import ctypes
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

from cli_multi_rapid import wiring
from cli_multi_rapid.cli.main import main
from cli_multi_rapid.system import SystemClock

_LOOK_S = 0.01


class JumpingClock(SystemClock):
    """The system's clock, moved by as much as a file says at the moment."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        """The moved time."""
        ahead = float(self._file.read_text()) if self._file.exists() else 0.0
        return super().now() + timedelta(seconds=ahead)


def end_threads(file: Path) -> None:
    """Wait for the file, then end the threads that it names."""
    while not file.exists() or not (prefix := file.read_text()):
        time.sleep(_LOOK_S)
    for thread in threading.enumerate():
        if thread.name.startswith(prefix) and thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
            )
    file.with_suffix(".done").touch()


def work(fault: str, file: Path, words: list[str]) -> int:
    """Run a command under the fault; its exit status."""
    if fault == "clock":
        vars(wiring)["SystemClock"] = lambda: JumpingClock(file)
    else:
        threading.Thread(target=end_threads, args=[file], daemon=True).start()
    return main(words)


if __name__ == "__main__":
    sys.exit(work(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
