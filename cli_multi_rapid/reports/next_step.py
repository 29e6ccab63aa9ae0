"""What happens next with a run and with each of its nodes, or what the person must type."""

from collections.abc import Iterable

from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.money import ZERO, MicroUsd, format_usd
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus, NodeState, NodeStatus
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.chronicle import Chronicle
from cli_multi_rapid.reports.document import NextStep
from cli_multi_rapid.reports.safe_text import one_line

_LISTED = 20
"""As many steps as a person reads; the rest is counted."""


def _step(text: str, command: str | None = None) -> NextStep:
    return NextStep(text=one_line(text), command=command)


# --- one node -----------------------------------------------------------------------------------------------


def next_of_node(run: RunState, node: NodeState, chronicle: Chronicle) -> NextStep | None:
    """What a person must do about a node; None when nothing is left to do or the run goes on by itself."""
    name = node.node.id
    if node.requested:
        what = "start" if "before" in node.requested else "land"
        return _step(f"{name} asks for your approval to {what}", commands.approve(run.run_id, name))
    match node.shown_status:
        case NodeStatus.COMPLETED:
            return _next_of_completed(run, node)
        case NodeStatus.FAILED | NodeStatus.CANCELLED:
            return _step(
                f"{name} {node.status}{_because(node.reason)}{_kept(node)}: do it again",
                commands.retry(run.run_id, name),
            )
        case NodeStatus.SKIPPED:
            return _next_of_skipped(run, node, chronicle)
        case NodeStatus.BLOCKED:
            return _next_behind(run, node, chronicle)
        case NodeStatus.PENDING | NodeStatus.RUNNING | NodeStatus.WAITING:
            return _next_behind(run, node, chronicle) if run.finished else None


def _because(reason: str) -> str:
    return f" ({one_line(reason, 120)})" if reason else ""


def _kept(node: NodeState) -> str:
    branch = next((attempt.branch for attempt in reversed(node.attempts) if attempt.branch), None)
    return f", its work is kept on {branch}" if branch else ""


def _next_of_completed(run: RunState, node: NodeState) -> NextStep | None:
    name, status = node.node.id, node.merge_status
    if node.landed:
        return None
    if node.held_command and status is MergeStatus.BLOCKED:
        return _step(f"{name} is verified and ready to land{_because(node.merge_reason)}", node.held_command)
    if status in MERGE_DEAD:
        word = {MergeStatus.CONFLICTED: "does not merge", MergeStatus.FAILED: "was refused by the queue"}
        what = f"{name} {word.get(status, 'left the queue')}{_because(node.merge_reason)}{_kept(node)}"
        return _step(f"{what}: do it again{_or_queue(run, node)}", commands.retry(run.run_id, name))
    if run.finished:
        return _step(f"{name} waits to land", commands.resume(run.run_id))
    return None


def _or_queue(run: RunState, node: NodeState) -> str:
    """The other way out for work that a person can put right."""
    if node.success is None or node.success.branch is None or run.plan is None:
        return ""
    return f", or put the branch right and type: {commands.queue_add(node.success.branch)}"


def _next_of_skipped(run: RunState, node: NodeState, chronicle: Chronicle) -> NextStep | None:
    """A node that did not fit the budget needs another one; a condition that does not hold needs nothing."""
    if not node.by_budget:
        return None
    return _step(
        f"{node.node.id} did not fit the budget{_because(node.reason)}",
        commands.resume_with_budget(run.run_id, enough_budget(run, chronicle)),
    )


def enough_budget(run: RunState, chronicle: Chronicle) -> MicroUsd:
    """A limit that holds what is spent, what is reserved and every node that did not fit."""
    missing = sum(
        _needed(node, chronicle) for node in run.nodes.values() if node.by_budget or _refused(node, chronicle)
    )
    return MicroUsd(max(run.ledger.spent + run.ledger.reserved + missing, run.ledger.limit or ZERO))


def _refused(node: NodeState, chronicle: Chronicle) -> bool:
    return node.node.id in chronicle.refused and node.status is NodeStatus.PENDING


def _needed(node: NodeState, chronicle: Chronicle) -> int:
    refused = chronicle.refused.get(node.node.id)
    return refused.needed if refused else node.node.est_cost or node.node.max_cost or ZERO


def _next_behind(run: RunState, node: NodeState, chronicle: Chronicle) -> NextStep:
    """Name the first cause: what is done about that frees the rest."""
    cause = root_cause(run, node)
    step = next_of_node(run, cause, chronicle) if cause is not node else None
    text = f"{node.node.id} goes on after {cause.node.id}" if step else f"{node.node.id} is not done"
    return _step(text, step["command"] if step else commands.resume(run.run_id))


def root_cause(run: RunState, node: NodeState) -> NodeState:
    """The node at the start of a chain of nodes that wait for one another; itself when it waits for none."""
    seen: set[NodeId] = set()
    while (before := _waits_for(node)) is not None and before not in seen:
        seen.add(before)
        node = run.nodes[before]
    return node


def _waits_for(node: NodeState) -> NodeId | None:
    if node.blocked_by is not None:
        return node.blocked_by
    if node.status is NodeStatus.PENDING and node.open_edges:
        named = [dep for dep in node.node.deps if dep in node.open_edges]
        return named[0] if named else min(node.open_edges)
    return None


# --- the run ------------------------------------------------------------------------------------------------


def next_of_run(run: RunState, chronicle: Chronicle, *, alive: bool = True) -> list[NextStep]:
    """What comes next, the most urgent first; never empty.

    `alive`: whether a process has the run in hand. Only the caller can know.
    """
    asked = _consents(run)
    halted = chronicle.halted
    steps = [_step(f"the queue halted: {halted.reason}. {halted.hint}")] if halted else []
    if run.finished is None:
        return steps + asked + _going_on(run, alive=alive)
    steps += asked + _repairs(run, chronicle)
    if run.status in (RunStatus.CANCELLED, RunStatus.BUDGET_STOPPED, RunStatus.WAITING) and not steps:
        steps.append(_step("take the run up again", commands.resume(run.run_id)))
    return [*steps, _step("read the whole report", commands.report(run.run_id))]


def _consents(run: RunState) -> list[NextStep]:
    asking = [node for node in run.nodes.values() if node.requested]
    steps = []
    for node in asking[:_LISTED]:
        what = "start" if "before" in node.requested else "land"
        text = f"{node.node.id} asks for your approval to {what}"
        steps.append(_step(text, commands.approve(run.run_id, node.node.id)))
        steps.append(_step("or refuse it", commands.reject(run.run_id, node.node.id)))
    return steps


def _going_on(run: RunState, *, alive: bool) -> list[NextStep]:
    if not alive:
        return [_step("no process has this run in hand: take it up again", commands.resume(run.run_id))]
    if run.cancelling is not None:
        return [_step("the run is being cancelled: running attempts are ended")]
    if run.paused:
        return [_step("the run is paused: running attempts finish", commands.unpause(run.run_id))]
    running, ready = len(run.frontier.running), len(run.frontier.ready())
    landing = sum(1 for node in run.nodes.values() if node.status is NodeStatus.COMPLETED and not node.landed)
    text = f"{running} running, {ready} ready to start, {landing} on the way to land; nothing to type"
    return [_step(text), _step("or look on", commands.watch(run.run_id))]


def _repairs(run: RunState, chronicle: Chronicle) -> list[NextStep]:
    """The steps of all nodes that did not get there; a command is said once, at its cause."""
    steps: dict[str, NextStep] = {}
    for node in _causes_first(run):
        if node.requested:
            continue
        step = next_of_node(run, node, chronicle)
        if step is not None and step["command"] is not None:
            steps.setdefault(step["command"], step)
    found = list(steps.values())
    if len(found) > _LISTED:
        rest = _step(f"and {len(found) - _LISTED} more: see `next` of each node in the report")
        return [*found[:_LISTED], rest]
    return found


def _causes_first(run: RunState) -> Iterable[NodeState]:
    return sorted(run.nodes.values(), key=lambda node: _waits_for(node) is not None)


def budget_line(run: RunState) -> str:
    """`$3.20 of $15.00 spent (21 %), $2.00 reserved, $9.80 left`."""
    ledger = run.ledger
    reserved = f", {format_usd(ledger.reserved)} reserved" if ledger.reserved else ""
    if ledger.limit is None:
        return f"{format_usd(ledger.spent)} spent{reserved}, no limit"
    share = f" ({ledger.spent * 100 / ledger.limit:.0f} %)" if ledger.limit else ""
    left = format_usd(ledger.available or ZERO)
    return f"{format_usd(ledger.spent)} of {format_usd(ledger.limit)} spent{share}{reserved}, {left} left"
