"""From a node that is to answer in a form to the question of one attempt."""

from collections.abc import Iterator, Mapping
from typing import assert_never

from cli_multi_rapid.core.ids import Commit, NodeId, ToolName
from cli_multi_rapid.core.intents import StartAttempt
from cli_multi_rapid.core.plan import Form, Plan, Role
from cli_multi_rapid.core.remedy_words import needs_one_first
from cli_multi_rapid.core.remit import remit_of
from cli_multi_rapid.core.reviewed import files_of, reviewed
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.attempt_terms import Question
from cli_multi_rapid.engine.remedy_plan import RemedyQuestion
from cli_multi_rapid.engine.review import ReviewQuestion


def question_of(
    state: RunState, plan: Plan, intent: StartAttempt, tools: Mapping[ToolName, ToolFacts]
) -> Question | None:
    """What the attempt is asked; None for a node that works."""
    node = state.nodes[intent.node_id].node
    match node.form:
        case None:
            return None
        case Form.REVIEW:
            landed = reviewed(state, node.id)
            return ReviewQuestion(
                node_id=node.id,
                attempt=intent.attempt,
                nodes=tuple(each.node.id for each in landed),
                since=_base_of(state),
                files=frozenset(path for each in landed for path in files_of(each)),
            )
        case Form.REMEDY:
            return RemedyQuestion(
                node_id=node.id,
                attempt=intent.attempt,
                tools=tuple(dict.fromkeys((*_proven(state, tools), intent.tool))),
                target=plan.merge_policy.target,
                one_first=_answers_red_checks(state, node.id),
                remit=remit_of(state, plan, _causes_of(state, node.id)),
            )
    assert_never(node.form)


def _base_of(state: RunState) -> Commit:
    if state.base is None:
        raise ValueError(f"{state.run_id} was never taken up")
    return state.base


def _proven(state: RunState, tools: Mapping[ToolName, ToolFacts]) -> Iterator[ToolName]:
    """The agents that have done work in this run."""
    for node in state.nodes.values():
        tool = node.attempts[-1].tool if node.attempts and node.success is not None else None
        if tool is not None and node.node.role is Role.WT and tool in tools and tools[tool].agent:
            yield tool


def _causes_of(state: RunState, node_id: NodeId) -> list[NodeId]:
    """The verifications that a node was added for."""
    added = (past for past in state.amendments if any(node.id == node_id for node in past.nodes))
    return [cause.node_id for past in added for cause in past.causes]


def _answers_red_checks(state: RunState, node_id: NodeId) -> bool:
    """Whether checks are among what the node was added for."""
    causes = (
        cause
        for past in state.amendments
        if any(node.id == node_id for node in past.nodes)
        for cause in past.causes
    )
    verdicts = (state.nodes[cause.node_id].attempts[cause.attempt - 1].verified for cause in causes)
    return any(needs_one_first(verdict.findings) for verdict in verdicts if verdict is not None)
