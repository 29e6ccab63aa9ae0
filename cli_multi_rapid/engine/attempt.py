"""One attempt of a node, from its base to its sealed lane. Runs in a worker and touches no state."""

import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cli_multi_rapid.core.claims import parse_glob, paths_outside, suggest_claim
from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.core.facts import ChangedFile, FailureClass, Payload, Usage
from cli_multi_rapid.core.ids import Branch, Commit, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeBased, NodeSucceeded, WorktreeKept
from cli_multi_rapid.core.plan import Node, Role
from cli_multi_rapid.core.run_events import BudgetSettled
from cli_multi_rapid.engine.bases import BaseConflict, Based, SealedHead, build_base
from cli_multi_rapid.engine.commit_message import commit_message
from cli_multi_rapid.git import Repository
from cli_multi_rapid.ports import Adapter, Brief, Clock, CostClass, ToolReading
from cli_multi_rapid.process import supervise
from cli_multi_rapid.process_environment import base_environment, inherited_environment
from cli_multi_rapid.process_terms import CancelToken, Exit, ExitOutcome, Supervision
from cli_multi_rapid.redaction import Redactor
from cli_multi_rapid.worktrees import NothingChanged, SealRefused, Slot, Snapshot, SnapshotRefused, Worktrees

DEFAULT_TIMEOUT_S = 1800.0
"""How long an attempt may take when its node says nothing: no tool ends by itself on a silent server."""

VERIFY = ToolName("verify")
"""The tool of nodes that the built-in verifier carries out."""

_EVIDENCE_CHARACTERS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOrder:
    """All that a worker needs for one attempt."""

    run_id: RunId
    node: Node
    attempt: int
    tool: ToolName
    target: Branch
    lane: Branch
    heads: tuple[SealedHead, ...]
    prompt: str
    log: Path
    slot_name: str
    cap: MicroUsd | None
    reserved: MicroUsd
    session_id: str | None
    keep_on_failure: bool
    claims_rule: str
    """What happens to a change outside the claims: `fail`, `warn` or `strip`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why an attempt ended without usable work."""

    failure: FailureClass
    reason: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What an attempt achieved. Without a snapshot there was nothing to change."""

    summary: str
    snapshot: Snapshot | None
    warnings: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class AttemptRunner:
    """Carries out attempts; safe to call from several threads."""

    repository: Repository
    worktrees: Worktrees
    adapters: Mapping[ToolName, Adapter]
    redactor: Redactor
    clock: Clock
    verifier: "Verify"

    def run(self, order: AttemptOrder, cancel: CancelToken) -> tuple[Payload, ...]:
        """The facts of the attempt, in the order to record them. Never raises: a fault is a fact too."""
        began = time.monotonic()
        work = _Attempt(self, order, cancel)
        try:
            if order.tool == VERIFY:
                return self.verifier.run(order, cancel)
            ended: Sealed | Failed = work.carry_out()
        except OrchestratorError as error:
            ended = Failed(failure=FailureClass.ENVIRONMENT, reason=error.message, evidence=error.hint)
        except Exception as error:  # noqa: BLE001  # a worker's bug must not take the night's run with it
            reason = f"internal error: {type(error).__name__}: {error}"
            ended = Failed(failure=FailureClass.ENVIRONMENT, reason=reason, evidence=traceback.format_exc())
        return tuple(work.facts_of(ended, time.monotonic() - began))


class Verify(Protocol):
    """The built-in verifier, which needs no slot of its own."""

    def run(self, order: AttemptOrder, cancel: CancelToken) -> tuple[Payload, ...]:
        """The facts of the attempt."""


class _Attempt:
    """The state of one attempt while it is being carried out."""

    def __init__(self, runner: AttemptRunner, order: AttemptOrder, cancel: CancelToken) -> None:
        self._runner = runner
        self._order = order
        self._cancel = cancel
        self._slot: Slot | None = None
        self._based: Based | None = None
        self._reading: ToolReading | None = None
        self._kept_branch: Branch | None = None
        self._kept_commit: Commit | None = None

    # --- the way through an attempt -----------------------------------------------------------------------

    def carry_out(self) -> Sealed | Failed:
        """Base, slot, tool, look at the tree, lane. The slot is given back or kept in every case."""
        order, runner = self._order, self._runner
        adapter = runner.adapters.get(order.tool)
        if adapter is None:
            return Failed(failure=FailureClass.TOOL_MISSING, reason=f"no tool is called {order.tool}")
        missing = adapter.missing(self._environment(adapter))
        if missing is not None:
            return Failed(failure=FailureClass.TOOL_MISSING, reason=missing)
        based = build_base(runner.repository, order.target, order.heads, runner.clock.now())
        if isinstance(based, BaseConflict):
            files = ", ".join(based.files)
            reason = f"the work of {based.node_id} does not merge with what is there: {files}"
            return Failed(failure=FailureClass.BASE_CONFLICT, reason=reason)
        self._based = based
        self._slot = runner.worktrees.open(order.slot_name, based.base, lane=order.lane)
        ended = self._hydrate() or self._work(adapter)
        if isinstance(ended, Failed):
            self._save_remains(self._slot)
        else:
            runner.worktrees.release(self._slot)
        return ended

    def _environment(self, adapter: Adapter) -> dict[str, str]:
        """Commands of the user find the user's environment, agents a scrubbed one."""
        own = dict(self._order.node.env)
        if adapter.cost is CostClass.FREE:
            return {**inherited_environment(), **own}
        return base_environment(own)

    def _hydrate(self) -> Failed | None:
        """Install what the work needs in the slot, when the configuration says how."""
        argv = self._runner.worktrees.hydration
        if not argv or self._slot is None:
            return None
        log = self._order.log.with_suffix(".hydrate.log")
        ended = self._supervise(argv, inherited_environment(), self._slot.path, log)
        if ended.ok:
            return None
        reason = f"preparing the slot failed: {' '.join(argv)}: {_describe(ended)}"
        return Failed(failure=FailureClass.HYDRATION, reason=reason, evidence=_evidence(ended))

    def _work(self, adapter: Adapter) -> Sealed | Failed:
        """Run the tool and look at what it did."""
        order, slot = self._order, self._slot
        assert slot is not None  # noqa: S101  # carry_out opened it
        temp = Path(tempfile.mkdtemp(prefix="cli-orchestrator-"))
        try:
            brief = self._brief(adapter, slot, temp)
            invocation = adapter.prepare(brief)
            ended = self._supervise(invocation.argv, invocation.env, invocation.cwd, order.log)
            self._reading = adapter.read(ended.output, ended.code, brief)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
        failed = self._judge_exit(ended, self._reading)
        return failed or self._look_at_tree(adapter, slot, self._reading, invocation.ignore)

    def _brief(self, adapter: Adapter, slot: Slot, temp: Path) -> Brief:
        order = self._order
        return Brief(
            node=order.node,
            attempt=order.attempt,
            run_id=order.run_id,
            slot=slot.path,
            temp=temp,
            prompt=order.prompt,
            timeout_s=order.node.timeout_s or DEFAULT_TIMEOUT_S,
            cap=order.cap,
            session_id=order.session_id,
            environment=self._environment(adapter),
        )

    def _supervise(self, argv: tuple[str, ...], env: Mapping[str, str], cwd: Path, log: Path) -> Exit:
        order = self._order
        return supervise(
            argv,
            cwd=cwd,
            env=env,
            marker=f"{order.run_id}/{order.node.id}/{order.attempt}",
            log=log,
            redactor=self._runner.redactor,
            supervision=Supervision(timeout_s=order.node.timeout_s or DEFAULT_TIMEOUT_S),
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
                if reading.ok and ended.ok:
                    return None
                failure = reading.failure or FailureClass.TOOL_FAILED
                reason = reading.reason or _describe(ended)
                return Failed(failure=failure, reason=reason, evidence=_evidence(ended))

    # --- the look at the tree -----------------------------------------------------------------------------

    def _look_at_tree(
        self, adapter: Adapter, slot: Slot, reading: ToolReading, ignore: tuple[str, ...]
    ) -> Sealed | Failed:
        """Commit what changed, after holding it against claims and outputs."""
        order = self._order
        if order.node.role is Role.IPT:
            return Sealed(summary=reading.summary, snapshot=None)
        taken = self._snapshot(slot, ignore)
        if isinstance(taken, SnapshotRefused):
            reason = f"the slot holds what cannot be committed: {taken.reason}"
            return Failed(failure=FailureClass.UNSAFE_TREE, reason=reason, evidence="\n".join(taken.paths))
        if isinstance(taken, NothingChanged):
            if order.node.outputs and (absent := self._absent_outputs(slot, slot.base)):
                return Failed(failure=FailureClass.MISSING_OUTPUT, reason=_absent(absent))
            if adapter.expects_change:
                return Failed(failure=FailureClass.NO_CHANGE, reason=f"{order.tool} changed nothing")
            return Sealed(summary=reading.summary, snapshot=None)
        return self._audit(slot, taken, reading)

    def _audit(self, slot: Slot, taken: Snapshot, reading: ToolReading) -> Sealed | Failed:
        """Hold the difference against the claims and the declared outputs, then make it the lane."""
        order = self._order
        warnings: tuple[str, ...] = ()
        strangers = self._outside_claims(taken)
        if strangers:
            reason = f"changed what it did not claim: {', '.join(strangers[:5])}"
            if order.claims_rule == "fail":
                hint = f"add a claim such as {suggest_claim(strangers[0])}, or narrow the node's work"
                return Failed(failure=FailureClass.OUTSIDE_CLAIMS, reason=f"{reason}; {hint}")
            warnings = (reason,)
            if order.claims_rule == "strip":
                stripped = self._snapshot(slot, tuple(_literally(path) for path in strangers))
                if not isinstance(stripped, Snapshot):
                    return Failed(failure=FailureClass.OUTSIDE_CLAIMS, reason=f"{reason}, and nothing else")
                taken = stripped
        if absent := self._absent_outputs(slot, taken.commit):
            return Failed(failure=FailureClass.MISSING_OUTPUT, reason=_absent(absent))
        sealed = self._runner.worktrees.seal(slot, taken, order.lane)
        if isinstance(sealed, SealRefused):
            return Failed(failure=FailureClass.ENVIRONMENT, reason=sealed.reason)
        return Sealed(summary=reading.summary, snapshot=taken, warnings=warnings)

    def _snapshot(self, slot: Slot, litter: tuple[str, ...]) -> Snapshot | NothingChanged | SnapshotRefused:
        order = self._order
        return self._runner.worktrees.snapshot(
            slot,
            commit_message(order.node, order.run_id, order.tool, order.attempt, order.prompt),
            when=self._runner.clock.now(),
            declared=tuple(path for path in order.node.outputs if _is_plain(path)),
            litter=litter,
        )

    def _outside_claims(self, taken: Snapshot) -> list[str]:
        """Every changed path, under its old and its new name, that no claim of the node covers."""
        node = self._order.node
        if not node.path_claims:
            return []
        names = {name for change in taken.changes for name in change.names}
        return paths_outside(sorted(names), node.path_claims)

    def _absent_outputs(self, slot: Slot, commit: Commit) -> list[str]:
        """The declared outputs that are not there; an output with wildcards needs one file that matches."""
        outputs = self._order.node.outputs
        absent = [path for path in outputs if _is_plain(path) and not os.path.lexists(slot.path / path)]
        globs = [parse_glob(path) for path in outputs if not _is_plain(path)]
        files = self._runner.repository.list_files(commit) if globs else ()
        return absent + [glob.text for glob in globs if not any(map(glob.matches, files))]

    # --- what is left and what is told --------------------------------------------------------------------

    def _save_remains(self, slot: Slot) -> None:
        """Nothing is lost: a failed attempt's changes become a branch, and its slot may stay."""
        order, worktrees = self._order, self._runner.worktrees
        taken = self._snapshot(slot, ())
        saved = not isinstance(taken, SnapshotRefused)
        if isinstance(taken, Snapshot):
            branch = Branch(f"{order.lane}.attempt-{order.attempt}")
            saved = not isinstance(worktrees.seal(slot, taken, branch), SealRefused)
            if saved:
                self._kept_branch, self._kept_commit = branch, taken.commit
        if order.keep_on_failure and not saved:
            worktrees.keep(slot)
        else:
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
        usage = self._reading.usage if self._reading else Usage()
        if order.reserved or usage.cost or usage.tokens:
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
        failed = NodeAttemptFailed(
            node_id=order.node.id,
            attempt=order.attempt,
            failure=ended.failure,
            reason=redact(ended.reason),
            evidence=redact(ended.evidence),
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
                    status=change.status.value,
                    added=change.added,
                    removed=change.removed,
                    old_path=change.old_path,
                )
                for change in (taken.changes if taken else ())
            ),
            usage=usage,
            session_id=self._reading.session_id if self._reading else None,
            warnings=ended.warnings,
            duration_s=round(duration_s, 3),
        )


def _is_plain(path: str) -> bool:
    return not path.endswith("/") and not any(character in path for character in "*?[")


def _literally(path: str) -> str:
    """A glob that matches this very path."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)


def _absent(paths: list[str]) -> str:
    return f"did not write what it declares as output: {', '.join(paths[:5])}"


def _describe(ended: Exit) -> str:
    if ended.outcome is ExitOutcome.SIGNALLED:
        return f"died from signal {ended.signal}"
    return ended.problem or f"exit code {ended.code}"


def _evidence(ended: Exit) -> str:
    return ended.output.decode("utf-8", "replace")[-_EVIDENCE_CHARACTERS:]
