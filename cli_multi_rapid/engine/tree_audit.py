"""The look at the tree: what an attempt really changed, held against what it may and what it must."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from cli_multi_rapid.core.claims import parse_glob, paths_outside, suggest_claim
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.core.plan import Role
from cli_multi_rapid.engine.attempt_terms import AttemptOrder, Failed, Sealed
from cli_multi_rapid.engine.commit_message import commit_message
from cli_multi_rapid.engine.ignored_work import ignored_outputs, ignored_warning, ignored_work, shown_few
from cli_multi_rapid.git import Repository
from cli_multi_rapid.ports import Clock, ToolReading
from cli_multi_rapid.redaction import Redactor
from cli_multi_rapid.worktrees import NothingChanged, SealRefused, Slot, Snapshot, SnapshotRefused, Worktrees

_MOST_PATHS = 50
"""How many paths an event names as evidence."""


class TreeAudit:
    """Judges and commits the slot of one attempt."""

    def __init__(
        self,
        order: AttemptOrder,
        repository: Repository,
        worktrees: Worktrees,
        clock: Clock,
        redactor: Redactor,
    ) -> None:
        self._order = order
        self._redactor = redactor
        self._repository = repository
        self._worktrees = worktrees
        self._clock = clock

    def look(
        self,
        slot: Slot,
        reading: ToolReading,
        *,
        expects_change: bool,
        ignore: tuple[str, ...],
        made_empty: tuple[str, ...] = (),
    ) -> Sealed | Failed:
        """Commit what changed, after holding it against claims and outputs.

        `made_empty`: files that the tool makes before it works; as long as they are empty they are no change.
        """
        order = self._order
        empty = empty_files(slot.path, made_empty)
        taken = self._snapshot(slot, (*ignore, *map(_literally, empty)), without=empty)
        if empty and isinstance(taken, Snapshot):
            taken = self._snapshot(slot, ignore)
        if order.node.role is Role.IPT:
            dropped = names_of(taken)
            warnings = (*_denials(order, reading), *_not_landed(dropped))
            return Sealed(summary=reading.summary, snapshot=None, warnings=warnings, dropped=dropped)
        if isinstance(taken, SnapshotRefused):
            where = f": {shown_few(taken.paths)}" if taken.paths else ""
            reason = f"the slot holds what cannot be committed: {taken.reason}{where}"
            return Failed(failure=FailureClass.UNSAFE_TREE, reason=reason, evidence=_listed(taken.paths))
        if isinstance(taken, NothingChanged):
            ignored = self._ignored(slot, (), ignore)
            if order.node.outputs and (absent := self._absent_outputs(slot, slot.base)):
                return _missing_outputs(absent, ignored)
            if expects_change:
                return _unchanged(order, reading, ignored_warning(ignored))
            warnings = (*_denials(order, reading), *ignored_warning(ignored))
            return Sealed(summary=reading.summary, snapshot=None, warnings=warnings)
        return self._audit(slot, taken, reading, ignore)

    def _audit(
        self, slot: Slot, taken: Snapshot, reading: ToolReading, ignore: tuple[str, ...]
    ) -> Sealed | Failed:
        """Hold the difference against the claims and the declared outputs, then make it the lane."""
        order = self._order
        warnings = _denials(order, reading)
        strangers = self._outside_claims(taken)
        if strangers:
            reason = f"changed what it did not claim: {', '.join(strangers[:5])}"
            if order.claims_rule == "fail":
                hint = f"add a claim such as {suggest_claim(strangers[0])}, or narrow the node's work"
                return Failed(failure=FailureClass.OUTSIDE_CLAIMS, reason=f"{reason}; {hint}")
            warnings = (*warnings, reason)
            if order.claims_rule == "strip":
                stripped = self._snapshot(slot, (*ignore, *map(_literally, strangers)))
                if not isinstance(stripped, Snapshot):
                    return Failed(failure=FailureClass.OUTSIDE_CLAIMS, reason=f"{reason}, and nothing else")
                if self._outside_claims(stripped):
                    return Failed(
                        failure=FailureClass.OUTSIDE_CLAIMS, reason=f"{reason}; it cannot be left out"
                    )
                taken = stripped
        ignored = self._ignored(slot, [change.path for change in taken.changes], ignore)
        if absent := self._absent_outputs(slot, taken.commit):
            return _missing_outputs(absent, ignored)
        sealed = self._worktrees.seal(slot, taken, order.lane)
        if isinstance(sealed, SealRefused):
            return Failed(failure=FailureClass.ENVIRONMENT, reason=sealed.reason)
        told = (*warnings, *ignored_warning(ignored))
        return Sealed(summary=reading.summary, snapshot=taken, warnings=told)

    def _ignored(self, slot: Slot, taken: Sequence[str], litter: tuple[str, ...]) -> tuple[str, ...]:
        return ignored_work(self._worktrees, slot, self._order.node, frozenset(taken), litter)

    def _snapshot(
        self, slot: Slot, litter: tuple[str, ...], *, without: tuple[str, ...] = ()
    ) -> Snapshot | NothingChanged | SnapshotRefused:
        order = self._order
        return self._worktrees.snapshot(
            slot,
            self._redactor.redact(
                commit_message(order.node, order.run_id, order.tool, order.attempt, order.prompt)
            ),
            when=self._clock.now(),
            declared=tuple(path for path in order.node.outputs if _is_plain(path) and path not in without),
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
        files = self._repository.list_files(commit) if globs else ()
        return absent + [glob.text for glob in globs if not any(map(glob.matches, files))]

    def dropped(self, slot: Slot) -> tuple[str, ...]:
        """What an attempt had written that may write nothing."""
        return names_of(self._snapshot(slot, ()))

    def save_remains(self, slot: Slot) -> tuple[Snapshot, Branch] | SealRefused | SnapshotRefused | None:
        """What a failed attempt had changed becomes a branch: nothing is lost. None: nothing was changed."""
        taken = self._snapshot(slot, ())
        if not isinstance(taken, Snapshot):
            return None if isinstance(taken, NothingChanged) else taken
        branch = Branch(f"{self._order.lane}@attempt-{self._order.attempt}")
        sealed = self._worktrees.seal(slot, taken, branch)
        return sealed if isinstance(sealed, SealRefused) else (taken, branch)


def empty_files(slot: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths at which an empty file lies."""
    files = ((path, slot / path) for path in paths)
    return tuple(path for path, file in files if _is_empty(file))


def _is_empty(file: Path) -> bool:
    return file.is_file() and not file.is_symlink() and file.stat().st_size == 0


def _unchanged(order: AttemptOrder, reading: ToolReading, ignored: tuple[str, ...]) -> Failed:
    """A tool that was not allowed to work will not be allowed to the next time either."""
    if not reading.denied:
        reason = "; ".join((f"{order.tool} changed nothing", *ignored))
        return Failed(failure=FailureClass.NO_CHANGE, reason=reason)
    asked = "; ".join(reading.denied[:3])
    return Failed(
        failure=FailureClass.REFUSED,
        reason=f"{order.tool} changed nothing; it was not allowed {asked}",
        evidence="\n".join(reading.denied),
    )


def _denials(order: AttemptOrder, reading: ToolReading) -> tuple[str, ...]:
    return tuple(f"{order.tool} was not allowed {denial}" for denial in reading.denied)


def names_of(taken: Snapshot | NothingChanged | SnapshotRefused) -> tuple[str, ...]:
    """The files that differ, also those that could not be committed."""
    if isinstance(taken, SnapshotRefused):
        return taken.paths
    return tuple(change.path for change in taken.changes) if isinstance(taken, Snapshot) else ()


def _not_landed(dropped: tuple[str, ...]) -> tuple[str, ...]:
    """What an `ipt` node wrote is said to be gone: it works on the merged target and lands nothing."""
    if not dropped:
        return ()
    return (f"an ipt node lands nothing; what it wrote was dropped: {shown_few(dropped)}",)


def _listed(paths: tuple[str, ...]) -> str:
    more = [f"and {len(paths) - _MOST_PATHS} more"] if len(paths) > _MOST_PATHS else []
    return "\n".join([*paths[:_MOST_PATHS], *more])


def _is_plain(path: str) -> bool:
    return not path.endswith("/") and not any(character in path for character in "*?[")


def _literally(path: str) -> str:
    """A glob that matches this very path."""
    return re.sub(r"[*?\[\\]", r"\\\g<0>", path)


def _missing_outputs(absent: list[str], ignored: tuple[str, ...]) -> Failed:
    reason = ignored_outputs(absent, ignored) or (
        f"did not write what it declares as output: {shown_few(absent)}"
    )
    return Failed(failure=FailureClass.MISSING_OUTPUT, reason=reason)
