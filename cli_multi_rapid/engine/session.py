"""One process's work on a run: lease, recovery, loop, and a clean end whatever happens."""

import hashlib
import json
import os
import socket
from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from cli_multi_rapid.core.codec import to_data
from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.fix_candidates import policy_of
from cli_multi_rapid.core.ids import CorrelationId, EventId, RunId
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.money import ZERO
from cli_multi_rapid.core.plan import CheckSpec, FixMode, FixPolicy, JsonObject, Plan
from cli_multi_rapid.core.run_events import PlanAccepted, RunFinished, RunStarted
from cli_multi_rapid.core.scheduler import Limits, prepare
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.attempt import AttemptRunner
from cli_multi_rapid.engine.bases import tip_of
from cli_multi_rapid.engine.check_discovery import checks_of_plan
from cli_multi_rapid.engine.cut_planning import end_cut_planning
from cli_multi_rapid.engine.day_spending import DaySpending
from cli_multi_rapid.engine.dispatcher import Dispatcher
from cli_multi_rapid.engine.inbox import Hint, Inbox
from cli_multi_rapid.engine.journal import Journal, open_journal
from cli_multi_rapid.engine.lanes import Lanes
from cli_multi_rapid.engine.loop import Hands, RunLoop
from cli_multi_rapid.engine.merge_queue import MergeQueue
from cli_multi_rapid.engine.orders import OrderBook
from cli_multi_rapid.engine.queue_opening import check_runner, open_queue
from cli_multi_rapid.engine.recovery import Recovery
from cli_multi_rapid.engine.signals import signals_to
from cli_multi_rapid.engine.tool_health import tool_health
from cli_multi_rapid.engine.verification import Verifier
from cli_multi_rapid.engine.workshop import Workshop
from cli_multi_rapid.process_tree import kill_marked

Observer = Callable[[Event], None]


def accept_plan(shop: Workshop, plan: Plan, source: str, run_id: RunId | None = None) -> RunId:
    """Begin a run of a plan. Nothing is started. `run_id`: of the run that began with its planning.

    Raises `UserError` for a plan that holds a secret: events are kept, for everybody who may read them.
    """
    text = json.dumps(to_data(plan), sort_keys=True, ensure_ascii=False)
    if shop.redactor.redact(text) != text:
        raise UserError(
            "the plan holds what looks like a key, a token or a password",
            hint="put it into the environment of the tool; plans are kept in the event log",
        )
    run_id = run_id or shop.ids.run_id()
    order, implied = prepare(plan)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    journal = run_journal(shop, run_id)
    journal.submit(PlanAccepted(plan=plan, order=order, implied=implied, digest=digest, source=source))
    return run_id


def run_journal(shop: Workshop, run_id: RunId) -> Journal[RunState]:
    """The stream of a run, with an empty state."""
    return open_journal(shop, run_id, RunState(run_id))


class Session:
    """Holds a run's lease and drives it."""

    def __init__(self, shop: Workshop, run_id: RunId, observers: list[Observer] | None = None) -> None:
        """Raises `UserError` for an unknown run, `EnvironmentFault` when a living process drives it."""
        self._shop = shop
        self._journal = run_journal(shop, run_id)
        self._journal.observers.extend(observers or [])
        self._inbox = Inbox()
        self.earlier: dict[EventId, datetime] = {}
        """When the queue's events happened that were there before this process: some are told only now."""
        self._day = DaySpending(lambda: shop.spent_today(run_id), shop.clock)
        if shop.log.last_seq(run_id) == 0:
            raise UserError(f"there is no run {run_id}", hint="list them: cli-orchestrator runs")
        lease = shop.leases.acquire(run_id)
        if lease is None:
            raise EnvironmentFault(
                f"run {run_id} is being driven by {shop.leases.holder(run_id)}",
                hint=f"watch it: cli-orchestrator watch {run_id}",
            )
        self._journal.lease = lease

    @property
    def state(self) -> RunState:
        """The folded stream of the run."""
        return self._journal.state

    def run(self) -> RunFinished:
        """Recover, drive the run until it rests, and give everything back."""
        events = self._journal.catch_up()
        plan = self._journal.state.plan
        if plan is None:
            end_cut_planning(self._journal, events)
            self._release()
            raise UserError(
                f"run {self.state.run_id} has no plan: it was cut off while a model planned",
                hint="type the request again; what the planning cost is in the ledger",
            )
        self._journal.correlation_id = plan.correlation_id or CorrelationId(self.state.run_id)
        unsubscribe = self._shop.bus.subscribe(self._hear)
        try:
            with (
                signals_to(self._inbox),
                open_queue(self._shop, plan.merge_policy.target, self._inbox) as queue,
            ):
                return self._drive(plan, queue)
        finally:
            unsubscribe()
            self._release()

    def _release(self) -> None:
        if self._journal.lease is not None:
            self._journal.lease.release()

    def _hear(self, stream: RunId) -> None:
        if stream != self.state.run_id:
            self._day.heard()
        self._inbox.put(Hint(stream=stream))

    def _drive(self, plan: Plan, queue: MergeQueue) -> RunFinished:
        shop = self._shop
        tip = tip_of(shop.repository, plan.merge_policy.target)
        checks = checks_of_plan(
            plan, shop.policies.checks, shop.policies.checklist, lambda: shop.repository.list_files(tip)
        )
        lanes = Lanes(
            shop.repository,
            template=shop.policies.lane,
            checks=checks,
            update_checkout=shop.policies.update_checkout,
        )
        if self.state.started is not None:
            lanes.drop_hollow(self.state.run_id)
        if (branch := lanes.obstacle(self.state.run_id)) is not None:
            raise EnvironmentFault(
                f"the branch {branch} is in the way of the lanes, which are called {shop.policies.lane}",
                hint=f"rename it (git branch -m {branch} NEW_NAME), or set worktrees.lane to another pattern",
            )
        shop.sandboxes.require(plan, shop.tools, self._fix_policy(plan))
        self._begin(plan, queue, lanes)
        dispatcher = Dispatcher(self._attempts(queue, checks), self._inbox, shop.policies.workers)
        hands = Hands(
            queue=queue,
            dispatcher=dispatcher,
            orders=OrderBook(
                shop.home,
                lanes,
                claims_rule=shop.policies.claims_rule,
                confinement=shop.sandboxes.rules,
                tools=shop.tools,
            ),
            lanes=lanes,
            inbox=self._inbox,
            clock=shop.clock,
        )
        try:
            return RunLoop(self._journal, hands, self._limits(plan, queue)).run()
        except KeyboardInterrupt:
            for marker in (self.state.run_id, check_runner(shop, plan.merge_policy.target).marker):
                kill_marked(marker)  # who asks for the second time does not wait for anybody's last words
            raise
        finally:
            dispatcher.close()

    def _begin(self, plan: Plan, queue: MergeQueue, lanes: Lanes) -> None:
        """Say who drives the run from now on, and repair what the last process left."""
        shop, state = self._shop, self.state
        started = state.started
        target = plan.merge_policy.target
        budget = state.ledger.limit
        resumed = started is not None
        self.earlier.update((event.id, event.time) for event in queue.journal.catch_up())
        self._journal.record(
            RunStarted(
                repository=str(shop.repository.root),
                target=target,
                base=tip_of(shop.repository, target),
                pid=os.getpid(),
                host=socket.gethostname(),
                workers=shop.policies.workers,
                budget=budget,
                resumed=resumed,
                queue_seq=started.queue_seq if started else queue.state.seq,
                options=self._options(started),
            )
        )
        fix, told = self._fix_policy(plan).mode, state.tools.pings
        self._journal.record(*tool_health(plan, shop.tools, shop.pings, fix, told))
        if resumed:
            Recovery(
                repository=shop.repository,
                worktrees=shop.worktrees,
                lanes=lanes,
                adapters=shop.adapters,
                clock=shop.clock,
            ).take_over(self._journal)
            self._repeat_answers(queue)
        if queue.state.halted is not None or any(node.held_command for node in state.nodes.values()):
            queue.go_on()

    def _options(self, before: RunStarted | None) -> JsonObject:
        """What was asked for on the command line, now or when the run was started first."""
        earlier, policies = before.options if before else {}, self._shop.policies
        return {
            "fail_fast": policies.fail_fast or earlier.get("fail_fast") is True,
            "allow_unpriced": policies.budget.allow_unpriced or earlier.get("allow_unpriced") is True,
            "fix": policies.fix_asked or earlier.get("fix"),
        }

    def _fix_policy(self, plan: Plan) -> FixPolicy:
        """What follows a failed verification. What was asked for when the run was begun holds on."""
        started, policies = self.state.started, self._shop.policies
        earlier = started.options.get("fix") if started else None
        asked = policies.fix_asked or (FixMode(earlier) if isinstance(earlier, str) else None)
        return policy_of(plan, policies.fix, asked)

    def _repeat_answers(self, queue: MergeQueue) -> None:
        """A landing that was granted or refused, and the word did not reach the queue before the crash."""
        for node in self.state.nodes.values():
            entry = queue.state.entries.get(node.entry_id) if node.entry_id else None
            if entry is None or entry.approved or not entry.entry.needs_approval:
                continue
            if "landing" in node.granted:
                queue.approve(entry.entry.id, "the run")
            elif "landing" not in node.requested:
                queue.withdraw(entry.entry.id, f"rejected: {node.reason}")

    def _attempts(self, queue: MergeQueue, checks: tuple[CheckSpec, ...]) -> AttemptRunner:
        shop = self._shop

        def known(key: str) -> CheckFinished | None:
            record = queue.state.records.get(key)
            return record.last if record else None

        return AttemptRunner(
            repository=shop.repository,
            worktrees=shop.worktrees,
            adapters=shop.adapters,
            redactor=shop.redactor,
            clock=shop.clock,
            sandboxes=shop.sandboxes,
            verifier=Verifier(
                repository=shop.repository,
                runner=replace(check_runner(shop, queue.target), marker=self._journal.stream),
                home=shop.home,
                checks=checks,
                fingerprint=shop.policies.queue.fingerprint,
                known=known,
            ),
        )

    def _limits(self, plan: Plan, queue: MergeQueue) -> Callable[[], Limits]:
        """The limits at any time: what others spend and whether the queue works can change during a run."""
        policies, started = self._shop.policies, self.state.started
        options = started.options if started else {}
        limits = Limits(
            workers=policies.workers,
            budget=replace(policies.budget, allow_unpriced=options.get("allow_unpriced") is True),
            tools=self._shop.tools,
            fix=self._fix_policy(plan),
            fail_fast=options.get("fail_fast") is True,
        )

        def at_present() -> Limits:
            spent = self._day.now() if limits.budget.day_limit is not None else ZERO
            budget = replace(limits.budget, day_spent=spent)
            return replace(limits, budget=budget, queue_halted=queue.state.halted)

        return at_present
