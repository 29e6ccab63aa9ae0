"""What follows when a node's sealed work cannot land: the node again, on the target as it is by then.

An agent is told why and does its work again; a command would do the same again, and is left to a person. Work
that was built on work that is done again is done again too, whoever did it.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.node_state import REFUSALS, MergeStatus, NodeState
from cli_multi_rapid.core.plan import Prompt, Role

_LONGEST_OUTPUT: Final = 3000
"""Characters of a check's output. With what is said around it the prompt shows all of it."""


class DoAgain(Struct, frozen=True, kw_only=True):
    """The node is to be done again, perhaps with another tool."""

    reason: str
    evidence: str = ""
    tool: ToolName | None = None


def after_refusal(
    state: NodeState, nodes: Mapping[NodeId, NodeState], repeats: int, fallback: ToolName | None
) -> DoAgain | None:
    """Decide about a node whose sealed work left the queue. None: it stays as it is.

    `repeats`: how often the work of one tool may be refused and done again by the same. `fallback`: the tool
    that comes next in the chain, if any.
    """
    if state.lost_footing:
        return after_lost_footing(state, nodes)
    if state.merge_status not in REFUSALS or state.node.role is not Role.WT:
        return None
    if not isinstance(state.node.work, Prompt):
        return None
    tool = state.attempts[-1].tool
    refused = state.refusals.get(tool, 0) + 1
    if refused <= repeats:
        reason = f"{state.merge_reason}; done again on the new base ({refused} of {repeats})"
        return DoAgain(reason=reason, evidence=evidence_of(state))
    if fallback is not None:
        times = "once" if refused == 1 else f"{refused} times"
        reason = f"{state.merge_reason}; the work of {tool} was refused {times}"
        return DoAgain(reason=reason, evidence=evidence_of(state), tool=fallback)
    return None


def after_lost_footing(state: NodeState, nodes: Mapping[NodeId, NodeState]) -> DoAgain | None:
    """Decide about sealed work that was built on work which may have been given back since."""
    for footing in state.foundation:
        if footing.needed and nodes[footing.node_id].attempts[footing.attempt - 1].refused:
            return DoAgain(reason=f"it was built on work of {footing.node_id} that is being done again")
    return None


def evidence_of(state: NodeState) -> str:
    """What the next attempt must know of the refusal."""
    what = f"Your work was done, but it did not land: {state.merge_reason}"
    where = f"It is commit {state.head}; this folder holds the newest target without it."
    if state.merge_status is MergeStatus.CONFLICTED:
        files = ", ".join(state.merge_files)
        return f"{what}\n{where}\nFiles that others have changed meanwhile: {files}"
    output = state.merge_evidence[-_LONGEST_OUTPUT:]
    log = f" ({state.merge_log})" if state.merge_log else ""
    return f"{what}\n{where}\nThe end of the check's output{log}:\n{output}"
