"""The program behind the scripted tool: `run_script JOB.json`. Started by `scripted.py`."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid import process
from cli_multi_rapid.adapters.ending import describe_exit
from cli_multi_rapid.adapters.final_record import FinalRecord, print_record, result_text
from cli_multi_rapid.adapters.script_steps import (
    Append,
    Cost,
    Delete,
    Fail,
    Flood,
    Git,
    Hang,
    IgnoreSigterm,
    NoRecord,
    Say,
    Sleep,
    SpawnDetached,
    Step,
    Write,
)
from cli_multi_rapid.adapters.slot_paths import path_in_slot, write_text
from cli_multi_rapid.core.codec import from_data
from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.money import MicroUsd

AGENT_GIT: Final = "git"
"""The git that an agent would call by itself; the orchestrator's own commands are built in `git.py`."""


class ScriptJob(Struct, frozen=True, kw_only=True):
    """The steps of one attempt."""

    slot: str
    session_id: str
    steps: tuple[Step, ...]


class Ended(Exception):
    """The script ends here. Without a `reason` there is no final record either."""

    def __init__(self, exit_code: int, reason: str = "", failure: FailureClass | None = None) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
        self.reason = reason
        self.failure = failure


def main(job_file: str) -> int:
    """Follow the script and print the final record, unless the script says otherwise."""
    job = from_data(ScriptJob, json.loads(Path(job_file).read_text(encoding="utf-8")))
    _say("scripted tool: following a script, no model is asked")
    record = FinalRecord(session_id=job.session_id)
    try:
        for step in job.steps:
            record = _accounted(step, record)
            _do(step, Path(job.slot))
    except Ended as end:
        if end.reason:
            print_record(replace(record, error=end.reason, failure=end.failure))
        return end.exit_code
    except (OrchestratorError, OSError) as error:
        print_record(replace(record, error=str(error)))
        return 1
    print_record(record)
    return 0


def _accounted(step: Step, record: FinalRecord) -> FinalRecord:
    """What a step adds to the record."""
    match step:
        case Cost(cost=cost, tokens=tokens):
            return replace(record, cost=MicroUsd(record.cost + cost), tokens=record.tokens + tokens)
        case Say(text=text):
            return replace(record, result=result_text(text))
        case _:
            return record


def _do(step: Step, slot: Path) -> None:  # noqa: C901, PLR0912  # one arm for each step
    match step:
        case Write(path=path, text=text):
            write_text(slot, path, text)
        case Append(path=path, text=text):
            _append(slot, path, text)
        case Delete(path=path):
            path_in_slot(slot, path).unlink()
        case Say(text=text):
            _say(text)
        case Sleep(seconds=seconds):
            time.sleep(seconds)
        case Cost():
            return  # it stands in the record
        case Fail(message=message, exit=exit_code, failure=failure):
            raise Ended(exit_code, result_text(message) or "failed as its script says", failure)
        case Hang():
            _hang()
        case SpawnDetached(seconds=seconds):
            _run("setsid", "--fork", "sleep", f"{seconds:g}")
        case Git(args=args):
            _run(AGENT_GIT, *args)
        case Flood(size=size):
            _flood(size)
        case IgnoreSigterm():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case NoRecord(exit=exit_code):
            raise Ended(exit_code)
        case _:
            assert_never(step)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _append(slot: Path, path: str, text: str) -> None:
    place = path_in_slot(slot, path)
    before = place.read_bytes().decode("utf-8", "surrogateescape") if place.exists() else ""
    write_text(slot, path, before + text)


def _hang() -> None:
    while True:
        signal.pause()


def _flood(size: int) -> None:
    line = b"0123456789abcdef" * 4 + b"\n"
    whole, rest = divmod(size, len(line))
    sys.stdout.buffer.writelines(line for _ in range(whole))
    sys.stdout.buffer.write(line[:rest])
    sys.stdout.buffer.flush()


def _run(*argv: str) -> None:
    exit_code = process.run_through(argv, cwd=Path.cwd(), env=os.environ)
    if exit_code != 0:
        raise Ended(1, f"{argv[0]}: {describe_exit(exit_code)}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the first signal of a stop: end without a traceback
    sys.exit(main(sys.argv[1]))
