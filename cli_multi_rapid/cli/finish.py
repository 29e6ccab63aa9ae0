"""Write down, after every drive of a run, what people and scripts read: the report and the plain files."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verifying import verifies
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.ports import Clock, EventLog
from cli_multi_rapid.reports.document import RunReport
from cli_multi_rapid.reports.json_text import indented_json
from cli_multi_rapid.reports.run_report import run_report
from cli_multi_rapid.reports.verification import verification_report
from cli_multi_rapid.store.plain_files import write_plain_files


class Written(Struct, frozen=True, kw_only=True):
    """The report of a run and the file that holds it."""

    report: RunReport
    text: str
    """What the file holds."""
    path: Path


def write_run_files(home: Home, log: EventLog, clock: Clock, run_id: RunId) -> Written:
    """Write the run's report, its verification and amended plan if there are any, and the plain files.

    Everything comes from the events, so it can be done at any time and any number of times. `log` is one that
    holds the run. Raises `EnvironmentFault` when the files cannot be written.
    """
    events = log.read(run_id)
    state = RunState(run_id)
    for event in events:
        state.apply(event)
    if is_verified(state):
        verdict = verification_report(state, events, now=clock.now(), verification_id=f"ver-{run_id}")
        replace_file(home.verification(run_id), indented_json(verdict) + "\n")
    if state.amendments and state.plan:
        replace_file(home.amended_plan(run_id), _plan_text(state.plan))
    path = home.report(run_id)
    report = build_report(home, state, events, now=clock.now(), alive=False)
    # As `reports.formats.json_report` does it, without loading the other formats.
    text = indented_json(report) + "\n"
    replace_file(path, text)
    write_plain_files(log, home.state)
    return Written(report=report, text=text, path=path)


def _plan_text(plan: Plan) -> str:
    from cli_multi_rapid.schema.plan_document import plan_to_document  # few runs are amended

    return indented_json(plan_to_document(plan)) + "\n"


def is_verified(state: RunState) -> bool:
    """Whether a node that verifies the landed work has come to an end."""
    verifiers = (node for node in state.nodes.values() if verifies(node.node))
    return any(node.attempts and node.attempts[-1].ended_at for node in verifiers)


def build_report(
    home: Home, state: RunState, events: Sequence[Event], *, now: datetime, alive: bool
) -> RunReport:
    """The report of a run with the files that were written for it, its own one included."""
    artifacts = [*_found_artifacts(home, state), _shown(home, home.report(state.run_id))]
    return run_report(state, events, now=now, artifacts=artifacts, alive=alive)


def _found_artifacts(home: Home, state: RunState) -> list[str]:
    """The files of this run that are there, by their path below the home."""
    plan = home.plans / f"{state.plan.plan_id}.json" if state.plan else None
    logs = [Path(attempt.log) for node in state.nodes.values() for attempt in node.attempts if attempt.log]
    amended = home.amended_plan(state.run_id)
    candidates = [*([plan] if plan else []), amended, home.verification(state.run_id), *logs]
    return [_shown(home, path) for path in candidates if _is_file(path)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long; the events of an imported run may say anything
        return False


def _shown(home: Home, path: Path) -> str:
    return str(path.relative_to(home.root)) if path.is_relative_to(home.root) else str(path)


def replace_file(path: Path, text: str) -> None:
    """Write a file: readers see the old one or the new one, never a part. Raises `EnvironmentFault`."""
    temp = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temp.write_text(text, encoding="utf-8")
        temp.replace(path)
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be written: {error.strerror}",
            hint="free some space or check the permissions; runs themselves are recorded in state/",
        ) from error
