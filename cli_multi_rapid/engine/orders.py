"""From an intent to start a node to the complete order that a worker carries out."""

from collections.abc import Mapping
from typing import Final

from cli_multi_rapid.core.confinement import ConfinementRules
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.intents import StartAttempt
from cli_multi_rapid.core.node_state import MergeStatus, NodeState, NodeStatus
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.core.remedy_words import waived_words
from cli_multi_rapid.core.reviewed import files_of, reviewed
from cli_multi_rapid.core.routing import ToolFacts, done_by
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.attempt_terms import AttemptOrder
from cli_multi_rapid.engine.bases import SealedHead
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.engine.lanes import Lanes
from cli_multi_rapid.engine.prompt import write_prompt
from cli_multi_rapid.engine.questions import question_of
from cli_multi_rapid.engine.tool_sessions import next_session
from cli_multi_rapid.worktrees import slot_name

_LONGEST_GOAL: Final = 1_000
"""Characters of the goal of a node that a reviewer is shown."""


class OrderBook:
    """Writes orders from the state of a run."""

    def __init__(
        self,
        home: Home,
        lanes: Lanes,
        *,
        claims_rule: str,
        confinement: ConfinementRules | None = None,
        tools: Mapping[ToolName, ToolFacts] | None = None,
    ) -> None:
        self._home = home
        self._lanes = lanes
        self._claims_rule = claims_rule
        self._confinement = confinement or ConfinementRules()
        self._tools = tools or {}

    def order_for(self, state: RunState, intent: StartAttempt) -> AttemptOrder:
        """The order for one attempt."""
        node_state = state.nodes[intent.node_id]
        plan = _plan_of(state)
        session = next_session(node_state, intent.tool)
        return AttemptOrder(
            run_id=state.run_id,
            node=done_by(node_state.node, intent.tool),
            attempt=intent.attempt,
            tool=intent.tool,
            target=plan.merge_policy.target,
            lane=self._lanes.lane_of(state, intent.node_id),
            heads=_heads(state, intent.node_id),
            prompt=prompt_of(state, node_state),
            log=self._home.attempt_log(state.run_id, intent.node_id, intent.attempt),
            slot_name=slot_name(state.run_id, intent.node_id, intent.attempt),
            cap=intent.cap,
            reserved=intent.reserve,
            session_id=session.id,
            session_usage=session.booked,
            keep_on_failure=plan.rollback_policy.preserve_worktrees,
            claims_rule=self._claims_rule,
            confinement=self._confinement.of(node_state.node, intent.tool),
            question=question_of(state, plan, intent, self._tools),
        )


def _plan_of(state: RunState) -> Plan:
    if state.plan is None:
        raise ValueError(f"{state.run_id} has no plan")
    return state.plan


def _heads(state: RunState, node_id: NodeId) -> tuple[SealedHead, ...]:
    """The sealed work that must be in the base: of dependencies, and of what came before because of claims.

    What has landed is in the target already. What was refused is not to be built on.
    """
    heads = []
    for footing in state.frontier.foundation(node_id):
        below = state.nodes[footing.node_id]
        if below.head is not None and below.merge_status is not MergeStatus.MERGED:
            heads.append(SealedHead(node_id=footing.node_id, head=below.head))
    return tuple(heads)


def prompt_of(state: RunState, node_state: NodeState) -> str:
    """The prompt of a node's next attempt."""
    done = [state.nodes[dep] for dep in node_state.node.deps]
    waived = waived_words(state.nodes.values())
    return write_prompt(
        node_state.node,
        done=[(dep.node.label, dep.reason) for dep in done if dep.status is NodeStatus.COMPLETED],
        landed=[_landed(each) for each in reviewed(state, node_state.node.id)]
        if node_state.node.form
        else (),
        context=[*node_state.context, *waived] if node_state.node.form else node_state.context,
        evidence=evidence_for(node_state),
    )


def _landed(node_state: NodeState) -> str:
    """What a reviewer is told of a node whose work has landed."""
    files = ", ".join(dict.fromkeys(files_of(node_state)))
    goal = " ".join((node_state.node.goal or node_state.node.label).split())
    goal = goal if len(goal) <= _LONGEST_GOAL else f"{goal[: _LONGEST_GOAL - 1]}…"
    return f"{node_state.node.id}: {goal}\n  changed: {files or 'nothing'}"


def evidence_for(node_state: NodeState) -> str:
    """Why the work before could not land, and how the last attempt since then failed."""
    last = node_state.attempts[-1] if node_state.tries else None
    refused = node_state.rework.evidence if node_state.rework is not None else ""
    failed = f"{last.outcome}\n{last.evidence}" if last is not None and last.failure else ""
    return "\n\n".join(text for text in (refused, failed) if text)
