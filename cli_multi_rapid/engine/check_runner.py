"""Carries out one check on the exact tree of a candidate, in a pooled worktree."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Branch, Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.engine.check_inputs import CheckInputs
from cli_multi_rapid.engine.temp_folders import make_temp_folder, remove_temp_folders
from cli_multi_rapid.process import supervise
from cli_multi_rapid.process_terms import CancelToken, Exit, ExitOutcome, Supervision
from cli_multi_rapid.redaction import Redactor, printable
from cli_multi_rapid.worktrees import Slot, SlotState, Worktrees

CHECK_SLOTS = "check-"
"""How the names of the checkers' slots begin."""

_EVIDENCE_CHARACTERS = 4000
_FINDING = re.compile(r"(FAILED|ERROR|error:|>> Issue|[A-Z]{1,5}[0-9]{2,5} |[^\s:]+\.[a-z]+:[0-9]+)")
"""How findings begin in the output of pytest, compilers, bandit, ruff and most linters."""
_NOT_THERE = re.compile(
    rb"No such file|not found|No module named|[Cc]an(no|')t (find|open|resolve|stat)|does not exist"
)
"""How programs say that a file is missing."""
_ADVICE = "[*]"
"""How ruff's last line begins, which says what could be fixed and not what is wrong."""


class CheckJob(Struct, frozen=True, kw_only=True):
    """A check to carry out on the tree of a commit."""

    check: CheckSpec
    commit: Commit
    tree: Tree
    key: str
    entries: tuple[EntryId, ...]
    log: Path


class CheckRunner(Struct, kw_only=True):
    """Runs checks; safe to call from several threads."""

    worktrees: Worktrees
    inputs: CheckInputs
    environment: Mapping[str, str]
    redactor: Redactor
    marker: str
    """The beginning of the marker that every checker's process carries."""

    def run(self, job: CheckJob, cancel: CancelToken) -> CheckFinished:
        """The verdict on the tree. Raises only for faults of the machine, never for what a check does.

        A check with inputs gets a checkout of those alone, so that what it reads beside them is not there.
        """
        commit = self.inputs.commit(job.tree, job.check) if job.check.inputs else job.commit
        if commit is None:
            return _nothing_to_check(job)
        # Unique beyond this runner: the verifier has one of its own beside the queue's, in the same process.
        token = token_hex(6)
        name = f"{CHECK_SLOTS}{os.getpid()}-{token}"
        slot = self.worktrees.open(name, commit)
        temp = make_temp_folder(name)
        try:
            ended = supervise(
                job.check.argv or ("sh", "-c", job.check.run or ""),
                cwd=slot.path,
                env={**self.environment, "TMPDIR": str(temp), **job.check.env},
                marker=f"{self.marker}/{job.check.id}/{token}",
                log=job.log,
                redactor=self.redactor,
                supervision=Supervision(timeout_s=job.check.timeout_s),
                cancel=cancel,
            )
            verdict, reason = self._judge(job.check, ended, slot)
        finally:
            remove_temp_folders(name)
            self.worktrees.release(slot)
        evidence = "" if verdict is Verdict.PASSED else ended.output.decode("utf-8", "replace")
        return CheckFinished(
            check=job.check.id,
            tree=job.tree,
            key=job.key,
            verdict=verdict,
            reason=reason,
            exit_code=ended.code,
            duration_s=round(ended.duration_s, 3),
            log=str(job.log),
            evidence=evidence[-_EVIDENCE_CHARACTERS:],
            entries=job.entries,
        )

    def _judge(self, check: CheckSpec, ended: Exit, slot: Slot) -> tuple[Verdict, str]:
        program = check.argv[0] if check.argv else "sh"
        match ended.outcome:
            case ExitOutcome.NOT_FOUND:
                hint = f"install {program}, or set checks.{check.id}.argv in config/orchestrator.yaml"
                return Verdict.FAILED, f"{ended.problem}; {hint}"
            case ExitOutcome.TIMED_OUT:
                return Verdict.TIMED_OUT, f"{check.id} did not end within {check.timeout_s:g} s"
            case ExitOutcome.CANCELLED:
                return Verdict.ERROR, f"{check.id} was stopped: {ended.problem}"
            case ExitOutcome.SIGNALLED:
                return Verdict.ERROR, f"{check.id} died from signal {ended.signal}"
            case ExitOutcome.EXITED:
                return self._judge_exit(check, ended, slot)

    def _judge_exit(self, check: CheckSpec, ended: Exit, slot: Slot) -> tuple[Verdict, str]:
        if ended.code != 0:
            found = f"{_finding(ended)}{_missing(check, ended)}"
            return Verdict.FAILED, f"{check.id} failed with exit code {ended.code}{found}"
        if ended.duration_s < check.min_time_s:
            quick = f"{ended.duration_s:.1f} s, less than min_time_s {check.min_time_s:g}"
            return Verdict.FAILED, f"{check.id} passed suspiciously quickly: {quick}"
        changed = self.worktrees.modified(slot)
        if changed:
            return Verdict.FAILED, f"{check.id} changed the files that it checks: {', '.join(changed[:5])}"
        return Verdict.PASSED, ""


def drop_orphaned_checks(worktrees: Worktrees) -> None:
    """Give back the slots of checkers whose process died: they hold nothing of value."""
    for info in worktrees.list():
        orphaned = info.state is SlotState.ORPHANED and info.name.startswith(CHECK_SLOTS)
        if orphaned and info.base is not None:
            remove_temp_folders(info.name)
            with suppress(FileNotFoundError):  # another process does the same at this moment
                worktrees.release(
                    Slot(path=info.path, name=info.name, base=info.base, lane=Branch(info.name))
                )


def _nothing_to_check(job: CheckJob) -> CheckFinished:
    """A check that sees nothing would pass and mean nothing."""
    check = job.check
    return CheckFinished(
        check=check.id,
        tree=job.tree,
        key=job.key,
        verdict=Verdict.FAILED,
        reason=f"{check.id} has nothing to check: its inputs {', '.join(check.inputs)} match no file; "
        f"correct checks.{check.id}.inputs, or leave them out to check the whole tree",
        entries=job.entries,
    )


def _missing(check: CheckSpec, ended: Exit) -> str:
    """What to do when a check fails because it reads what it does not declare."""
    if not check.inputs or not _NOT_THERE.search(ended.output):
        return ""
    return f" (it sees only its inputs; if it reads more, name that in checks.{check.id}.inputs)"


def _finding(ended: Exit) -> str:
    """The first line of the output that looks like a finding, else the last one that says something."""
    text = printable((ended.output_head + b"\n" + ended.output_tail).decode("utf-8", "replace"))
    lines = [line.lstrip(" =\t").rstrip(" .=\t") for line in text.splitlines()]  # `./` begins a path
    telling = [line for line in lines if line and not line.startswith(_ADVICE)]
    found = next(filter(_FINDING.match, telling), telling[-1] if telling else "")
    return f": {found[:200]}" if found else ""
