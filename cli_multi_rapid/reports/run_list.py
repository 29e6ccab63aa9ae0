"""The list of runs, the newest first."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, TypedDict

from cli_multi_rapid.core.node_state import MergeStatus, NodeStatus
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import from_iso, iso_or_none, span

_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


class RunLine(TypedDict):
    """One run. `done`: nodes that are completed and have nothing left to land."""

    run_id: str
    coordination_id: str
    workflow_name: str
    status: str
    exit_code: int | None
    created_at: str | None
    completed_at: str | None
    nodes: int
    completed: int
    done: int
    landed: int
    used_usd: float
    budget_usd: float | None


class RunList(TypedDict):
    """The document of `runs --format json`."""

    schema_version: int
    runs: list[RunLine]


def run_line(state: RunState) -> RunLine:
    """The line of one run."""
    nodes, limit, plan = state.nodes.values(), state.ledger.limit, state.plan
    return RunLine(
        run_id=state.run_id,
        coordination_id=(plan.correlation_id if plan else None) or state.run_id,
        workflow_name=plan.name if plan else "",
        status=state.status,
        exit_code=state.finished.exit_code if state.finished else None,
        created_at=iso_or_none(state.created_at),
        completed_at=iso_or_none(state.finished_at),
        nodes=len(nodes),
        completed=sum(1 for node in nodes if node.status is NodeStatus.COMPLETED),
        done=sum(1 for node in nodes if node.landed),
        landed=sum(1 for node in nodes if node.merge_status is MergeStatus.MERGED),
        used_usd=state.ledger.spent / 1_000_000,
        budget_usd=None if limit is None else limit / 1_000_000,
    )


def run_list(states: Iterable[RunState]) -> RunList:
    """The document of several runs, the most recently begun first."""
    # Not by the text: a whole second has no milliseconds there, and its Z comes after every point.
    newest = sorted(states, key=lambda state: state.created_at or _BEFORE_ALL, reverse=True)
    return RunList(schema_version=SCHEMA_VERSION, runs=[run_line(state) for state in newest])


def run_list_text(runs: Sequence[RunLine], *, now: datetime) -> str:
    """The list for a terminal."""
    if not runs:
        return "no runs yet\n"
    names = max(len(run["run_id"]) for run in runs)
    head = f"{'run':{names}}  {'status':14} {'began':>15}  {'done':>9} {'landed':>6} {'spent':>9}  plan"
    return "\n".join([head, *(_line_text(run, names, now) for run in runs)]) + "\n"


def _line_text(run: RunLine, names: int, now: datetime) -> str:
    began = run["created_at"]
    ago = f"{span((now - from_iso(began)).total_seconds())} ago" if began else "-"
    done, spent = f"{run['done']}/{run['nodes']}", f"${run['used_usd']:.2f}"
    return (
        f"{run['run_id']:{names}}  {run['status']:14} {ago:>15}  {done:>9} {run['landed']:>6} "
        f"{spent:>9}  {one_line(run['workflow_name'], 40)}"
    )
