"""A plan of what puts a failed verification right: what the agent is asked, and what its answer comes to."""

import json

from msgspec import Struct

from cli_multi_rapid.core.ids import Branch, Commit, NodeId, ToolName
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.remit import Remit
from cli_multi_rapid.core.verification_events import PlanProposed
from cli_multi_rapid.engine.answers import bad_answer, errors_in
from cli_multi_rapid.engine.attempt_terms import Judged, Sealed
from cli_multi_rapid.git import Repository
from cli_multi_rapid.schema.plan_draft import draft_schema, parse_draft
from cli_multi_rapid.schema.problems import Code, Problems
from cli_multi_rapid.schema.source import quoted


class RemedyQuestion(Struct, frozen=True, kw_only=True):
    """What one attempt plans, and with what."""

    node_id: NodeId
    attempt: int
    tools: tuple[ToolName, ...]
    """The agents that the nodes may name."""
    target: Branch
    one_first: bool
    """Nothing lands before one of the nodes has made all checks pass."""
    remit: Remit
    """What the nodes may change."""

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
        for node in plan.nodes if plan is not None else ():
            if not self.remit.covers(node.path_claims):
                self._refuse_claims(node, name, problems)
        if plan is None or problems.error_count:
            return bad_answer("the plan", answer, errors_in(problems), ended)
        fact = PlanProposed(node_id=self.node_id, attempt=self.attempt, nodes=plan.nodes)
        return Judged(ended=ended, facts=(fact,))

    def _refuse_claims(self, node: Node, name: str, problems: Problems) -> None:
        inside = ", ".join(claim.path for claim in self.remit.claims)
        problems.report_file(
            Code.BAD_VALUE,
            name,
            f"{quoted(node.id)} claims more than may be changed here",
            suggestion=f"its claims lie inside: {inside}; leave out what cannot be done within them",
        )
