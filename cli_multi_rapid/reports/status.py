"""How a run stands, on one screen: its nodes with their reasons, its money, and what comes next."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypedDict

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.core.node_state import MergeStatus, NodeStatus
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.amendments import amended_lines, amendment_reports, finding_lines
from cli_multi_rapid.reports.chronicle import read_chronicle
from cli_multi_rapid.reports.document import (
    SCHEMA_VERSION,
    AmendmentReport,
    CostSummary,
    NextStep,
    NodeReport,
)
from cli_multi_rapid.reports.next_step import MOST_STEPS, Advice, budget_line
from cli_multi_rapid.reports.node_report import node_report
from cli_multi_rapid.reports.queue_estimate import Estimate
from cli_multi_rapid.reports.queue_text import EstimateDocument, estimate_document, estimate_text
from cli_multi_rapid.reports.run_report import coordination_id, cost_summary
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.spent import cost_notes, dollars
from cli_multi_rapid.reports.times import iso, iso_or_none, span
from cli_multi_rapid.reports.tone import PAINTS, tone_of_node

_MOST_STEPS: Final = 5
_MOST_LINES: Final = 60
"""A larger run shows the nodes that are not done yet first, and counts the rest."""


class StatusDocument(TypedDict):
    """The status as JSON. `counts` has every node status that occurs, `done` and `landed`.

    A node is done when it is completed and has nothing left to land.

    `landing_estimates`: by node, how long until the merge queue has decided on its work, where that is known.
    """

    schema_version: int
    run_id: str
    coordination_id: str
    plan_id: str
    workflow_name: str
    status: str
    exit_code: int | None
    reason: str
    alive: bool
    paused: bool
    target: str | None
    workers: int | None
    created_at: str
    updated_at: str | None
    completed_at: str | None
    last_seq: int
    counts: dict[str, int]
    nodes: list[NodeReport]
    amendments: list[AmendmentReport]
    landing_estimates: dict[str, EstimateDocument]
    cost_summary: CostSummary
    next: list[NextStep]


def status_document(
    state: RunState,
    events: Sequence[Event],
    *,
    now: datetime,
    alive: bool = True,
    everything: bool = False,
    landing: Mapping[NodeId, Estimate] | None = None,
    checking: bool | None = None,
) -> StatusDocument:
    """The status at `now`. `alive`: whether a process has the run in hand; only the caller can know.

    `checking`: whether one works on the merge queue; by default the one that has the run in hand.
    `everything`: all next steps, however many. `landing`: what the merge queue's own state says of the waits.
    """
    chronicle = read_chronicle(events)
    advice = Advice(state, chronicle)
    finished = state.finished
    if checking is None:
        checking = alive and finished is None
    following = advice.of_run(alive=alive, most=None if everything else MOST_STEPS)
    if finished:
        following.append(NextStep(text="read the whole report", command=commands.report(state.run_id)))
    return StatusDocument(
        schema_version=SCHEMA_VERSION,
        run_id=state.run_id,
        coordination_id=coordination_id(state, events),
        plan_id=state.plan.plan_id if state.plan else "",
        workflow_name=state.plan.name if state.plan else "",
        status=state.status,
        exit_code=finished.exit_code if finished else None,
        reason=finished.reason if finished else state.cancelling or "",
        alive=alive and finished is None,
        paused=state.paused,
        target=state.started.target if state.started else None,
        workers=state.started.workers if state.started else None,
        created_at=iso(state.created_at or now),
        updated_at=iso_or_none(state.updated_at),
        completed_at=iso_or_none(state.finished_at),
        last_seq=state.seq,
        counts=counts_of(state),
        landing_estimates={name: estimate_document(found) for name, found in (landing or {}).items()},
        nodes=[
            node_report(state, node, chronicle, advice, now, checking=checking)
            for node in state.nodes.values()
        ],
        amendments=amendment_reports(state),
        cost_summary=cost_summary(state, chronicle),
        next=following,
    )


def counts_of(state: RunState) -> dict[str, int]:
    """How many nodes have each status, how many are done, and how many have landed."""
    counts: dict[str, int] = {}
    for node in state.nodes.values():
        counts[node.shown_status] = counts.get(node.shown_status, 0) + 1
    counts["done"] = sum(1 for node in state.nodes.values() if node.landed)
    counts["landed"] = sum(1 for node in state.nodes.values() if node.merge_status is MergeStatus.MERGED)
    return counts


# --- the text -----------------------------------------------------------------------------------------------


def status_text(  # noqa: PLR0913  # all that only the one who looks can know
    state: RunState,
    events: Sequence[Event],
    *,
    now: datetime,
    alive: bool = True,
    width: int = 110,
    everything: bool = False,
    landing: Mapping[NodeId, Estimate] | None = None,
    checking: bool | None = None,
) -> str:
    """The status for a terminal of some width; plain text without colours.

    `everything`: every node and every next step, not only as many as fit on a screen.
    """
    document = status_document(
        state, events, now=now, alive=alive, everything=everything, landing=landing, checking=checking
    )
    lines = [*_head(document, state, now), "", *_node_lines(document, width, everything=everything), ""]
    following = next_lines(document["next"], None if everything else state.run_id)
    return "\n".join([*lines, *following]) + "\n"


def _head(document: StatusDocument, state: RunState, now: datetime) -> list[str]:
    word = document["status"]
    if word == RunStatus.RUNNING and not document["alive"]:
        word += " (but no process has it in hand)"
    elif document["paused"]:
        word += " (paused)"
    lines = [f"{document['run_id']}  {one_line(document['workflow_name'])}  {word}"]
    if document["reason"]:
        lines.append(f"  {one_line(document['reason'], 200)}")
    if state.created_at is not None:
        end = state.finished_at or now
        took = span((end - state.created_at).total_seconds())
        began = iso(state.created_at.replace(microsecond=0))
        lines.append(f"  began {began}, {'took' if state.finished_at else 'for'} {took}{_target(document)}")
    told = ((name, count) for name, count in document["counts"].items() if count and name != "done")
    counts = ", ".join(f"{count} {name}" for name, count in told)
    done = document["counts"]["done"]
    lines.append(f"  {len(state.nodes)} nodes, {done} done: {counts or 'none'}")
    lines += [f"  {line}" for line in (*amended_lines(state), *finding_lines(state))]
    notes = (f"    {note}" for note in cost_notes(document["cost_summary"]))
    return [*lines, f"  budget: {budget_line(state)}", *notes]


def _target(document: StatusDocument) -> str:
    """Empty before a process has taken the run up."""
    return f", target {document['target']}" if document["target"] else ""


def _node_lines(document: StatusDocument, width: int, *, everything: bool) -> list[str]:
    nodes = document["nodes"]
    shown = nodes if everything or len(nodes) <= _MOST_LINES else _most_telling(nodes)
    names = min(30, max((len(node["node_id"]) for node in shown), default=0))
    tools = min(12, max((len(node["tool"]) for node in shown), default=0))
    estimates = document["landing_estimates"]
    lines = [
        _node_text(node, names, tools, estimates.get(node["node_id"]))[: max(40, width)].rstrip()
        for node in shown
    ]
    rest = len(nodes) - len(shown)
    return (
        [*lines, f"  and {rest} more nodes: {commands.status_of_all(document['run_id'])}"] if rest else lines
    )


def _most_telling(nodes: Sequence[NodeReport]) -> list[NodeReport]:
    """What runs or needs somebody first, then what is to come, then what is done; each in plan order."""

    def rank(node: NodeReport) -> int:
        if node["status"] in (NodeStatus.RUNNING, NodeStatus.WAITING, NodeStatus.FAILED):
            return 0
        if node["status"] == NodeStatus.COMPLETED:
            return 3 if node["merge_status"] in (None, MergeStatus.MERGED) else 1
        return 2

    return sorted(nodes, key=rank)[:_MOST_LINES]


def _node_text(node: NodeReport, names: int, tools: int, landing: EstimateDocument | None) -> str:
    sign = PAINTS[tone_of_node(node["status"], node["merge_status"])].sign
    standing = " ".join(word for word in (node["status"], node["merge_status"]) if word)
    seconds = sum(attempt["duration_min"] for attempt in node["attempts"]) * 60
    took = span(seconds) if node["attempts"] else ""
    tries = f" (try {len(node['attempts'])})" if len(node["attempts"]) > 1 else ""
    cost = "" if node["cost_usd"] == 0 else f" {dollars(node['cost_usd'])}"
    name, text = one_line(node["node_id"], names), one_line(node["reason"]) or one_line(node["label"])
    text = f"{estimate_text(landing)}; {text}" if landing else text
    return f"  {sign} {name:{names}}  {standing:20} {node['tool']:{tools}} {took:>11}{cost}{tries}  {text}"


def next_lines(steps: Sequence[NextStep], run_id: RunId | None) -> list[str]:
    """`next: …` with the command on a line of its own, ready to be copied.

    With a run, as many as a person reads at once, and where the others are.
    """
    lines = []
    shown = steps if run_id is None or len(steps) <= _MOST_STEPS else steps[:_MOST_STEPS]
    for number, step in enumerate(shown):
        lines.append(f"{'next: ' if number == 0 else '      '}{one_line(step['text'])}")
        if step["command"]:
            lines.append(f"        {step['command']}")
    if run_id is not None and len(shown) < len(steps):
        # A document that counts its own rest has more than it lists.
        count = f"more than {len(steps) - len(shown)}" if len(steps) > MOST_STEPS else len(steps) - len(shown)
        lines.append(f"      and {count} more: {commands.status_of_all(run_id)}")
    return lines
