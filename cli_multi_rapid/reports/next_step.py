"""What happens next with a run and with each of its nodes, or what the person must type."""

from collections.abc import Set
from functools import cached_property
from typing import Final

from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.money import ZERO, MicroUsd, format_usd
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus, NodeState, NodeStatus
from cli_multi_rapid.core.remedy_words import found_by, shortly, standing
from cli_multi_rapid.core.run_events import UNPRICED, RunFinished
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verification_events import Amending
from cli_multi_rapid.core.waiver import overruled_by
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.chronicle import Chronicle
from cli_multi_rapid.reports.document import NextStep
from cli_multi_rapid.reports.safe_text import one_line

MOST_STEPS: Final = 20
"""As many as a document lists; the rest is counted."""
_INTERRUPTED: Final = 130
"""The exit code of a run that a signal ended."""


def _step(text: str, command: str | None = None) -> NextStep:
    return NextStep(text=one_line(text), command=command)


class Advice:
    """What to do about a run and about its nodes; made for one state of it and then thrown away."""

    def __init__(self, run: RunState, chronicle: Chronicle) -> None:
        self._run = run
        self._chronicle = chronicle
        self._causes: dict[NodeId, NodeId] = {}

    # --- one node -----------------------------------------------------------------------------------------

    def of_node(self, node: NodeState) -> NextStep | None:
        """What a person must do about a node; None: nothing is left to do, or the run goes on by itself."""
        name, run_id = node.node.id, self._run.run_id
        if node.requested:
            what = "start" if "before" in node.requested else "land"
            return _step(f"{name} asks for your approval to {what}", commands.approve(run_id, name))
        match node.shown_status:
            case NodeStatus.COMPLETED:
                return self._of_completed(node)
            case NodeStatus.FAILED if found_by(node):
                return self._of_findings(node)
            case NodeStatus.FAILED | NodeStatus.CANCELLED:
                text = f"{name} {node.status}{_kept(node)}: do it again"
                return _step(text, commands.retry(run_id, name))
            case NodeStatus.SKIPPED:
                return self._of_skipped(node)
            case NodeStatus.BLOCKED:
                return self._behind(node)
            case NodeStatus.PENDING | NodeStatus.RUNNING | NodeStatus.WAITING:
                return self._behind(node) if self._run.finished else None

    def _of_completed(self, node: NodeState) -> NextStep | None:
        name, status = node.node.id, node.merge_status
        if node.landed:
            return None
        if node.held_command and status is MergeStatus.BLOCKED:
            return _step(f"{name} is verified and ready to land", node.held_command)
        if status in MERGE_DEAD:
            word = {MergeStatus.CONFLICTED: "does not merge", MergeStatus.FAILED: "was refused by the queue"}
            what = f"{name} {word.get(status, 'left the queue')}{_often(node)}{_kept(node)}"
            ways = f"do it again{_or_queue(node)}{_or_plan(node)}"
            return _step(f"{what}: {ways}", commands.retry(self._run.run_id, name))
        if self._run.finished:
            return _step(f"{name} waits to land", commands.resume(self._run.run_id))
        return None

    def _of_skipped(self, node: NodeState) -> NextStep | None:
        """A node that did not fit the budget needs another one; a condition that does not hold, nothing."""
        if not node.by_budget:
            return None
        refused = self._chronicle.refused.get(node.node.id)
        if refused is not None and refused.limit_name == UNPRICED:
            text = f"nobody can tell what {node.node.id} costs: give its price, or run it all the same"
            return _step(text, commands.resume_unpriced(self._run.run_id))
        command = commands.resume_with_budget(self._run.run_id, self.enough_budget)
        return _step(f"{node.node.id} did not fit the budget", command)

    def _of_findings(self, node: NodeState) -> NextStep:
        """What has landed is wrong: have it put right, by the run or by a plan, or look again."""
        run, name = self._run, node.node.id
        found = f"{name} did not pass what has landed"
        if run.finished is not None and run.finished.limit_name:
            return self._of_unpaid_fix(found, run.finished)
        fails_fast = run.started is not None and run.started.options.get("fail_fast") is True
        if run.status is RunStatus.WAITING or fails_fast:
            wish = commands.plan_fix(shortly(found_by(node)))
            again = f"then: {commands.retry(run.run_id, name)}"
            why = "--fail-fast adds nothing" if fails_fast else "no agent here can or may do what is needed"
            return _step(f"{found}, and {why}: do it, {again}", wish)
        if any(name == cause.node_id for past in run.amendments for cause in past.causes):
            rounds = max(
                (past.number for past in run.amendments if past.kind is not Amending.PLANNING), default=0
            )
            after = f", also after {rounds} round{'s' if rounds > 1 else ''} of fixes" if rounds else ""
            return _step(f"{found}{after}: put it right, then", commands.retry(run.run_id, name))
        text = f"{found}: have it put right, or do it and type: {commands.retry(run.run_id, name)}"
        return _step(text, commands.resume_fixing(run.run_id))

    def _overruling(self, node: NodeState) -> NextStep | None:
        """The way on where a review is wrong. A failed check has none."""
        names = [ref.name for ref, finding in standing(node).items() if finding.check is None]
        if not names:
            return None
        text = f"or overrule what {node.node.id} is wrong about, all of it or some"
        return _step(text, commands.waive(self._run.run_id, *names))

    def _of_unpaid_fix(self, found: str, end: RunFinished) -> NextStep:
        """What would be added has no room in a limit: which, the end of the run says."""
        run_id = self._run.run_id
        if end.limit_name == UNPRICED:
            text = f"{found}; nobody can tell what a fix costs: give its price, or run it all the same"
            return _step(text, commands.resume_unpriced(run_id))
        if end.limit_name == "day":
            text = f"{found}; today has no room for a fix: tomorrow, or with a higher budget.day_usd"
            return _step(text, commands.resume(run_id))
        budget = self._enough(end.needed)
        return _step(f"{found}; a fix needs more", commands.resume_with_budget(run_id, budget))

    @cached_property
    def enough_budget(self) -> MicroUsd:
        """A limit that holds what is spent and reserved and every node that is still to run."""
        return self._enough()

    def _enough(self, more: int = 0) -> MicroUsd:
        """Such a limit, with room for `more`.

        A tenth more than the sum: near its end a limit stops new nodes although the money would do.
        """
        ledger = self._run.ledger
        missing = sum(
            self._needed(node)
            for node in self._run.nodes.values()
            if node.by_budget or node.status is NodeStatus.PENDING
        )
        return MicroUsd(max((ledger.spent + ledger.reserved + missing + more) * 11 // 10, ledger.limit or 0))

    def _needed(self, node: NodeState) -> int:
        refused = self._chronicle.refused.get(node.node.id)
        return refused.needed if refused else node.node.est_cost or node.node.max_cost or ZERO

    def _behind(self, node: NodeState) -> NextStep:
        """Name the first cause: what is done about that frees the rest."""
        cause = self._run.nodes[self.root_cause(node)]
        step = self.of_node(cause) if cause is not node else None
        text = f"{node.node.id} goes on after {cause.node.id}" if step else f"{node.node.id} is not done"
        return _step(text, step["command"] if step else commands.resume(self._run.run_id))

    def root_cause(self, node: NodeState) -> NodeId:
        """The first of a chain of nodes that wait for one another; the node itself when it waits for none."""
        path: list[NodeId] = []
        while node.node.id not in self._causes:
            path.append(node.node.id)
            before = _waits_for(node)
            if before is None:
                break
            node = self._run.nodes[before]
        cause = self._causes.get(node.node.id, node.node.id)
        self._causes.update(dict.fromkeys(path, cause))
        return cause

    # --- the run ------------------------------------------------------------------------------------------

    def of_run(self, *, alive: bool = True, most: int | None = MOST_STEPS) -> list[NextStep]:
        """What comes next, the most urgent first; never empty. The reasons are with the nodes.

        `alive`: whether a process has the run in hand, which only the caller can know. `most`: so many nodes
        are told of, None: all.
        """
        run, halted = self._run, self._chronicle.halted
        if run.plan is None:
            return [_unplanned(run, alive=alive)]
        asked = self._consents(most)
        steps = [_step(f"the queue halted: {halted.reason.rstrip('.')}. {halted.hint}")] if halted else []
        if run.finished is None:
            return steps + asked + self._going_on(alive=alive)
        steps += asked + self._repairs({step["command"] for step in asked}, most)
        if self._rests_for_now and not steps:
            steps.append(_step("take the run up again", commands.resume(run.run_id)))
        return steps or [_step("nothing is left to do")]

    @property
    def _rests_for_now(self) -> bool:
        """Whether it goes on when somebody says so: not when somebody cancelled it."""
        end = self._run.finished
        interrupted = end is not None and end.exit_code == _INTERRUPTED
        return interrupted or self._run.status in (RunStatus.BUDGET_STOPPED, RunStatus.WAITING)

    def _consents(self, most: int | None) -> list[NextStep]:
        asking = [node for node in self._run.nodes.values() if node.requested]
        steps = []
        for node in asking[:most]:
            what = "start" if "before" in node.requested else "land"
            name, run_id = node.node.id, self._run.run_id
            steps.append(_step(f"{name} asks for your approval to {what}", commands.approve(run_id, name)))
            steps.append(_step("or refuse it", commands.reject(run_id, name)))
            if wrong := overruled_by(self._run, name):
                names = (ref.name for ref in wrong)
                steps.append(_step("or overrule what it is to fix", commands.waive(run_id, *names)))
        return steps

    def _going_on(self, *, alive: bool) -> list[NextStep]:
        run = self._run
        if not alive:
            return [_step("no process has this run in hand: take it up again", commands.resume(run.run_id))]
        if run.cancelling is not None:
            return [_step("the run is being cancelled: running attempts are ended")]
        if run.paused:
            return [_step("the run is paused: running attempts finish", commands.unpause(run.run_id))]
        running, ready = len(run.frontier.running), run.frontier.ready_count
        landing = sum(
            1 for node in run.nodes.values() if node.status is NodeStatus.COMPLETED and not node.settled
        )
        text = f"{running} running, {ready} ready to start, {landing} on the way to land; nothing to type"
        return [_step(text), _step("or look on", commands.watch(run.run_id))]

    def _repairs(self, said: Set[str | None], most: int | None) -> list[NextStep]:
        """The steps of all nodes that did not get there; a command is said once, at its cause."""
        steps: dict[str, NextStep] = {}
        for node in sorted(self._run.nodes.values(), key=lambda node: _waits_for(node) is not None):
            step = self.of_node(node)
            if step is not None and step["command"] is not None and step["command"] not in said:
                steps.setdefault(step["command"], step)
                if wrong := self._overruling(node):
                    steps.setdefault(str(wrong["command"]), wrong)
        found = list(steps.values())
        if most is None or len(found) <= most:
            return found
        return [*found[:most], _step(f"and {len(found) - most} more: see `next` of each node in the report")]


def _unplanned(run: RunState, *, alive: bool) -> NextStep:
    """Of a run that began with its planning and has no plan of its own."""
    if run.finished is not None and run.finished.exit_code == 0:
        return _step("execute the plan that was saved, when it is as you want it")
    if alive and run.finished is None:
        return _step("a model plans; nothing to type")
    if run.finished is None:
        return _step("it was cut off while a model planned: close it", commands.resume(run.run_id))
    return _step("no plan was run, so there is nothing to go on with: type the request again")


def _kept(node: NodeState) -> str:
    branch = next((attempt.branch for attempt in reversed(node.attempts) if attempt.branch), None)
    if branch:
        return f", its work is kept on {branch}"
    folder = node.attempts[-1].kept if node.attempts else ""
    return f", its work is kept in {folder}" if folder else ""


def _or_queue(node: NodeState) -> str:
    """The other way out for work that a person can put right."""
    if node.success is None or node.success.branch is None:
        return ""
    return f", or put the branch right and type: {commands.queue_add(node.success.branch)}"


def _often(node: NodeState) -> str:
    """How often its work was refused in all, and whose work it was, when that was more than once."""
    if not node.refusals:
        return ""
    tools = dict.fromkeys((*node.refusals, node.attempts[-1].tool))
    return f" {sum(node.refusals.values()) + 1} times (work of {', '.join(tools)})"


def _or_plan(node: NodeState) -> str:
    """The way out when agents have been told and could not put it right."""
    if not node.refusals:
        return ""
    return f", or have a remedy planned: {commands.plan_remedy(node.node.id, node.merge_reason)}"


def _waits_for(node: NodeState) -> NodeId | None:
    if node.blocked_by is not None:
        return node.blocked_by
    if node.status is NodeStatus.PENDING and node.open_edges:
        named = [dep for dep in node.node.deps if dep in node.open_edges]
        return named[0] if named else min(node.open_edges)
    return None


def budget_line(run: RunState) -> str:
    """`$3.20 of $15.00 spent (21 %), $2.00 reserved, $9.80 left`."""
    ledger = run.ledger
    reserved = f", {format_usd(ledger.reserved)} reserved" if ledger.reserved else ""
    if ledger.limit is None:
        return f"{format_usd(ledger.spent)} spent{reserved}, no limit"
    share = f" ({ledger.spent * 100 / ledger.limit:.0f} %)" if ledger.limit else ""
    left = format_usd(ledger.available or ZERO)
    return f"{format_usd(ledger.spent)} of {format_usd(ledger.limit)} spent{share}{reserved}, {left} left"
