"""What is added to a run whose landed tree does not pass its verification. Pure.

At most two failures get a node each, more of them a node that plans what is to be done, and then the nodes of
that plan. All of it happens when nothing else is left to do, so that every failure is known; within the
budget; and in so many rounds, so that it ends.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.facts import FindingRef
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.node_state import NodeState, NodeStatus
from cli_multi_rapid.core.plan import Approval, FixMode, FixPolicy, Form, Node, Plan, Prompt, Role, Sandbox
from cli_multi_rapid.core.remedy_money import Unpaid, unpaid
from cli_multi_rapid.core.remedy_words import (
    fix_checks,
    fix_finding,
    for_a_person,
    found_by,
    plan_remedy,
    shortly,
    standing,
    verifies,
)
from cli_multi_rapid.core.remit import Remit, remit_of
from cli_multi_rapid.core.routing import AUTO, ToolFacts, pool
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.tool_events import HealthStatus
from cli_multi_rapid.core.verification_events import Amending, Cause, Finding, Fix, PlanAmended, PlanProposed

MOST_DIRECT: Final = 2
"""Failures that are put right without a plan."""
_LONGEST_ID: Final = 64


class Amendment(Struct, frozen=True, kw_only=True):
    """Nodes to add to the running plan. The fields are those of `PlanAmended`."""

    kind: Amending
    number: int
    nodes: tuple[Node, ...]
    again: tuple[NodeId, ...] = ()
    causes: tuple[Cause, ...]
    reason: str
    fixes: tuple[Fix, ...] = ()


class Unplanned(Struct, frozen=True, kw_only=True):
    """There is something to add, and nobody here who could plan or do it: a person must."""

    reason: str


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a remedy may use."""

    policy: FixPolicy
    tools: Mapping[ToolName, ToolFacts]
    budget: BudgetRules


def next_remedy(state: RunState, plan: Plan, around: Surroundings) -> Amendment | Unpaid | Unplanned | None:
    """The answer to what the verification of a run at rest has found; None: there is nothing to answer."""
    if around.policy.mode is FixMode.OFF:
        return None
    found = _of_proposal(state, plan, around) or _of_failures(state, plan, around)
    if not isinstance(found, Amendment):
        return found
    nodes = (*found.nodes, *(plan.by_id[name] for name in found.again))
    return unpaid(state, nodes, around.tools, around.budget) or found


def has_findings(state: RunState) -> bool:
    """Whether something that a verification found has not been answered, or a plan for it was not added."""
    unanswered = any(found_by(node) and not _is_answered(state, node) for node in state.nodes.values())
    return unanswered or _proposed(state) is not None


# --- what has failed ----------------------------------------------------------------------------------------


def _of_failures(state: RunState, plan: Plan, around: Surroundings) -> Amendment | Unpaid | Unplanned | None:
    failed = [node for node in state.nodes.values() if found_by(node) and not _is_answered(state, node)]
    number = 1 + max((past.number for past in state.amendments), default=0)
    if not failed or number > around.policy.rounds:
        return None
    remit = remit_of(state, plan, [node.node.id for node in failed])
    blamed = {ref: finding for node in failed for ref, finding in standing(node).items()}
    found = {ref: finding for ref, finding in blamed.items() if remit.allows(finding)}
    findings = list(found.values())
    beyond = [finding for ref, finding in blamed.items() if ref not in found]
    if not found:
        return Unplanned(reason=for_a_person(beyond))
    again = _again(state)
    terms = _Terms(
        state=state, plan=plan, around=around, number=number, deps=_before(plan, failed, again), remit=remit
    )
    causes = tuple(_cause(node) for node in failed)
    reason = "; ".join(
        [
            *(f"{node.node.id}: {shortly(found_by(node))}" for node in failed),
            *([for_a_person(beyond)] if beyond else []),
        ]
    )
    if len(findings) > MOST_DIRECT:
        planner = _planner(state, around)
        if planner is None:
            return Unplanned(reason=f"{len(findings)} failures need a plan, and no planner is healthy")
        node = terms.planning(planner, findings)
        return Amendment(kind=Amending.PLANNING, number=number, nodes=(node,), causes=causes, reason=reason)
    made = list(terms.fixes(found))
    nodes = tuple(node for node, _ in made)
    if any(not node.tool for node in nodes):
        return Unplanned(reason="no agent is there that could put it right; `verification.tool` names one")
    return Amendment(
        kind=Amending.FIX,
        number=number,
        nodes=nodes,
        again=again,
        causes=causes,
        reason=reason,
        fixes=tuple(Fix(node_id=node.id, findings=tuple(refs)) for node, refs in made),
    )


def _cause(node: NodeState) -> Cause:
    return Cause(node_id=node.node.id, attempt=node.attempts[-1].number)


def _is_answered(state: RunState, node: NodeState) -> bool:
    cause = _cause(node)
    return any(cause in past.causes for past in state.amendments)


def _again(state: RunState) -> tuple[NodeId, ...]:
    """What verified the tree that is to change: all that failed, and what passed and nothing was built on."""
    found = {name for name, node in state.nodes.items() if node.node.role is Role.IPT and _has_verdict(node)}
    settled = False
    while not settled:
        used = {
            name for name in found if not found_by(state.nodes[name]) and _is_built_on(state, name, found)
        }
        found -= used
        settled = not used
    return tuple(name for name in state.nodes if name in found)


def _has_verdict(node: NodeState) -> bool:
    passed = node.status is NodeStatus.COMPLETED and verifies(node)
    return passed or bool(found_by(node))


def _is_built_on(state: RunState, name: NodeId, again: set[NodeId]) -> bool:
    """Whether a node that is not done again itself has begun since this one completed."""
    after = (state.nodes[follower] for follower in state.frontier.dependents(name) if follower not in again)
    return any(node.attempts for node in after)


def _before(plan: Plan, failed: Sequence[NodeState], again: Sequence[NodeId]) -> tuple[NodeId, ...]:
    """What the verified work is: the dependencies, looked for behind verifications that come again."""
    found: dict[NodeId, None] = {}
    stack = [dep for node in reversed(failed) for dep in reversed(node.node.deps)]
    while stack:
        name = stack.pop()
        if name in again:
            stack.extend(reversed(plan.by_id[name].deps))
        else:
            found[name] = None
    return tuple(found)


# --- the nodes ----------------------------------------------------------------------------------------------


class _Terms(Struct, frozen=True, kw_only=True):
    """What all nodes of one round have in common."""

    state: RunState
    plan: Plan
    around: Surroundings
    number: int
    deps: tuple[NodeId, ...]
    remit: Remit

    def fixes(self, found: Mapping[FindingRef, Finding]) -> Iterator[tuple[Node, list[FindingRef]]]:
        """Failed checks are one node's work: the queue lands nothing before all of them pass.

        For the same reason the others come after it. Nobody knows beforehand what a failed check will take,
        so that node claims all that may be changed.
        """
        checks = {ref: finding for ref, finding in found.items() if finding.check is not None}
        reviewed = {ref: finding for ref, finding in found.items() if finding.check is None}
        first: tuple[NodeId, ...] = ()
        if checks:
            red = list(checks.values())
            names = ", ".join(str(finding.check) for finding in red)
            node = self._fix("checks", f"Repair {names}", fix_checks(red), red)
            yield replace(node, path_claims=self.remit.claims), list(checks)
            first = (node.id,)
        for place, (ref, finding) in enumerate(reviewed.items(), 1):
            node = self._fix(str(place), f"Fix {shortly([finding])}", fix_finding(finding), [finding])
            claims = self.remit.of_finding(finding, self.plan.by_id.get(finding.node or NodeId("")))
            yield replace(node, deps=(*node.deps, *first), path_claims=claims), [ref]

    def planning(self, tool: ToolName, findings: Sequence[Finding]) -> Node:
        """The node that plans what is to be done."""
        node = Node(
            id=unused(f"remedy-{self.number}", self.plan.by_id),
            label=f"Plan how {len(findings)} failures are put right",
            tool=tool,
            role=Role.IPT,
            form=Form.REMEDY,
            goal=plan_remedy(findings, [claim.path for claim in self.remit.claims]),
            deps=self.deps,
            approval=self._approval,
        )
        return self._as_others(node, findings)

    def planned(self, nodes: Sequence[Node]) -> Iterator[Node]:
        """The nodes of a proposal under ids of this run; the first of them come after what was verified."""
        names: dict[NodeId, NodeId] = {}
        for place, node in enumerate(nodes, 1):
            name = f"fix-{self.number}-{node.id}"
            short = name if len(name) <= _LONGEST_ID else f"fix-{self.number}-{place}"
            names[node.id] = unused(short, {*self.plan.by_id, *names.values()})
        for node in nodes:
            deps = tuple(names[dep] for dep in node.deps)
            claims = node.path_claims if self.remit.covers(node.path_claims) else self.remit.claims
            named = replace(
                node,
                id=names[node.id],
                deps=deps or self.deps,
                approval=self._approval,
                path_claims=claims,
            )
            yield self._as_others(replace(named, tool=self.around.policy.tool or node.tool), ())

    @property
    def _approval(self) -> Approval:
        return Approval.BEFORE if self.around.policy.mode is FixMode.ASK else Approval.NONE

    def _fix(self, name: str, label: str, goal: str, findings: Sequence[Finding]) -> Node:
        node = Node(
            id=unused(f"fix-{self.number}-{name}", self.plan.by_id),
            label=label,
            tool=self._agent(findings) or ToolName(""),
            goal=goal,
            inputs=tuple(dict.fromkeys(finding.file for finding in findings if finding.file)),
            deps=self.deps,
            approval=self._approval,
        )
        return self._as_others(node, findings)

    def _as_others(self, node: Node, findings: Sequence[Finding]) -> Node:
        """The node on the terms that the plan gives its tool: its model, so that its price is known, too.

        What a person has confined anywhere in the plan is not let out by way of a fix.
        """
        prompts = (each for each in self.plan.nodes if isinstance(each.work, Prompt))
        if any(each.sandbox is Sandbox.BWRAP for each in prompts):
            node = replace(node, sandbox=Sandbox.BWRAP)
        like = next((each.node for each in self._nearest(findings) if each.node.tool == node.tool), None)
        return node if like is None else replace(node, model=like.model, env=like.env, network=like.network)

    def _agent(self, findings: Sequence[Finding]) -> ToolName | None:
        """Who knows the work: the agent that is concerned, else one that did any of it, or looked at it."""
        tools = self.around.tools
        if self.around.policy.tool is not None:
            return self.around.policy.tool
        for node in self._nearest(findings):
            tool = node.attempts[-1].tool
            if tool in tools and tools[tool].agent:
                return tool
        return AUTO if pool(Node(id=NodeId("any"), label="", tool=AUTO), tools) else None

    def _nearest(self, findings: Sequence[Finding]) -> list[NodeState]:
        """What has been tried, the nearest to what was found first."""
        tried = [node for node in self.state.nodes.values() if node.attempts]
        named = {finding.node for finding in findings}
        return sorted(tried, key=lambda node: _distance(node, named, self.deps))


def _distance(node: NodeState, named: Collection[NodeId | None], deps: Collection[NodeId]) -> int:
    """How far a node is from what was found: named in it, part of what was verified, other work, a look."""
    near = (node.node.id in named, node.node.id in deps, node.node.role is Role.WT, True)
    return near.index(True)


def unused(name: str, taken: Mapping[NodeId, object] | set[NodeId]) -> NodeId:
    """A node id that nobody has, as near to this name as can be."""
    found, place = name, 2
    while NodeId(found) in taken:
        found, place = f"{name}-{place}", place + 1
    return NodeId(found)


# --- planning -----------------------------------------------------------------------------------------------


def _planner(state: RunState, around: Surroundings) -> ToolName | None:
    """The first tool that can answer by a schema and that answered its last ping as it should."""
    pings = state.tools.pings
    for tool in (name for name in around.tools if name in pings):
        able = around.tools[tool].answers and pings[tool].status is HealthStatus.HEALTHY
        if able and state.tools.breaker(tool).opened is None:
            return tool
    return None


def _proposed(state: RunState) -> PlanProposed | None:
    """The plan that a planning node has made and that was not added, when it is still wanted."""
    last = state.amendments[-1] if state.amendments else None
    if last is None or last.kind is not Amending.PLANNING:
        return None
    planning = state.nodes[last.nodes[0].id]
    if planning.status is not NodeStatus.COMPLETED or not _still_failed(state, last):
        return None
    return planning.attempts[-1].proposal


def _still_failed(state: RunState, past: PlanAmended) -> list[NodeState]:
    causes = (state.nodes[cause.node_id] for cause in past.causes)
    return [node for node in causes if found_by(node)]


def _of_proposal(state: RunState, plan: Plan, around: Surroundings) -> Amendment | None:
    """The nodes of a plan that a planning node has made."""
    proposal = _proposed(state)
    if proposal is None:
        return None
    last, planning = state.amendments[-1], state.nodes[proposal.node_id]
    failed, again = _still_failed(state, last), _again(state)
    terms = _Terms(
        state=state,
        plan=plan,
        around=around,
        number=last.number,
        deps=_before(plan, failed, again),
        remit=remit_of(state, plan, [node.node.id for node in failed]),
    )
    return Amendment(
        kind=Amending.REMEDY,
        number=last.number,
        nodes=tuple(terms.planned(proposal.nodes)),
        again=again,
        causes=(_cause(planning),),
        reason=f"planned by {planning.attempts[-1].tool} in {planning.node.id}: {last.reason}",
    )
