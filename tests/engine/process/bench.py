"""A place to run misbehaving programs under supervision and to look at what became of them."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import Signals

import pytest
from msgspec.structs import replace

from cli_multi_rapid.ports import StopStep
from cli_multi_rapid.process import CancelToken, Exit, Supervision, inherited_environment, supervise
from cli_multi_rapid.process_table import command_of, read_process
from cli_multi_rapid.redaction import Redactor

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

PATIENCE_S = 20.0
"""Seconds after which something that must happen is taken for never happening."""

HASTY = (StopStep(signal=Signals.SIGINT, wait_s=0.05), StopStep(signal=Signals.SIGTERM, wait_s=0.05))

SECRET = "hunter2-and-more"


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what another process does, where nothing wakes us."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} never happened"
        time.sleep(0.002)


def is_alive(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and not process.dead


def children() -> set[int]:
    """Our children, zombies included, but for the steward, which stands ready to the end."""
    processes = (read_process(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    ours = {process.pid for process in processes if process is not None and process.parent == os.getpid()}
    return {pid for pid in ours if "process_warden.py" not in command_of(pid)}


class Bench:
    """Runs shell scripts under supervision; `$HERE` is a folder in which they leave their process ids."""

    guarded = False
    """Whether a warden stands between us and the scripts."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.marker = f"{here.name}/{os.getpid()}"
        self.env = {**inherited_environment(), "HERE": str(here)}
        self.cancel = CancelToken()
        self._count = 0

    def supervise(
        self,
        script: str | list[str],
        *,
        limits: Supervision | None = None,
        name: str = "",
        cancel: CancelToken | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Exit:
        self._count += 1
        name = name or str(self._count)
        return supervise(
            ["sh", "-c", script] if isinstance(script, str) else script,
            cwd=self.here,
            env=self.env,
            marker=f"{self.marker}/{name}",
            log=self.here / "logs" / f"{name}.log",
            redactor=Redactor([SECRET]),
            supervision=replace(limits or Supervision(timeout_s=PATIENCE_S), guarded=self.guarded),
            cancel=cancel or self.cancel,
            on_line=on_line,
        )

    def cancelled_when_ready(self, script: str, stops: tuple[StopStep, ...] = HASTY) -> Exit:
        """Supervise with a short patience and cancel as soon as the script says `ready`."""
        with CancelToken() as cancel:
            return self.supervise(
                script,
                limits=Supervision(timeout_s=PATIENCE_S, stops=stops),
                cancel=cancel,
                on_line=lambda line: cancel.cancel("enough") if line == "ready" else None,
            )

    def pid(self, name: str) -> int:
        """A process id that a script wrote to a file, as soon as it is there."""
        path = self.here / name
        until(lambda: path.exists() and path.read_text().endswith("\n"), f"writing {name}")
        return int(path.read_text())
