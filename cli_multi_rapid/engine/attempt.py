"""One attempt of a node, from its base to its sealed lane. Runs in a worker and touches no state."""

import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.adapters.registry import missing
from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.confinement import Confinement, Loosened
from cli_multi_rapid.core.errors import OrchestratorError, UserError
from cli_multi_rapid.core.facts import ChangedFile, FailureClass, Payload, Usage
from cli_multi_rapid.core.ids import Branch, Commit, ToolName
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeBased, NodeSucceeded, WorktreeKept
from cli_multi_rapid.core.run_events import BudgetSettled
from cli_multi_rapid.engine.attempt_terms import (
    DEFAULT_TIMEOUT_S,
    AttemptOrder,
    Failed,
    Sealed,
    Told,
    Verify,
    failed_by,
)
from cli_multi_rapid.engine.bases import BaseConflict, Based, build_base
from cli_multi_rapid.engine.charges import charge, charge_unseen
from cli_multi_rapid.engine.confinement import Sandboxes
from cli_multi_rapid.engine.ignored_work import shown_few
from cli_multi_rapid.engine.temp_folders import make_temp_folder, remove_temp_folders
from cli_multi_rapid.engine.tree_audit import TreeAudit
from cli_multi_rapid.git import ChangeKind, Repository
from cli_multi_rapid.machine_faults import machine_fault
from cli_multi_rapid.ports import Adapter, Brief, Clock, CostClass, Invocation, ToolReading
from cli_multi_rapid.process import ProgramMissing, supervise
from cli_multi_rapid.process_environment import base_environment, inherited_environment
from cli_multi_rapid.process_terms import CancelToken, Exit, ExitOutcome, Supervision
from cli_multi_rapid.redaction import Redactor
from cli_multi_rapid.worktrees import SealRefused, Slot, SnapshotRefused, Worktrees

_EVIDENCE_CHARACTERS = 4000
_EXCERPT_BYTES = 1024 * 1024
"""Of each end of the output: some agents tell their cost step by step, and a final record can be long."""


class AttemptRunner(Struct, kw_only=True):
    """Carries out attempts; safe to call from several threads."""

    repository: Repository
    worktrees: Worktrees
    adapters: Mapping[ToolName, Adapter]
    redactor: Redactor
    clock: Clock
    sandboxes: Sandboxes
    verifier: Verify

    def run(self, order: AttemptOrder, cancel: CancelToken) -> Told:
        """The facts of the attempt, in the order to record them. Never raises: a fault is a fact too.

        One of the machine is none about the attempt: nothing is told then, and the slot stays, so that
        recovery finds what it would after a crash.
        """
        began = time.monotonic()
        work = _Attempt(self, order, cancel)
        try:
            if order.tool == VERIFY:
                return Told(facts=self.verifier.run(order, cancel))
            ended: Sealed | Failed = work.carry_out()
        except BaseException as error:  # noqa: BLE001  # a worker's bug must not take the night's run with it
            if fault := machine_fault(error):
                return Told(fault=fault)
            ended = failed_by(error)
        return Told(facts=tuple(work.facts_of(ended, time.monotonic() - began)))


_LETTERS = {
    ChangeKind.ADDED: "A",
    ChangeKind.MODIFIED: "M",
    ChangeKind.DELETED: "D",
    ChangeKind.RENAMED: "R",
    ChangeKind.RETYPED: "T",
}


class _Attempt:
    """The state of one attempt while it is being carried out."""

    def __init__(self, runner: AttemptRunner, order: AttemptOrder, cancel: CancelToken) -> None:
        self._runner = runner
        self._order = order
        self._cancel = cancel
        self._audit = TreeAudit(order, runner.repository, runner.worktrees, runner.clock, runner.redactor)
        self._slot: Slot | None = None
        self._based: Based | None = None
        self._reading: ToolReading | None = None
        self._usage = Usage()
        self._answer_facts: tuple[Payload, ...] = ()
        self._dropped: tuple[str, ...] = ()
        self._kept_branch: Branch | None = None
        self._kept_commit: Commit | None = None

    # --- the way through an attempt -----------------------------------------------------------------------

    def carry_out(self) -> Sealed | Failed:
        """Base, slot, tool, look at the tree, lane. The slot is given back or kept in every case."""
        order, runner = self._order, self._runner
        adapter = runner.adapters.get(order.tool)
        environment = self._environment(adapter) if adapter else {}
        absent = missing(order.tool, runner.adapters, environment)
        if adapter is None or absent is not None:
            return Failed(
                failure=FailureClass.TOOL_MISSING, reason=absent or f"there is no tool {order.tool}"
            )
        if isinstance(order.confinement, Loosened):
            refused = order.confinement
            return Failed(failure=FailureClass.REFUSED, reason=refused.reason, evidence=refused.hint)
        based = build_base(runner.repository, order.target, order.heads, runner.clock.now())
        if isinstance(based, BaseConflict):
            files = ", ".join(based.files)
            reason = f"the work of {based.node_id} does not merge with what is there: {files}"
            return Failed(failure=FailureClass.BASE_CONFLICT, reason=reason)
        self._based = based
        self._slot = runner.worktrees.open(order.slot_name, based.base, lane=order.lane)
        try:
            ended = self._hydrate() or self._work(adapter)
        except BaseException:
            self._save_remains(self._slot)
            raise
        if isinstance(ended, Failed):
            self._save_remains(self._slot)
            return ended
        return self._put_away(self._slot, ended)

    def _environment(self, adapter: Adapter) -> dict[str, str]:
        """Commands of the user find the user's environment; agents, and what is confined, a scrubbed one."""
        own = dict(self._order.node.env)
        if adapter.cost is CostClass.FREE and self._order.confinement is None:
            return {**inherited_environment(), **own}
        return base_environment(own)

    def _hydrate(self) -> Failed | None:
        """Install what the work needs in the slot, when the configuration says how."""
        argv = self._runner.worktrees.hydration
        if not argv or self._slot is None:
            return None
        log = self._order.log.with_suffix(".hydrate.log")
        limits = Supervision(timeout_s=self._order.node.timeout_s or DEFAULT_TIMEOUT_S)
        ended = self._supervise(argv, inherited_environment(), self._slot.path, log, limits)
        if ended.ok:
            return None
        reason = f"preparing the slot failed: {' '.join(argv)}: {_describe(ended)}"
        return Failed(failure=FailureClass.HYDRATION, reason=reason, evidence=_evidence(ended))

    def _work(self, adapter: Adapter) -> Sealed | Failed:
        """Run the tool and look at what it did."""
        order, slot = self._order, self._slot
        assert slot is not None  # noqa: S101  # carry_out opened it
        temp = make_temp_folder(order.slot_name)
        try:
            brief = self._brief(adapter, slot, temp)
            try:
                invocation = self._confine(adapter.prepare(brief), temp)
            except UserError as error:
                return Failed(failure=FailureClass.REFUSED, reason=error.message, evidence=error.hint)
            except ProgramMissing as error:
                return Failed(failure=FailureClass.TOOL_MISSING, reason=error.message, evidence=error.hint)
            limits = Supervision(
                timeout_s=brief.timeout_s,
                stops=invocation.stops,
                excerpt_bytes=_EXCERPT_BYTES,
                sandboxed=order.confinement is not None,
            )
            self._usage = charge_unseen(Usage(), order.reserved, adapter.cost)
            try:
                ended = self._supervise(invocation.argv, invocation.env, invocation.cwd, order.log, limits)
            except OrchestratorError:
                self._usage = Usage()  # the program was not started
                raise
            self._reading = adapter.read(ended.output, ended.returncode, brief)
            self._usage = charge(self._reading.usage, ended.outcome, order.reserved, adapter.cost)
        finally:
            remove_temp_folders(order.slot_name)
        failed = self._judge_exit(ended, self._reading)
        if failed is not None:
            return failed
        looked = self._audit.look(
            slot,
            self._reading,
            expects_change=adapter.expects_change,
            ignore=invocation.ignore,
            made_empty=invocation.made_empty,
        )
        return looked if order.question is None or isinstance(looked, Failed) else self._judge_answer(looked)

    def _judge_answer(self, ended: Sealed) -> Sealed | Failed:
        """What the answer comes to, where one was wanted."""
        order, runner = self._order, self._runner
        assert order.question is not None and self._based is not None and self._reading is not None  # noqa: S101, PT018  # carry_out
        if self._reading.answer is None:
            reason = f"{order.tool} gave no answer"
            return Failed(failure=FailureClass.BAD_ANSWER, reason=reason, evidence=ended.summary)
        answer = runner.redactor.redact(self._reading.answer)
        judged = order.question.judge(answer, ended, runner.repository, self._based.base)
        self._answer_facts = judged.facts
        return judged.ended

    def _brief(self, adapter: Adapter, slot: Slot, temp: Path) -> Brief:
        order, question, based = self._order, self._order.question, self._based
        prompt = order.prompt
        if question is not None and based is not None:
            prompt = question.add_to(prompt, self._runner.repository, based.base)
        return Brief(
            node=order.node,
            attempt=order.attempt,
            run_id=order.run_id,
            slot=slot.path,
            temp=temp,
            prompt=prompt,
            timeout_s=order.node.timeout_s or DEFAULT_TIMEOUT_S,
            cap=order.cap,
            session_id=order.session_id if adapter.resumes else None,
            session_usage=order.session_usage,
            environment=self._environment(adapter),
            answer_schema=question.schema if question is not None else None,
            may_read=question is not None,
        )

    def _confine(self, program: Invocation, temp: Path) -> Invocation:
        """The program as it is to be started: in a sandbox where one is asked for."""
        confinement = self._order.confinement
        if not isinstance(confinement, Confinement):
            return program
        private = make_temp_folder(self._order.slot_name)
        return self._runner.sandboxes.confine(
            program, confinement, self._order.node, temp=temp, private=private
        )

    def _supervise(
        self, argv: tuple[str, ...], env: Mapping[str, str], cwd: Path, log: Path, limits: Supervision
    ) -> Exit:
        order = self._order
        return supervise(
            argv,
            cwd=cwd,
            env=env,
            marker=f"{order.run_id}/{order.node.id}/{order.attempt}",
            log=log,
            redactor=self._runner.redactor,
            supervision=limits,
            cancel=self._cancel,
        )

    def _judge_exit(self, ended: Exit, reading: ToolReading) -> Failed | None:
        """A tool's claim of success counts only with a clean end of its process."""
        match ended.outcome:
            case ExitOutcome.NOT_FOUND:
                return Failed(failure=FailureClass.TOOL_MISSING, reason=ended.problem)
            case ExitOutcome.TIMED_OUT:
                limit = self._order.node.timeout_s or DEFAULT_TIMEOUT_S
                reason = f"{self._order.tool} did not end within {limit:g} s and was stopped"
                return Failed(failure=FailureClass.TIMED_OUT, reason=reason, evidence=_evidence(ended))
            case ExitOutcome.CANCELLED:
                return Failed(failure=FailureClass.INTERRUPTED, reason=ended.problem)
            case ExitOutcome.SIGNALLED | ExitOutcome.EXITED:
                if reading.ok and ended.outcome is ExitOutcome.EXITED:
                    return None
                failure = reading.failure or FailureClass.TOOL_FAILED
                if self._order.question is not None and reading.answer == "":
                    failure = FailureClass.BAD_ANSWER  # it came, and the tool's own look at its form failed
                reason = reading.reason or _describe(ended)
                return Failed(failure=failure, reason=reason, evidence=_evidence(ended))

    def _put_away(self, slot: Slot, sealed: Sealed) -> Sealed:
        """Give the slot back. When that fails the work is sealed all the same, and must not be done again."""
        try:
            self._runner.worktrees.release(slot)
        except (OSError, OrchestratorError) as error:
            return replace(sealed, warnings=(*sealed.warnings, f"{slot.path} could not be put away: {error}"))
        return sealed

    # --- what is left and what is told --------------------------------------------------------------------

    def _save_remains(self, slot: Slot) -> None:
        """Keep what a failed attempt had changed: as a branch, else in its slot."""
        worktrees = self._runner.worktrees
        if self._order.question is not None:  # who is asked may write nothing, so nothing of it is work
            self._dropped = self._audit.dropped(slot)
            worktrees.release(slot)
            self._slot = None
            return
        saved = self._audit.save_remains(slot)
        refused = isinstance(saved, SealRefused | SnapshotRefused)
        if refused and self._order.keep_on_failure and slot.path.exists():  # a tool may have deleted it
            worktrees.keep(slot)
            return
        if isinstance(saved, tuple):
            self._kept_commit, self._kept_branch = saved[0].commit, saved[1]
        worktrees.release(slot)
        self._slot = None

    def facts_of(self, ended: Sealed | Failed, duration_s: float) -> list[Payload]:
        """The events that tell the attempt, money first."""
        order = self._order
        facts: list[Payload] = []
        if self._based is not None:
            facts.append(
                NodeBased(
                    node_id=order.node.id,
                    attempt=order.attempt,
                    base=self._based.base,
                    tip=self._based.tip,
                    merged=self._based.merged,
                )
            )
        facts.extend(self._answer_facts)
        usage = self._usage
        if order.reserved or usage.cost or usage.tokens or usage.unknown:
            facts.append(
                BudgetSettled(
                    node_id=order.node.id,
                    attempt=order.attempt,
                    tool=order.tool,
                    action=order.node.label,
                    usage=usage,
                )
            )
        if isinstance(ended, Failed):
            facts.extend(self._failure_facts(ended, usage, duration_s))
        else:
            facts.append(self._success_fact(ended, usage, duration_s))
        return facts

    def _failure_facts(self, ended: Failed, usage: Usage, duration_s: float) -> list[Payload]:
        order = self._order
        redact = self._runner.redactor.redact
        dropped = f"\nwhat it wrote was dropped: {shown_few(self._dropped)}" if self._dropped else ""
        failed = NodeAttemptFailed(
            node_id=order.node.id,
            attempt=order.attempt,
            failure=ended.failure,
            reason=redact(ended.reason),
            evidence=redact(ended.evidence + dropped),
            branch=self._kept_branch,
            commit=self._kept_commit,
            usage=usage,
            session_id=self._reading.session_id if self._reading else None,
            slot=str(self._slot.path) if self._slot else None,
            duration_s=round(duration_s, 3),
        )
        if self._slot is None:
            return [failed]
        kept = WorktreeKept(
            node_id=order.node.id,
            attempt=order.attempt,
            path=str(self._slot.path),
            reason="the attempt failed",
        )
        return [kept, failed]

    def _success_fact(self, ended: Sealed, usage: Usage, duration_s: float) -> NodeSucceeded:
        order, taken = self._order, ended.snapshot
        return NodeSucceeded(
            node_id=order.node.id,
            attempt=order.attempt,
            summary=self._runner.redactor.redact(ended.summary),
            branch=order.lane if taken else None,
            base=self._based.base if self._based else None,
            commit=taken.commit if taken else None,
            tree=taken.tree if taken else None,
            files=tuple(
                ChangedFile(
                    path=change.path,
                    status=_LETTERS[change.status],
                    added=change.added,
                    removed=change.removed,
                    old_path=change.old_path,
                )
                for change in (taken.changes if taken else ())
            ),
            usage=usage,
            session_id=self._reading.session_id if self._reading else None,
            warnings=tuple(map(self._runner.redactor.redact, ended.warnings)),
            duration_s=round(duration_s, 3),
        )


def _describe(ended: Exit) -> str:
    if ended.outcome is ExitOutcome.SIGNALLED:
        return f"died from signal {ended.signal}"
    return ended.problem or f"exit code {ended.code}"


def _evidence(ended: Exit) -> str:
    return ended.output.decode("utf-8", "replace")[-_EVIDENCE_CHARACTERS:]
