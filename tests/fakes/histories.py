"""Event lists of realistic runs, for everybody who tests a view, a fold or a store.

`History` is the builder: each method appends the facts that the engine would append, `wait` moves the clock.
Every list folds: `History.state` is its `RunState`. `run_stories` has whole runs.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import (
    ChangedFile,
    FailureClass,
    ImpliedEdge,
    Payload,
    RunStatus,
    Usage,
    Verdict,
)
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId, EventId, NodeId, RunId, ToolName
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    CheckStarted,
    MergeChecking,
    MergeConflicted,
    MergeEnqueued,
    MergeEntry,
    MergeFailed,
    MergeHeld,
    MergeLanded,
    MergeLanding,
)
from cli_multi_rapid.core.money import MicroUsd, parse_usd
from cli_multi_rapid.core.node_events import (
    NodeAttemptFailed,
    NodeBased,
    NodeFailed,
    NodeRetryScheduled,
    NodeStarted,
    NodeSucceeded,
    WorktreeKept,
)
from cli_multi_rapid.core.plan import Plan, Role
from cli_multi_rapid.core.run_events import (
    BudgetReserved,
    BudgetSettled,
    PlanAccepted,
    PlanReady,
    RunFinished,
    RunStarted,
)
from cli_multi_rapid.core.state import RunState
from tests.fakes.sample_plans import RUN, START, commit_id, tree_id

_MODELS = {"claude": "claude-sonnet-4-5", "aider": "gpt-5-mini", "cursor": "auto"}


class History:
    """Builds the event list of one run; every event is a second's fraction after the one before."""

    def __init__(self, plan: Plan, *, run: RunId = RUN, start: datetime = START) -> None:
        self.plan, self.run, self.now = plan, run, start
        self.events: list[Event] = []
        self._heads: dict[str, Commit] = {}
        self._running: dict[str, tuple[int, datetime, ToolName]] = {}
        self._attempts: dict[str, int] = {}

    @property
    def state(self) -> RunState:
        """The fold of the events so far."""
        state = RunState(self.run)
        for event in self.events:
            state.apply(event)
        return state

    def add(self, payload: Payload, *, source: str = "engine", cause: EventId | None = None) -> Event:
        """Append one fact now."""
        seq = len(self.events) + 1
        event = Event(
            id=EventId(f"e{seq:05d}"),
            seq=seq,
            run_id=self.run,
            time=self.now,
            source=source,
            data=payload,
            causation_id=cause,
            correlation_id=self.plan.correlation_id,
        )
        self.events.append(event)
        self.now += timedelta(milliseconds=2)
        return event

    def wait(self, seconds: float = 0, *, minutes: float = 0) -> "History":
        """Let time pass."""
        self.now += timedelta(seconds=seconds, minutes=minutes)
        return self

    # --- the run ------------------------------------------------------------------------------------------

    def begin(
        self, implied: Sequence[ImpliedEdge] = (), *, workers: int = 4, budget: MicroUsd | None = None
    ) -> "History":
        """The plan is made and accepted, and a process takes the run up."""
        path = f"artifacts/plans/{self.plan.plan_id}.json"
        self.add(PlanReady(plan_id=self.plan.plan_id, path=path, planner="template"))
        order = tuple(item.id for item in self.plan.nodes)
        self.add(
            PlanAccepted(plan=self.plan, order=order, implied=tuple(implied), digest="d" * 64, source=path)
        )
        return self.take_up(workers=workers, budget=budget)

    def take_up(
        self, *, workers: int = 4, budget: MicroUsd | None = None, resumed: bool = False
    ) -> "History":
        """A process takes the run up, for the first time or again."""
        limit = self.plan.budget if budget is None else budget
        self.add(
            RunStarted(
                repository="/home/ada/shop",
                target=self.plan.merge_policy.target,
                base=commit_id("base"),
                pid=4711,
                host="atlas",
                workers=workers,
                budget=limit,
                resumed=resumed,
            )
        )
        return self

    def finish(self, status: RunStatus, exit_code: int, reason: str = "") -> "History":
        """The run comes to rest."""
        self.add(RunFinished(status=status, exit_code=exit_code, reason=reason))
        return self

    # --- nodes --------------------------------------------------------------------------------------------

    def start(self, name: str, *, tool: str | None = None, reserve: str | None = None) -> "History":
        """An attempt begins."""
        node_id = NodeId(name)
        planned = self.plan.by_id[node_id]
        number = self._attempts[name] = self._attempts.get(name, 0) + 1
        amount = planned.est_cost if reserve is None else parse_usd(reserve)
        if amount:
            self.add(BudgetReserved(node_id=node_id, attempt=number, amount=amount, source="est_cost"))
        used = ToolName(tool or planned.tool)
        self._running[name] = (number, self.now, used)
        self.add(
            NodeStarted(
                node_id=node_id,
                attempt=number,
                tool=used,
                reason="named in the plan" if number == 1 else f"try {number}",
                slot=f"state/worktrees/{self.run}/{name}.{number}",
                log=f"artifacts/logs/{self.run}/{name}.{number}.log",
            )
        )
        tip = commit_id("base")
        merged = tuple(dep for dep in planned.deps if dep in self._heads)
        base = commit_id("base of", name, number) if merged else tip
        self.add(NodeBased(node_id=node_id, attempt=number, base=base, tip=tip, merged=merged))
        return self

    def lane(self, name: str) -> Branch:
        """The branch of a node."""
        return Branch(f"lane/{self.run}/{name}")

    def succeed(
        self,
        name: str,
        *,
        cost: str = "0.25",
        tokens: int = 8000,
        files: Sequence[ChangedFile] | None = None,
        summary: str = "done",
    ) -> "History":
        """The running attempt ends well; a `wt` node is sealed."""
        number, began, tool = self._running.pop(name)
        planned = self.plan.by_id[NodeId(name)]
        lands = planned.role is Role.WT
        if files is None:
            files = (
                (ChangedFile(path=f"src/{name}/code.py", status="A", added=40, removed=2),) if lands else ()
            )
        usage = _usage(tool, cost, tokens)
        if lands:
            self._heads[name] = commit_id(name, number)
        self.add(
            NodeSucceeded(
                node_id=NodeId(name),
                attempt=number,
                summary=summary,
                branch=self.lane(name) if lands else None,
                base=commit_id("base"),
                commit=self._heads.get(name),
                tree=tree_id(name, number) if lands else None,
                files=tuple(files),
                usage=usage,
                duration_s=(self.now - began).total_seconds(),
            )
        )
        return self._settle(name, number, tool, usage)

    def fail(
        self,
        name: str,
        reason: str = "exit status 1",
        *,
        failure: FailureClass = FailureClass.TOOL_FAILED,
        evidence: str = "",
        cost: str = "0.10",
        final: bool = True,
        retry_in: float | None = None,
    ) -> "History":
        """The running attempt ends badly: the node fails (`final`) or is tried again after `retry_in` s."""
        number, began, tool = self._running.pop(name)
        usage = _usage(tool, cost, 2000)
        self.add(
            NodeAttemptFailed(
                node_id=NodeId(name),
                attempt=number,
                failure=failure,
                reason=reason,
                evidence=evidence,
                branch=Branch(f"{self.lane(name)}.kept"),
                commit=commit_id(name, number, "kept"),
                usage=usage,
                slot=f"state/worktrees/{self.run}/{name}.{number}",
                duration_s=(self.now - began).total_seconds(),
            )
        )
        self._settle(name, number, tool, usage)
        if retry_in is not None:
            later = self.now + timedelta(seconds=retry_in)
            self.add(
                NodeRetryScheduled(node_id=NodeId(name), not_before=later, reason=f"try again: {reason}")
            )
        elif final:
            path = f"state/worktrees/{self.run}/{name}.{number}"
            self.add(WorktreeKept(node_id=NodeId(name), attempt=number, path=path, reason=reason))
            self.add(NodeFailed(node_id=NodeId(name), failure=failure, reason=reason))
        return self

    def _settle(self, name: str, number: int, tool: ToolName, usage: Usage) -> "History":
        self.add(
            BudgetSettled(node_id=NodeId(name), attempt=number, tool=tool, action="implement", usage=usage)
        )
        return self

    # --- the merge queue ----------------------------------------------------------------------------------

    def entry(self, name: str) -> EntryId:
        """The id of a node's entry in the queue."""
        return EntryId(f"{self.run}/{name}")

    def enqueue(self, *names: str) -> "History":
        """Sealed lanes join the queue."""
        for name in names:
            entry = MergeEntry(
                id=self.entry(name),
                branch=self.lane(name),
                head=self._heads[name],
                base=commit_id("base"),
                target=self.plan.merge_policy.target,
                run_id=self.run,
                node_id=NodeId(name),
                label=self.plan.by_id[NodeId(name)].label,
            )
            self.add(MergeEnqueued(entry=entry), source="queue:main")
        return self

    def check(
        self,
        check: str,
        *names: str,
        verdict: Verdict = Verdict.PASSED,
        seconds: float = 30,
        reused: bool = False,
        evidence: str = "",
    ) -> "History":
        """A check examines the candidate of some nodes, in `seconds`."""
        tree, entries = tree_id("candidate", *names), tuple(self.entry(name) for name in names)
        key, log = f"key-{check}-{tree[:8]}", f"artifacts/logs/{self.run}/check-{check}-{tree[:8]}.log"
        if not reused:
            self.add(CheckStarted(check=CheckId(check), tree=tree, key=key, entries=entries, log=log))
            self.wait(seconds)
        failed = verdict is not Verdict.PASSED
        self.add(
            CheckFinished(
                check=CheckId(check),
                tree=tree,
                key=key,
                verdict=verdict,
                reason=f"exit status {int(failed)}",
                exit_code=int(failed),
                duration_s=0.0 if reused else seconds,
                log=log,
                evidence=evidence,
                reused=reused,
                entries=entries,
            )
        )
        return self

    def candidate(self, *names: str) -> "History":
        """A candidate of some nodes is built and its checks begin."""
        entries = tuple(self.entry(name) for name in names)
        tip, commit = commit_id("base"), commit_id("candidate", *names)
        self.add(MergeChecking(entries=entries, tip=tip, commit=commit, tree=tree_id("candidate", *names)))
        return self

    def land(self, *names: str) -> "History":
        """The candidate of some nodes lands as one train."""
        entries = tuple(self.entry(name) for name in names)
        commit, tree = commit_id("candidate", *names), tree_id("candidate", *names)
        marks = tuple(f"refs/cli-orchestrator/landed/{self.run}/{name}" for name in names)
        self.add(
            MergeLanding(entries=entries, expected=commit_id("base"), commit=commit, tree=tree, markers=marks)
        )
        self.add(MergeLanded(entries=entries, commit=commit, tree=tree))
        return self

    def merge(self, *names: str, seconds: float = 30) -> "History":
        """Enqueue, check with lint and tests, and land: the good case."""
        self.enqueue(*names).candidate(*names)
        self.check("lint", *names, seconds=seconds / 10).check("tests", *names, seconds=seconds)
        return self.land(*names)

    def conflict(self, name: str, *files: str, partner: str = "main") -> "History":
        """An entry does not merge."""
        reason = f"conflicts with {partner} in {', '.join(files)}"
        self.add(MergeConflicted(entry_id=self.entry(name), files=files, partner=partner, reason=reason))
        return self

    def eject(self, name: str, check: str, *, reason: str = "", evidence: str = "") -> "History":
        """An entry leaves the queue because of a check."""
        why = reason or f"{check} failed on its own"
        self.add(MergeFailed(entry_id=self.entry(name), check=CheckId(check), reason=why, evidence=evidence))
        return self

    def hold(self, name: str, *, reason: str, command: str) -> "History":
        """An entry is verified, and the user's checkout is in the way."""
        commit = commit_id("candidate", name)
        self.add(MergeHeld(entries=(self.entry(name),), commit=commit, reason=reason, command=command))
        return self


def _usage(tool: ToolName, cost: str, tokens: int) -> Usage:
    read = tokens * 3 // 4
    return Usage(
        cost=parse_usd(cost),
        input_tokens=read,
        output_tokens=tokens - read,
        model=_MODELS.get(tool),
        source="tool",
    )
