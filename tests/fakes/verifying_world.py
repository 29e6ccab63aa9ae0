"""A `RunWorld` whose verifications come to verdicts, and whose run is amended because of them."""

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from cli_multi_rapid.core.claims import PathClaim
from cli_multi_rapid.core.facts import FailureClass, Verdict
from cli_multi_rapid.core.ids import CheckId, NodeId
from cli_multi_rapid.core.intents import FinishRun
from cli_multi_rapid.core.plan import Form, Plan, Role
from cli_multi_rapid.core.remedy_words import findings_of
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.core.tool_events import HealthStatus, ToolPinged
from cli_multi_rapid.core.verification_events import (
    Finding,
    NodeVerified,
    PlanAmended,
    PlanProposed,
    Severity,
)
from tests.fakes.run_rules import RunRules
from tests.fakes.run_world import RunWorld
from tests.fakes.sample_plans import commit_id, node, tree_id
from tests.fakes.weather import rivals_of


class AmendedRules(RunRules, kw_only=True):
    """As before, but a run may also end because a fix has no money or no planner."""

    def _contract(self, end: FinishRun) -> int:
        if "fix does not fit" in end.reason:
            return 3
        unplanned = ("no planner is healthy", "no agent is there", "so a person must")
        if any(words in end.reason for words in unplanned):
            return 4
        return super()._contract(end)

    def check_finish(self, end: FinishRun, *, touched: bool) -> None:
        if end.exit_code == 4 and self._contract(end) == 4 and not self._asks():
            return
        super().check_finish(end, touched=touched)

    def _asks(self) -> bool:
        return any(each.requested for each in self.state.nodes.values())


@dataclass(slots=True, kw_only=True)
class VerifyingWorld(RunWorld):
    """Each verdict is `rejects` likely to be bad; each plan is of one to three nodes."""

    rejects: float = 0.5
    most_findings: int = 4

    def __post_init__(self) -> None:
        RunWorld.__post_init__(self)
        self.rules = AmendedRules(
            state=self.state, queue=self.queue, limits=self.limits, rivals=self.weather.rivals
        )
        for tool, facts in self.limits.tools.items():
            if facts.answers:
                self.record(ToolPinged(tool=tool, status=HealthStatus.HEALTHY, checked_at=self.now))

    def record(self, *facts: Any, cause: Any = None) -> None:
        """Append and fold; who may not run side by side depends on the plan as it is now."""
        RunWorld.record(self, *facts, cause=cause)
        if any(isinstance(fact, PlanAmended) for fact in facts):
            rivals = rivals_of(self._amended)
            self.weather.rivals = self.rules.rivals = rivals

    @property
    def _amended(self) -> Plan:
        assert self.state.plan is not None
        return self.state.plan

    def _end_attempt(self, node_id: NodeId, *, stopped: bool = False) -> None:
        each = self.state.nodes[node_id]
        if not stopped and self._verifies(node_id) and self.random.random() < self.rejects:
            findings = tuple(self._finding() for _ in range(self.random.randint(1, self.most_findings)))
            self._verdict(node_id, Verdict.FAILED, findings)
            self._fail(node_id, FailureClass.REJECTED)
            return
        if not stopped and self._verifies(node_id):
            self._verdict(node_id, Verdict.PASSED, ())
        if not stopped and each.node.form is Form.REMEDY:
            self._propose(node_id)
        RunWorld._end_attempt(self, node_id, stopped=stopped)

    def _ask_something(self) -> None:
        """People also overrule what a look has found, rightly or not, and think better of it."""
        found = [ref for each in self.state.nodes.values() for ref in findings_of(each)]
        if not found or self.random.random() < 0.5:
            RunWorld._ask_something(self)
            return
        self.touched = True
        waived = [ref for each in self.state.nodes.values() for ref in each.waived]
        command = "restore" if waived and self.random.random() < 0.5 else "waive"
        named = waived if command == "restore" else found
        refs = tuple(self.random.sample(named, self.random.randint(1, min(2, len(named)))))
        self.record(CommandGiven(command=command, by="ada", text="because", findings=refs))

    def _verifies(self, node_id: NodeId) -> bool:
        each = self.state.nodes[node_id]
        return each.node.role is Role.IPT and each.node.form is not Form.REMEDY

    def _verdict(self, node_id: NodeId, verdict: Verdict, findings: tuple[Finding, ...]) -> None:
        self.record(
            NodeVerified(
                node_id=node_id,
                attempt=self.state.nodes[node_id].attempts[-1].number,
                commit=commit_id("landed"),
                tree=tree_id("landed"),
                verdict=verdict,
                findings=findings,
            )
        )

    def _finding(self) -> Finding:
        random = self.random
        check = random.choice([None, CheckId("lint"), CheckId("tests")])
        return Finding(
            summary="wrong",
            severity=random.choice([Severity.BLOCKER, Severity.MAJOR, Severity.MAJOR, Severity.MINOR]),
            check=check,
            file=random.choice(["", "src/a/x.py", "docs/a[1].md"]),
            node=None if check else random.choice([None, *self.state.nodes]),
        )

    def _propose(self, node_id: NodeId) -> None:
        names = [f"p{number}" for number in range(1, self.random.randint(1, 3) + 1)]
        agents = [tool for tool, facts in self.limits.tools.items() if facts.agent]
        nodes = tuple(
            replace(
                node(name, *names[:place][: self.random.randint(0, 1)], est_cost=None),
                tool=self.random.choice(agents),
                path_claims=(PathClaim(path=self.random.choice(["src/**", "docs/**"])),),
            )
            for place, name in enumerate(names)
        )
        number = self.state.nodes[node_id].attempts[-1].number
        self.record(PlanProposed(node_id=node_id, attempt=number, nodes=nodes))
