"""How a run that has come to rest ended, and whether it has."""

from cli_multi_rapid.core.facts import FailureClass, RunStatus
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.intents import FinishRun
from cli_multi_rapid.core.node_state import NodeState, NodeStatus
from cli_multi_rapid.core.remedy import Unplanned
from cli_multi_rapid.core.remedy_money import Unpaid
from cli_multi_rapid.core.state import RunState

_ENVIRONMENT_FAULTS = frozenset({FailureClass.TOOL_MISSING, FailureClass.ENVIRONMENT})


def can_land(state: RunState) -> bool:
    """Whether the merge queue can bring something forward that does not stand behind what needs a person."""
    nodes = (state.nodes[node_id] for node_id in state.frontier.unsettled)
    queued = {node.entry_id: node for node in nodes if node.entry_id and node.status is NodeStatus.COMPLETED}
    followers: dict[EntryId, list[EntryId]] = {}
    for entry_id, node in queued.items():
        for before in node.behind:
            followers.setdefault(before, []).append(entry_id)
    stack = [entry_id for entry_id, node in queued.items() if node.requested or node.held_command]
    while stack:
        entry_id = stack.pop()
        if queued.pop(entry_id, None) is not None:
            stack.extend(followers.get(entry_id, ()))
    return bool(queued)


def end_of(state: RunState, queue_halted: str | None, remedy: Unpaid | Unplanned | None) -> FinishRun:
    """Every node counts; the exit codes are those of the contract.

    `queue_halted`: why the merge queue lands nothing. `remedy`: what would be added and cannot be.
    """
    nodes = list(state.nodes.values())
    undone = [node for node in nodes if not node.landed]
    done = len(nodes) - len(undone)
    summary = f"{done} of {len(nodes)} nodes done"
    if not undone:
        return FinishRun(status=RunStatus.SUCCESS, exit_code=0, reason=summary)
    if isinstance(remedy, Unpaid):
        reason = f"{summary}; {remedy.reason}"
        return FinishRun(
            status=RunStatus.BUDGET_STOPPED,
            exit_code=3,
            reason=reason,
            limit_name=remedy.limit_name,
            needed=remedy.needed,
        )
    if any(node.by_budget for node in undone):
        return FinishRun(
            status=RunStatus.BUDGET_STOPPED, exit_code=3, reason=f"{summary}; the budget stopped the rest"
        )
    if isinstance(remedy, Unplanned):
        return FinishRun(status=RunStatus.WAITING, exit_code=4, reason=f"{summary}; {remedy.reason}")
    failed = [node for node in undone if node.dead or node.held_command]
    if not failed and queue_halted is None:
        return FinishRun(
            status=RunStatus.WAITING, exit_code=4, reason=f"{summary}; the rest waits for a person"
        )
    causes = [node for node in failed if node.blocked_by is None]
    environment = bool(causes) and all(node.failure in _ENVIRONMENT_FAULTS for node in causes)
    return FinishRun(
        status=RunStatus.PARTIAL if done else RunStatus.FAILED,
        exit_code=5 if environment else 1,
        reason=f"{summary}; {queue_halted or _describe(causes)}",
    )


def _describe(causes: list[NodeState]) -> str:
    names = ", ".join(node.node.id for node in causes[:3])
    more = f" and {len(causes) - 3} more" if len(causes) > 3 else ""
    return f"not done: {names}{more}"
