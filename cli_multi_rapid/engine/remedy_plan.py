"""A plan of what puts a failed verification right: what the agent is asked, and what its answer comes to."""

import json

from msgspec import Struct

from cli_multi_rapid.core.ids import Branch, Commit, NodeId, ToolName
from cli_multi_rapid.core.verification_events import PlanProposed
from cli_multi_rapid.engine.answers import bad_answer, errors_in
from cli_multi_rapid.engine.attempt_terms import Judged, Sealed
from cli_multi_rapid.git import Repository
from cli_multi_rapid.schema.plan_draft import draft_schema, parse_draft
from cli_multi_rapid.schema.problems import Problems


class RemedyQuestion(Struct, frozen=True, kw_only=True):
    """What one attempt plans, and with what."""

    node_id: NodeId
    attempt: int
    tools: tuple[ToolName, ...]
    """The agents that the nodes may name."""
    target: Branch
    one_first: bool
    """Nothing lands before one of the nodes has made all checks pass."""

    @property
    def schema(self) -> str:
        """The form of the answer."""
        return json.dumps(draft_schema(self.tools, verify=False))

    def add_to(self, prompt: str, repository: Repository, base: Commit) -> str:  # noqa: ARG002
        """The prompt as it is: what was found stands in it."""
        return prompt

    def judge(self, answer: str, ended: Sealed, repository: Repository, base: Commit) -> Judged:  # noqa: ARG002
        """The nodes of the plan, or what is wrong with it."""
        problems, name = Problems(), f"plan-{self.attempt}.json"
        plan = parse_draft(
            answer,
            name,
            problems,
            tools=self.tools,
            default_base=self.target,
            verify=False,
            one_first=self.one_first,
        )
        if plan is None:
            return bad_answer("the plan", answer, errors_in(problems), ended)
        fact = PlanProposed(node_id=self.node_id, attempt=self.attempt, nodes=plan.nodes)
        return Judged(ended=ended, facts=(fact,))
