"""The program that does the steps of a phase: `run_actions JOB.json`. Started by `actions.py`."""

import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from msgspec import Struct

from cli_multi_rapid import process
from cli_multi_rapid.adapters.ending import describe_exit
from cli_multi_rapid.adapters.final_record import FinalRecord, print_record, result_text
from cli_multi_rapid.adapters.own_program import own_program, write_job
from cli_multi_rapid.adapters.run_python import PythonJob
from cli_multi_rapid.adapters.slot_paths import path_in_slot, write_text
from cli_multi_rapid.core.codec import from_data
from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.plan import Action, Argv, MakeDirs, PythonCall, RunTests, ShellLine, WriteFile

_LONGEST_TITLE = 120


class ActionsJob(Struct, frozen=True, kw_only=True):
    """The steps, the slot in which they work, and the attempt's private folder."""

    slot: str
    temp: str
    actions: tuple[Action, ...]


class StepFailed(Exception):
    """A step did not reach its end."""

    def __init__(self, reason: str, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def main(job_file: str) -> int:
    """Do the steps in order and print the final record; the exit code of the step that failed, else 0."""
    job = from_data(ActionsJob, json.loads(Path(job_file).read_text(encoding="utf-8")))
    total = len(job.actions)
    for number, action in enumerate(job.actions, start=1):
        title = f"[{number}/{total}] {describe(action)}"
        print(title, flush=True)  # noqa: T201  # this program's output is the attempt's log
        try:
            _do(action, job, number)
        except (StepFailed, OrchestratorError, OSError) as error:
            failure = FailureClass.TOOL_MISSING if isinstance(error, process.ProgramMissing) else None
            print_record(FinalRecord(error=result_text(f"{title}: {error}"), failure=failure))
            return error.exit_code if isinstance(error, StepFailed) else 1
    _keep_empty_folders(job)
    print_record(FinalRecord(result=f"{total} of {total} steps done"))
    return 0


def describe(action: Action) -> str:
    """A step in one line, as the log shows it."""
    match action:
        case ShellLine(run=line):
            title = f"run {line}"
        case Argv(argv=argv):
            title = f"run {shlex.join(argv)}"
        case PythonCall(target=target):
            title = f"python {target}"
        case MakeDirs(paths=paths):
            title = f"mkdirs {' '.join(paths)}"
        case WriteFile(path=path):
            title = f"write {path}"
        case RunTests():
            title = f"tests {shlex.join(_tests(action))}"
        case _:
            assert_never(action)
    title = " ".join(title.split())
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"


def _do(action: Action, job: ActionsJob, number: int) -> None:
    slot = Path(job.slot)
    match action:
        case ShellLine(run=line):
            _run(("sh", "-c", line), slot)
        case Argv(argv=argv):
            _run(argv, slot)
        case PythonCall(target=target, kwargs=kwargs):
            call = PythonJob(slot=job.slot, target=target, kwargs=kwargs)
            _run(own_program("run_python", write_job(Path(job.temp), f"step-{number}", call)), slot)
        case MakeDirs(paths=paths):
            for path in paths:
                path_in_slot(slot, path).mkdir(parents=True, exist_ok=True)
        case WriteFile(path=path, text=text):
            write_text(slot, path, text)
        case RunTests():
            _run(_tests(action), slot)
        case _:
            assert_never(action)


def _tests(action: RunTests) -> tuple[str, ...]:
    return action.argv or ("pytest", "-q")


def _run(argv: Sequence[str], slot: Path) -> None:
    exit_code = process.run_through(argv, cwd=slot, env=os.environ)
    if exit_code != 0:
        # The habit of shells: a program that a signal ended counts as 128 + its number.
        raise StepFailed(describe_exit(exit_code), exit_code if exit_code > 0 else 128 - exit_code)


def _keep_empty_folders(job: ActionsJob) -> None:
    """git knows no empty folders; only at the end is it known which ones stayed empty."""
    slot = Path(job.slot)
    for action in job.actions:
        for path in action.paths if isinstance(action, MakeDirs) else ():
            folder = path_in_slot(slot, path)
            if folder.is_dir() and not any(folder.iterdir()):
                (folder / ".gitkeep").touch()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the first signal of a stop: end without a traceback
    sys.exit(main(sys.argv[1]))
