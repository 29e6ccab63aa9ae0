"""What people ask of a run, answered by events that name the command as their cause."""

from collections.abc import Iterator

from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.node_events import ContextInjected, NodeCancelled, NodeReset
from cli_multi_rapid.core.node_state import MERGE_DEAD, NodeState, NodeStatus
from cli_multi_rapid.core.run_events import (
    ApprovalGranted,
    ApprovalRejected,
    BudgetChanged,
    CommandGiven,
    CommandRefused,
    RunCancelling,
    RunPaused,
    RunUnpaused,
)
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.waiver import restore, waive, why_not_restored, why_not_waived
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.merge_queue import MergeQueue

_OVER = frozenset({NodeStatus.FAILED, NodeStatus.SKIPPED, NodeStatus.CANCELLED})


def answer_commands(journal: Journal[RunState], queue: MergeQueue) -> None:
    """Follow every command that has no answer yet, or say why not."""
    for event_id, command in journal.state.unanswered():
        answers = list(_answers(journal.state, command))
        journal.record(*answers, cause=event_id)
        _pass_on(journal.state, command, answers, queue)


def _pass_on(state: RunState, command: CommandGiven, answers: list[Payload], queue: MergeQueue) -> None:
    """What the merge queue must hear of it."""
    for answer in answers:
        if isinstance(answer, ApprovalGranted | ApprovalRejected) and answer.what == "landing":
            entry_id = state.nodes[answer.node_id].entry_id
            if entry_id is None:
                continue
            if isinstance(answer, ApprovalGranted):
                queue.approve(entry_id, command.by)
            else:
                queue.withdraw(entry_id, f"rejected by {command.by}: {answer.reason}")


def _answers(state: RunState, command: CommandGiven) -> Iterator[Payload]:
    match command.command:
        case "cancel" if command.node_id is None:
            yield RunCancelling(reason=command.text or f"cancelled by {command.by}")
        case "pause":
            yield RunPaused(reason=command.text)
        case "unpause":
            yield RunUnpaused()
        case "budget" if command.amount is not None:
            yield BudgetChanged(limit=command.amount)
            for node_state in state.nodes.values():
                if node_state.by_budget:
                    yield NodeReset(node_id=node_state.node.id, reason="the budget was changed")
        case "inject":
            yield _injected(state, command)
        case "waive" | "restore":
            yield from _about_findings(state, command)
        case "approve" | "reject" | "retry" | "cancel":
            yield from _about_nodes(state, command)
        case _:
            yield _refuse(command, "it is not known here")


def _injected(state: RunState, command: CommandGiven) -> Payload:
    if command.node_id is not None and command.node_id not in state.nodes:
        return _refuse(command, f"this run has no node {command.node_id}")
    return ContextInjected(node_id=command.node_id, text=command.text)


def _about_findings(state: RunState, command: CommandGiven) -> Iterator[Payload]:
    """A finding that does not count any more, or again; all that are named, or none of them."""
    refs, waives = command.findings, command.command == "waive"
    why = why_not_waived(state, refs) if waives else why_not_restored(state, refs)
    if why or not refs:
        yield _refuse(command, why or "no finding is named")
        return
    yield from (waive if waives else restore)(state, refs, command.by, command.text)


def _about_nodes(state: RunState, command: CommandGiven) -> Iterator[Payload]:
    """Commands about one node, or about every node that they fit."""
    if command.node_id is not None and command.node_id not in state.nodes:
        yield _refuse(command, f"this run has no node {command.node_id}")
        return
    chosen = list(state.nodes.values()) if command.node_id is None else [state.nodes[command.node_id]]
    answers = [answer for node_state in chosen for answer in _about_node(state, node_state, command)]
    yield from answers
    if not answers:
        where = command.node_id or "any node"
        yield _refuse(command, f"{where} is in no state for it")


def _about_node(state: RunState, node_state: NodeState, command: CommandGiven) -> Iterator[Payload]:
    node_id = node_state.node.id
    match command.command:
        case "approve":
            for what in sorted(node_state.requested):
                yield ApprovalGranted(node_id=node_id, what=what, by=command.by)
        case "reject":
            for what in sorted(node_state.requested):
                reason = command.text or f"rejected by {command.by}"
                yield ApprovalRejected(node_id=node_id, what=what, by=command.by, reason=reason)
                if what == "before":
                    yield NodeCancelled(node_id=node_id, reason=reason)
        case "cancel" if node_state.status in (NodeStatus.PENDING, NodeStatus.WAITING):
            yield NodeCancelled(node_id=node_id, reason=command.text or f"cancelled by {command.by}")
        case "retry" if _can_start_over(node_state):
            yield NodeReset(node_id=node_id, reason=f"retry asked for by {command.by}")
            if command.with_dependents and command.node_id is not None:
                yield from _reset_dependents(state, node_state, command.by)


def _can_start_over(node_state: NodeState) -> bool:
    return node_state.status in _OVER or node_state.merge_status in MERGE_DEAD


def _reset_dependents(state: RunState, node_state: NodeState, by: str) -> Iterator[Payload]:
    """Every node further down that has come to an end without landing."""
    seen = {node_state.node.id}
    stack = list(state.frontier.dependents(node_state.node.id))
    while stack:
        node_id = stack.pop()
        if node_id in seen:
            continue
        seen.add(node_id)
        stack.extend(state.frontier.dependents(node_id))
        if _can_start_over(state.nodes[node_id]):
            yield NodeReset(node_id=node_id, reason=f"retry with dependents asked for by {by}")


def _refuse(command: CommandGiven, reason: str) -> CommandRefused:
    return CommandRefused(command=command.command, reason=f"{command.command}: {reason}")
