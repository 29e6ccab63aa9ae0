"""What must hold at every step of a `RunWorld`: the rules of the architecture, told a second time."""

from collections import Counter
from datetime import datetime

from msgspec import Struct

from cli_multi_rapid.core.facts import FailureClass, RunStatus
from cli_multi_rapid.core.ids import Commit, NodeId
from cli_multi_rapid.core.intents import (
    CancelNode,
    FailNode,
    FinishRun,
    Intent,
    RefuseForBudget,
    StartAttempt,
)
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus, NodeState, NodeStatus
from cli_multi_rapid.core.plan import Approval, MergeWhen, Role
from cli_multi_rapid.core.scheduler import Limits
from cli_multi_rapid.core.state import RunState
from tests.fakes.queue_world import QueueWorld
from tests.fakes.weather import Changes


class RunRules(Struct, kw_only=True):
    """Looks at one run."""

    state: RunState
    queue: QueueWorld
    limits: Limits
    rivals: frozenset[frozenset[NodeId]]
    """The pairs of nodes that must not run side by side."""

    def check_order(self, intents: list[Intent]) -> None:
        """Starts come in the plan's dispatch order, and each node is spoken of once."""
        rank = {node_id: place for place, node_id in enumerate(self.state.order)}
        starts = [rank[intent.node_id] for intent in intents if isinstance(intent, StartAttempt)]
        assert starts == sorted(starts)
        if self.limits.fail_fast:
            assert not (starts and any(node.dead for node in self.state.nodes.values()))
        turns = [i for i in intents if isinstance(i, StartAttempt | FailNode | CancelNode | RefuseForBudget)]
        assert max(Counter(intent.node_id for intent in turns).values(), default=1) == 1

    def check_start(self, intent: StartAttempt, now: datetime) -> None:
        state, node = self.state, self.state.nodes[intent.node_id]
        running = [state.nodes[node_id] for node_id in state.frontier.running]
        assert node.status is NodeStatus.PENDING
        assert not state.paused
        assert state.cancelling is None
        assert node.node.approval is not Approval.BEFORE or "before" in node.granted
        assert node.not_before is None or node.not_before <= now
        assert len(running) < self.limits.workers
        facts = self.limits.tools[intent.tool]
        used = sum(1 for other in running if other.attempts[-1].tool == intent.tool)
        assert facts.limit is None or used < facts.limit, "more than the tool allows"
        assert facts.price.free == (intent.cap is None)
        if facts.agent:
            self._check_breaker(intent, now)
        for other in running:
            pair = frozenset((node.node.id, other.node.id))
            assert pair not in self.rivals, f"{sorted(pair)} run side by side"
        for dep in node.node.deps:
            before = state.nodes[dep]
            assert before.status is NodeStatus.COMPLETED
            assert before.merge_status not in MERGE_DEAD
            assert before.landed or node.node.role is Role.WT
        self._check_money(intent)

    def _check_breaker(self, intent: StartAttempt, now: datetime) -> None:
        """While a breaker is open one attempt at a time is let through, and not before its time."""
        found = self.state.tools.breaker(intent.tool)
        if found.opened is not None:
            assert found.ready_at is not None
            assert found.ready_at <= now
            assert found.trial is None, "two trials at once"

    def _check_money(self, intent: StartAttempt) -> None:
        ledger, rules = self.state.ledger, self.limits.budget
        assert ledger.reserved == sum(ledger.open.values())
        assert {node_id for node_id, _ in ledger.open} <= set(self.state.frontier.running)
        assert ledger.lent == sum(ledger.loans.values())
        assert ledger.loans.keys() <= ledger.open.keys()
        after = ledger.spent + ledger.reserved + ledger.lent + intent.reserve + intent.lent
        assert not intent.lent or intent.cap == intent.reserve + intent.lent
        if intent.reserve and ledger.limit is not None:
            assert after <= ledger.limit, "the run's limit would be overrun"
            assert ledger.spent * 100 <= ledger.limit * rules.halt_pct, "it was to halt"
        if intent.reserve and rules.day_limit is not None:
            assert after + rules.day_spent <= rules.day_limit, "the day's limit would be overrun"
        node = self.state.nodes[intent.node_id]
        most = node.node.max_cost
        assert most is None or intent.reserve <= max(0, most - node.spent)
        assert most is None or intent.cap is None or intent.cap <= max(0, most - node.spent)

    def check_refusal(self, intent: RefuseForBudget) -> None:
        ledger, rules = self.state.ledger, self.limits.budget
        assert intent.reason
        if intent.limit_name == "run" and ledger.limit is not None:
            halted = ledger.spent * 100 > ledger.limit * rules.halt_pct
            assert halted or intent.needed > ledger.limit - ledger.spent

    def check_base(self, node_id: NodeId, base: Commit) -> None:
        """Rule 5: a dependent sees the work of all that it depends on, however far back."""
        for before in self._ancestors(self.state.nodes[node_id]):
            assert before.head is None or self._own(before) <= self.queue.contents[base]

    def _ancestors(self, node: NodeState) -> list[NodeState]:
        found: dict[NodeId, NodeState] = {}
        stack = list(node.node.deps)
        while stack:
            node_id = stack.pop()
            if node_id not in found:
                found[node_id] = self.state.nodes[node_id]
                stack.extend(found[node_id].node.deps)
        return list(found.values())

    def _own(self, node: NodeState) -> Changes:
        return frozenset({f"{node.node.id}#{node.attempts[-1].number}"})

    def check_finish(self, end: FinishRun, *, touched: bool) -> None:
        nodes = list(self.state.nodes.values())
        assert not self.state.frontier.running
        assert end.exit_code == self._contract(end)
        tip = self.queue.contents[self.queue.tip]
        for node in nodes:
            if node.merge_status is MergeStatus.MERGED:
                assert self._own(node) <= tip
        if end.exit_code == 4:
            assert any(node.requested for node in nodes), "nobody was asked for anything"
        elif not (self.queue.state.halted or end.status is RunStatus.CANCELLED):
            for node in nodes:
                self._check_final(node)
                assert touched or not node.merge_reason.endswith("did not land") or self._lost(node)

    def _check_final(self, node: NodeState) -> None:
        """Rule 2: landed, or ended with a reason, or in the hands of a person."""
        if node.landed or node.requested or node.held_command:
            return
        waits = any(self.state.entries.get(entry) for entry in node.behind) or node.open_edges
        held_back = self._is_held_back(node) or self._awaits_rival(node)
        assert node.settled or waits or held_back, f"{node.node.id} was forgotten"
        if node.settled:
            assert node.reason or node.merge_reason or node.blocked_by
        if node.shown_status is NodeStatus.BLOCKED:
            assert any(before.dead and before.node.id == node.blocked_by for before in self._ancestors(node))

    def _lost(self, node: NodeState) -> bool:
        """Whether something that it depends on will not land."""
        return any(before.dead for before in self._ancestors(node))

    def _is_held_back(self, node: NodeState) -> bool:
        """Whether its work waits for a node that waits for a person, because all is to land together."""
        plan = self.state.plan
        assert plan is not None
        waiting = any(other.status is NodeStatus.WAITING for other in self.state.nodes.values())
        sealed = node.status is NodeStatus.COMPLETED and node.merge_status is None
        return plan.merge_policy.when is MergeWhen.AFTER_ALL and waiting and sealed

    def _awaits_rival(self, node: NodeState) -> bool:
        """Whether it is to be done again when work that it would be in conflict with has landed."""
        return node.rework is not None and any(
            other.sealed and not other.landed and frozenset((node.node.id, other.node.id)) in self.rivals
            for other in self.state.nodes.values()
        )

    def _contract(self, end: FinishRun) -> int:
        """The exit code by the words of the contract, from the nodes alone."""
        nodes = list(self.state.nodes.values())
        if self.state.cancelling is not None:
            assert end.status is RunStatus.CANCELLED
            return 1
        if all(node.landed for node in nodes):
            assert end.status is RunStatus.SUCCESS
            return 0
        left = [node for node in nodes if not node.landed]
        if any(node.status is NodeStatus.SKIPPED and node.by_budget for node in left):
            assert end.status is RunStatus.BUDGET_STOPPED
            return 3
        lost = [node for node in left if node.dead or node.held_command]
        if not lost and not self.queue.state.halted:
            assert end.status is RunStatus.WAITING
            return 4
        assert end.status is (RunStatus.PARTIAL if len(left) < len(nodes) else RunStatus.FAILED)
        machine = {FailureClass.TOOL_MISSING, FailureClass.ENVIRONMENT}
        roots = [node for node in lost if node.blocked_by is None]
        return 5 if roots and all(node.failure in machine for node in roots) else 1
