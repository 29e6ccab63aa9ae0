"""Asking a model for a plan until its draft holds: supervised, recorded in the run's stream, within limits.

The program runs in an empty temporary folder, may only answer, and ends with its whole process tree. Each
draft has a reservation before it, and its cost and its problems after it, so that a crash loses no charge.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core import budget
from cli_multi_rapid.core.budget import BudgetRules, Fits
from cli_multi_rapid.core.errors import OrchestratorError, ToolFault, UserError
from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.ids import PLANNER, RunId
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import ZERO, MicroUsd, Price
from cli_multi_rapid.core.plan import Node, Plan, Role
from cli_multi_rapid.core.run_events import BudgetReserved, BudgetSettled, PlanDrafted
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.charges import charge, charge_unseen
from cli_multi_rapid.engine.cut_planning import ACTION, place_of
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.temp_folders import make_temp_folder, remove_temp_folders
from cli_multi_rapid.planner.from_model import repair_prompt
from cli_multi_rapid.ports import Adapter, Brief, Invocation, ToolReading
from cli_multi_rapid.process import supervise
from cli_multi_rapid.process_environment import base_environment
from cli_multi_rapid.process_terms import CancelToken, Exit, ExitOutcome, Supervision
from cli_multi_rapid.redaction import Redactor
from cli_multi_rapid.schema.plan_draft import draft_schema, parse_draft
from cli_multi_rapid.schema.problems import Problem, Problems, Severity

MOST_REPAIRS: Final = 3
TIMEOUT_S: Final = 600.0
"""For one draft."""
_EXCERPT_BYTES: Final = 1024 * 1024
_OR: Final = "without a model: --planner template"
_SHOWN: Final = 20
"""Problems that are fed back at once: more would only repeat them."""


class OverBudget(Exception):
    """There is no money for another draft; the message says why. A value for whoever asked."""


class Drafting(Struct, frozen=True, kw_only=True):
    """All that is needed to ask."""

    adapter: Adapter
    price: Price
    rules: BudgetRules
    limit: MicroUsd | None
    """The run's budget, which the planning is a part of."""
    tools: Sequence[str]
    """What the nodes of the plan may name."""
    default_base: str
    home: Home
    redactor: Redactor
    journal: Journal[RunState]
    """Of the run that begins with this planning."""
    timeout_s: float = TIMEOUT_S

    def ask(self, prompt: str, cancel: CancelToken) -> Plan:
        """A draft without errors.

        Raises `ToolFault` when the tool fails, cannot be given the prompt, or every repair has problems,
        `OverBudget` when there is no money for a draft.
        """
        session = _Session(self, prompt, cancel)
        try:
            return session.draft()
        finally:
            remove_temp_folders(session.name)


class _Answered(Struct, frozen=True, kw_only=True):
    """One draft as it came."""

    reading: ToolReading
    reason: str
    """Why nothing came; empty when something did."""
    log: Path
    duration_s: float


class _Session:
    """One planning: its drafts, each with what the last one taught."""

    def __init__(self, terms: Drafting, prompt: str, cancel: CancelToken) -> None:
        self._terms, self._prompt, self._cancel = terms, prompt, cancel
        self._run_id: RunId = terms.journal.stream
        self.name = place_of(self._run_id)
        self._folder = make_temp_folder(self.name)
        self._usage = Usage()
        self._session_id: str | None = None

    def draft(self) -> Plan:
        """Ask, and let the model repair what our rules refuse."""
        tool, prompt, texts = self._terms.adapter.name, self._prompt, [""]
        for number in range(1, 2 + MOST_REPAIRS):
            answered = self._paid(number, prompt)
            if answered.reason:
                self._record(number, answered)
                raise ToolFault(f"{tool} made no plan: {answered.reason}", hint=f"see {answered.log}; {_OR}")
            answer = self._terms.redactor.redact(answered.reading.answer or "")
            plan, errors = self._read(answer, number)
            self._record(number, answered, errors)
            if plan is not None:
                return plan
            texts = [error.to_text() for error in errors]
            prompt = repair_prompt(self._prompt, answer, texts[:_SHOWN])
        told = "\n".join(texts)
        raise ToolFault(
            f"{tool} made no plan that can be run, also after {MOST_REPAIRS} repairs\n{told}",
            hint=f"say it in other words; {_OR}",
        )

    def _read(self, answer: str, number: int) -> tuple[Plan | None, list[Problem]]:
        terms, problems = self._terms, Problems()
        plan = parse_draft(
            answer, f"draft-{number}.json", problems, tools=terms.tools, default_base=terms.default_base
        )
        return plan, [problem for problem in problems if problem.severity is Severity.ERROR]

    # --- money --------------------------------------------------------------------------------------------

    def _paid(self, number: int, prompt: str) -> _Answered:
        """One draft between its reservation and its settlement, whatever happens once its program may run."""
        terms = self._terms
        cap, verdict = self._afford()
        brief = self._brief(number, prompt, cap)
        try:
            program = terms.adapter.prepare(brief)
        except UserError as error:
            raise ToolFault(f"{terms.adapter.name} cannot be asked: {error.message}", hint=_OR) from error
        self._reserve(number, verdict)
        usage = charge_unseen(Usage(), verdict.amount, terms.adapter.cost)
        try:
            try:
                ended = self._run(program, brief)
            except OrchestratorError:
                usage = Usage()  # the program was not started
                raise
            answered = self._answered(ended, brief)
            usage = charge(answered.reading.usage, ended.outcome, verdict.amount, terms.adapter.cost)
            return answered
        finally:
            terms.journal.record(
                BudgetSettled(
                    node_id=PLANNER, attempt=number, tool=terms.adapter.name, action=ACTION, usage=usage
                )
            )

    def _afford(self) -> tuple[MicroUsd | None, Fits]:
        """The most that the next draft may cost, and what is to be set aside for it. Raises `OverBudget`."""
        terms = self._terms
        ledger = Ledger(limit=terms.limit, spent=terms.journal.state.ledger.spent)
        left = ledger.available
        cap = None if left is None else MicroUsd(min(terms.rules.node_limit, left))
        node = Node(id=PLANNER, label="Plan", tool=terms.adapter.name, role=Role.IPT, max_cost=cap)
        verdict = budget.fit(node, terms.price, ledger, terms.rules)
        if not isinstance(verdict, Fits) or cap == ZERO:
            reason = getattr(verdict, "reason", "") or "nothing of the budget is left"
            raise OverBudget(f"the planner {terms.adapter.name} is not asked: {reason}")
        return cap, verdict

    def _reserve(self, number: int, verdict: Fits) -> None:
        self._terms.journal.record(
            BudgetReserved(
                node_id=PLANNER,
                attempt=number,
                amount=verdict.amount,
                source=verdict.source,
                tool=self._terms.adapter.name,
            )
        )

    # --- the program --------------------------------------------------------------------------------------

    def _brief(self, number: int, prompt: str, cap: MicroUsd | None) -> Brief:
        terms = self._terms
        room, temp = self._folder / "room", self._folder / "tmp"
        for folder in (room, temp):
            folder.mkdir(exist_ok=True)
        return Brief(
            node=Node(id=PLANNER, label="Plan", tool=terms.adapter.name, role=Role.IPT),
            attempt=number,
            run_id=self._run_id,
            slot=room,
            temp=temp,
            prompt=prompt,
            timeout_s=terms.timeout_s,
            cap=cap,
            session_id=self._session_id,
            session_usage=self._usage,
            environment=base_environment({}),
            answer_schema=json.dumps(draft_schema(terms.tools)),
        )

    def _run(self, program: Invocation, brief: Brief) -> Exit:
        """The end of the program. Raises `OrchestratorError` when it could not be started."""
        terms = self._terms
        log = terms.home.attempt_log(self._run_id, PLANNER, brief.attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        return supervise(
            program.argv,
            cwd=program.cwd,
            env=program.env,
            marker=f"{self.name}/{brief.attempt}",
            log=log,
            redactor=terms.redactor,
            supervision=Supervision(
                timeout_s=brief.timeout_s, stops=program.stops, excerpt_bytes=_EXCERPT_BYTES
            ),
            cancel=self._cancel,
        )

    def _answered(self, ended: Exit, brief: Brief) -> _Answered:
        terms = self._terms
        reading = terms.adapter.read(
            ended.output, ended.code if ended.signal is None else -ended.signal, brief
        )
        self._remember(reading)
        return _Answered(
            reading=reading,
            reason=terms.redactor.redact(_why_nothing(ended, reading, brief.timeout_s)),
            log=ended.log,
            duration_s=round(ended.duration_s, 3),
        )

    def _remember(self, reading: ToolReading) -> None:
        """The next draft goes on with this session, whose tokens some tools count from its beginning."""
        self._session_id = reading.session_id
        used, before = reading.usage, self._usage
        self._usage = replace(
            used,
            cost=MicroUsd(before.cost + used.cost),
            input_tokens=before.input_tokens + used.input_tokens,
            output_tokens=before.output_tokens + used.output_tokens,
            cached_tokens=before.cached_tokens + used.cached_tokens,
        )

    def _record(self, number: int, answered: _Answered, problems: Sequence[Problem] = ()) -> None:
        self._terms.journal.record(
            PlanDrafted(
                tool=self._terms.adapter.name,
                attempt=number,
                log=str(answered.log),
                problems=tuple(map(_headline, problems)),
                reason=answered.reason,
                duration_s=answered.duration_s,
            )
        )


def _headline(problem: Problem) -> str:
    return replace(problem, frame="", notes=(), suggestion="").to_text()


def _why_nothing(ended: Exit, reading: ToolReading, timeout_s: float) -> str:
    """Why there is no answer to read; empty when there is one, be it good or not."""
    match ended.outcome:
        case ExitOutcome.TIMED_OUT:
            return f"it did not end within {timeout_s:g} s and was stopped"
        case ExitOutcome.NOT_FOUND | ExitOutcome.CANCELLED:
            return ended.problem
        case ExitOutcome.EXITED | ExitOutcome.SIGNALLED:
            return "" if reading.answer is not None else reading.reason or "it gave no answer"
