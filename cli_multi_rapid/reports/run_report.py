"""The run report: one JSON document with all that became of a run, computed from its events alone."""

from collections.abc import Sequence
from datetime import datetime

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Usage, Verdict
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.money import MicroUsd, to_usd
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.amendments import amendment_reports
from cli_multi_rapid.reports.chronicle import CheckRun, Chronicle, Landing, Span, read_chronicle
from cli_multi_rapid.reports.document import (
    ASSUMED,
    SCHEMA_VERSION,
    CheckReport,
    CostSummary,
    EdgeReport,
    LandingReport,
    MergeSummary,
    RunReport,
)
from cli_multi_rapid.reports.efficiency import efficiency_of
from cli_multi_rapid.reports.next_step import Advice
from cli_multi_rapid.reports.node_report import node_report
from cli_multi_rapid.reports.quality import quality_of
from cli_multi_rapid.reports.spent import known_usd
from cli_multi_rapid.reports.times import iso, iso_or_none, minutes


def run_report(
    state: RunState,
    events: Sequence[Event],
    *,
    now: datetime,
    artifacts: Sequence[str] = (),
    alive: bool = True,
) -> RunReport:
    """The report of a run at `now`.

    `state` is the fold of `events`. `artifacts` are the files that were written for this run. `alive`:
    whether a process has the run in hand; it matters for what comes next and for what is under check.
    """
    chronicle = read_chronicle(events)
    advice = Advice(state, chronicle)
    checking = alive and state.finished is None
    created = state.created_at or (events[0].time if events else now)
    plan, started = state.plan, state.started
    return RunReport(
        schema_version=SCHEMA_VERSION,
        run_id=state.run_id,
        coordination_id=coordination_id(state, events),
        plan_id=plan.plan_id if plan else "",
        workflow_name=plan.name if plan else "",
        status=state.status,
        exit_code=state.finished.exit_code if state.finished else None,
        reason=state.finished.reason if state.finished else state.cancelling or "",
        repository=started.repository if started else None,
        target=started.target if started else (plan.merge_policy.target if plan else None),
        base=started.base if started else None,
        workers=started.workers if started else None,
        created_at=iso(created),
        completed_at=iso_or_none(state.finished_at),
        reported_at=iso(now),
        total_duration_min=minutes(((state.finished_at or now) - created).total_seconds()),
        nodes=[
            node_report(state, node, chronicle, advice, now, checking=checking)
            for node in state.nodes.values()
        ],
        cost_summary=cost_summary(state, chronicle),
        parallel_efficiency=efficiency_of(state, chronicle, now),
        merge_summary=merge_summary(state, chronicle),
        quality_metrics=quality_of(state, chronicle),
        checks=[_check_report(check, state, chronicle, now) for check in chronicle.checks],
        landings=[_landing_report(landing, state) for landing in chronicle.landings],
        implied_edges=implied_edges(state),
        amendments=amendment_reports(state),
        next=advice.of_run(alive=alive),
        artifacts_generated=list(artifacts),
    )


def coordination_id(state: RunState, events: Sequence[Event]) -> str:
    """The correlation id: the plan's, else the events', else the run's own id."""
    if state.plan is not None and state.plan.correlation_id is not None:
        return state.plan.correlation_id
    return next((event.correlation_id for event in events if event.correlation_id is not None), state.run_id)


def cost_summary(state: RunState, chronicle: Chronicle) -> CostSummary:
    """The run's money; every tool that was used has its line, also when it cost nothing."""
    ledger = state.ledger
    by_tool: dict[str, list[Usage]] = {
        attempt.tool: [] for node in state.nodes.values() for attempt in node.attempts
    }
    for settled in chronicle.settled.values():
        by_tool.setdefault(settled.tool, []).append(settled.usage)
    limit = ledger.limit
    assumed = sum(each.usage.cost for each in chronicle.settled.values() if each.usage.source == ASSUMED)
    return CostSummary(
        budget_usd=None if limit is None else to_usd(limit),
        total_used_usd=to_usd(ledger.spent),
        assumed_usd=to_usd(MicroUsd(assumed)),
        unknown_attempts=sum(1 for each in chronicle.settled.values() if each.usage.unknown),
        reserved_usd=to_usd(ledger.reserved),
        budget_remaining_usd=None if limit is None else to_usd(MicroUsd(limit - ledger.spent)),
        utilization_pct=round(ledger.spent * 100 / limit, 1) if limit else None,
        breakdown={tool: known_usd(usages) for tool, usages in by_tool.items()},
    )


def merge_summary(state: RunState, chronicle: Chronicle) -> MergeSummary:
    """What the merge queue did, counted over the entries of this run."""
    landed = {entry for landing in chronicle.landings for entry in landing.landed.entries}
    ours = [landing for landing in chronicle.landings if _nodes_of(landing.landed.entries, state)]
    before_landing = [check for check in chronicle.checks if check.entries and check.finish is not None]
    examined = [check for check in before_landing if not check.reused]
    return MergeSummary(
        branches_merged=len(landed & set(state.entries)),
        merge_conflicts=sum(1 for conflict in chronicle.conflicts if conflict.entry_id in state.entries),
        pre_merge_checks_run=len(examined),
        pre_merge_checks_passed=sum(1 for check in examined if check.verdict is Verdict.PASSED),
        verdicts_reused=len(before_landing) - len(examined),
        trains=len(ours),
    )


def implied_edges(state: RunState) -> list[EdgeReport]:
    """The orders that come from path claims, with the reason of each."""
    return [EdgeReport(before=edge.before, after=edge.after, reason=edge.reason) for edge in state.implied]


def _nodes_of(entries: Sequence[EntryId], state: RunState) -> list[str]:
    return [state.entries[entry] for entry in entries if entry in state.entries]


def _check_report(check: CheckRun, state: RunState, chronicle: Chronicle, now: datetime) -> CheckReport:
    finish = check.finish
    so_far = 0.0
    if check.started_at is not None:  # what a dead process left behind ended with that process
        so_far = Span(start=check.started_at, end=chronicle.session_end(check.started_at)).seconds(now)
    return CheckReport(
        check=check.check,
        tree=check.tree,
        verdict=check.verdict,
        reason=finish.reason if finish else "",
        exit_code=finish.exit_code if finish else None,
        start_time=iso_or_none(check.started_at),
        end_time=iso_or_none(check.finished_at),
        duration_s=round(finish.duration_s if finish else so_far, 3),
        log=check.log,
        evidence=finish.evidence if finish else "",
        entries=list(check.entries),
        nodes=_nodes_of(check.entries, state),
        reused=check.reused,
    )


def _landing_report(landing: Landing, state: RunState) -> LandingReport:
    return LandingReport(
        commit=landing.landed.commit,
        tree=landing.landed.tree,
        time=iso(landing.at),
        nodes=_nodes_of(landing.landed.entries, state),
        entries=list(landing.landed.entries),
        recovered=landing.landed.recovered,
    )
