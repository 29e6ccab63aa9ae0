"""Slots: a folder per attempt in which an agent works, opened in milliseconds and never trusted afterwards.

A slot is filled, swept and committed with our own git dir, index and settings; the `.git` in it is the
agent's alone and is made anew for every attempt. A released slot goes to the pool, where the next attempt
only writes the files that differ; or to the trash, from where it is deleted when nobody waits.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from msgspec.structs import replace

from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git import CheckedOut, RefChange, RefsRefused, Repository
from cli_multi_rapid.git_agent import (
    forget_linked,
    has_commits_of_its_own,
    make_isolated,
    make_linked,
    move_linked,
)
from cli_multi_rapid.git_ignored import ignored_files
from cli_multi_rapid.git_lock import Presence, forget_absent, is_present, locked
from cli_multi_rapid.git_names import branch_ref, is_inside
from cli_multi_rapid.git_objects import Identity
from cli_multi_rapid.git_slot import (
    SlotFiles,
    StagingRefused,
    fill,
    freeze_gitlinks,
    modified,
    scratch_index,
    stage,
    sweep,
    without,
)
from cli_multi_rapid.git_snapshot import (
    NothingChanged,
    Snapshot,
    SnapshotOrder,
    SnapshotRefused,
    take_snapshot,
)
from cli_multi_rapid.worktree_pool import Pool
from cli_multi_rapid.worktree_records import SlotRecord, SlotRecords
from cli_multi_rapid.worktree_slots import (
    SLOT_NAME,
    Cleaned,
    Sealed,
    SealRefused,
    Slot,
    SlotInfo,
    SlotState,
    Strategy,
    slot_name,
)
from cli_multi_rapid.worktree_trash import Trash

__all__ = [
    "Cleaned",
    "NothingChanged",
    "SealRefused",
    "Sealed",
    "Slot",
    "SlotInfo",
    "SlotState",
    "Snapshot",
    "SnapshotRefused",
    "Strategy",
    "Worktrees",
    "slot_name",
]


class Worktrees:
    """All slots of one repository below one folder; safe to use from several threads and processes."""

    def __init__(
        self,
        repository: Repository,
        folder: Path,
        *,
        strategy: Strategy = Strategy.ISOLATED,
        pool_size: int = 8,
        hydrate: Sequence[str] | None = None,
        links: Sequence[str] = (),
    ) -> None:
        """Raises `UserError` when a link is not a path inside the repository."""
        for link in links:
            if not is_inside(link):
                raise UserError(f"worktrees.links: {link!r} is not a path inside the repository")
        self.folder = folder
        self.hydration = tuple(hydrate or ())
        """What the engine runs in a slot before the tool; empty for nothing."""
        self.strategy = Strategy.LINKED if repository.is_partial_clone() else strategy
        self._repository = repository
        self._git = repository.plumbing
        self._links = tuple(links)
        self._trash = Trash(folder.parent / "trash")
        self._presence = Presence(repository.scratch / "owners" / f"{os.getpid()}-{token_hex(4)}")
        self._records = SlotRecords(repository.scratch / "slots", self._presence.path)
        self._pool = Pool(folder / ".pool", repository.scratch / "pool", self._trash, pool_size)

    def close(self) -> None:
        """Say that this process is done with its slots; those still open count as orphaned."""
        self._presence.leave()
        self._trash.close()

    def forget_the_dead(self) -> None:
        """Remove what the dead left half done, and their proofs of life; their slots count as orphaned."""
        self._records.forget_unfinished()
        self._pool.forget_halves()
        forget_absent(self._presence.path.parent)

    # --- open ---

    def open(self, name: str, base: Commit, *, lane: Branch | None = None) -> Slot:
        """Make a slot that shows `base`, with HEAD on `lane` (isolated) or detached (linked).

        A slot of the same name that a dead process left behind is moved aside and kept. Raises
        `EnvironmentFault` when the name is in use or when git cannot fill the folder.
        """
        if SLOT_NAME.fullmatch(name) is None:
            raise UserError(f"{name!r} cannot be the name of a slot")
        self._make_room(name)
        record = SlotRecord(
            name=name,
            base=base,
            lane=lane or Branch(name),
            owner=str(self._presence.path),
            opened=time.time(),
        )
        self._records.save(record)
        try:
            return self._build(record)
        except EnvironmentFault:
            self._discard(name, self._records.load(name))
            raise

    def _build(self, record: SlotRecord) -> Slot:
        files, base = self._files(record.name), record.base
        if self.strategy is Strategy.LINKED:
            with self._worktree_lock():
                private_dir = make_linked(self._git, files.work_tree, base)
                record = self._records.save(replace(record, linked=str(private_dir)))
            fill(self._git, files, base)
        elif not self._pool.take(files, lambda used: self._prepare(used, base)):
            files.work_tree.mkdir()
            fill(self._git, files, base)
        record = replace(record, gitlinks=freeze_gitlinks(self._git, files))
        self._give_git(record, files)
        linked, missing = self._place_links(files.work_tree)
        self._records.save(replace(record, links=linked, ready=True))
        return Slot(
            path=files.work_tree, name=record.name, base=base, lane=record.lane, missing_links=missing
        )

    def _make_room(self, name: str) -> None:
        record = self._records.load(name)
        path = self.folder / name
        if record is None or not record.ready:
            if record is not None and self._is_owned(record):
                raise EnvironmentFault(f"the slot {name} is being opened by another process")
            self._discard(name, record)
        elif self._is_owned(record):
            raise EnvironmentFault(f"the slot {name} is in use", hint="each attempt needs a name of its own")
        elif path.exists():
            self._rename(replace(record, kept=True), f"{name[:100]}.old-{token_hex(4)}")
        else:
            self._discard(name, record)

    def _rename(self, record: SlotRecord, name: str) -> None:
        (self.folder / record.name).rename(self.folder / name)
        if record.linked:
            move_linked(Path(record.linked), self.folder / name)
        self._records.rename(record, name)

    def _prepare(self, files: SlotFiles, base: Commit) -> bool:
        """Make a used folder show `base` and nothing else."""
        fill(self._git, files, base)
        return sweep(self._git, files)

    def _give_git(self, record: SlotRecord, files: SlotFiles) -> None:
        if record.linked is None:
            make_isolated(self._repository.origin(), files.work_tree, record.lane, record.base, files.index)
        else:
            shutil.copy2(files.index, Path(record.linked) / "index")

    def _place_links(self, slot: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Bring the configured links; which are there now, and which the person does not have.

        A file is copied: an agent that writes to it must not write to the person's. A folder (`node_modules`)
        is a symlink. What the commit itself brings is left alone.
        """
        missing = tuple(link for link in self._links if not (self._repository.root / link).exists())
        wanted = [link for link in self._links if link not in missing and not os.path.lexists(slot / link)]
        for link in wanted:
            source = self._repository.root / link
            (slot / link).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                (slot / link).symlink_to(source, target_is_directory=True)
            else:
                shutil.copy2(source, slot / link)
        return tuple(wanted), missing

    # --- snapshot and seal ---

    def snapshot(
        self,
        slot: Slot,
        message: str,
        *,
        when: datetime,
        author: Identity | None = None,
        declared: Sequence[str] = (),
        litter: Sequence[str] = (),
    ) -> Snapshot | NothingChanged | SnapshotRefused:
        """Commit what the slot shows on its base, as the person unless somebody else is named.

        `declared` are exact paths of outputs, taken even when ignored; `litter` are globs never taken.
        """
        record = self._records.load(slot.name)
        if record is None:
            return SnapshotRefused(reason=f"the slot {slot.name} is not known")
        if not record.ready:
            return NothingChanged()  # its process died while it made the slot: nobody has worked in it
        order = SnapshotOrder(
            files=self._files(slot.name),
            base=slot.base,
            message=message,
            author=author or self._repository.identity(),
            when=when,
            gitlinks=record.gitlinks,
            left_out=record.links,
            litter=litter,
            declared=declared,
            ignores_case=self._repository.ignores_case(),
        )
        outcome = take_snapshot(self._git, order)
        if isinstance(outcome, Snapshot):
            self._repository.learn_tree(outcome.commit, outcome.tree)
        return outcome

    def modified(self, slot: Slot) -> tuple[str, ...]:
        """The tracked files that differ from the slot's base; caches and other new files do not count."""
        return modified(self._git, self._files(slot.name))

    def ignored(self, slot: Slot, below: Sequence[str], litter: Sequence[str] = ()) -> tuple[str, ...]:
        """The files at or below these paths that git ignores, beside our links and a tool's litter."""
        record = self._records.load(slot.name)
        excluded = without(record.links if record else (), litter)
        return ignored_files(self._git, self._files(slot.name), below, excluded)

    def seal(
        self, slot: Slot, snapshot: Snapshot, lane: Branch, *, replacing: Commit | None = None
    ) -> Sealed | SealRefused:
        """Make the lane point at the snapshot. `replacing` is where an earlier attempt left it.

        A lane that is there already is fine when it is at this snapshot, and refused with any other commit.
        """
        if replacing is not None and isinstance(where := self._repository.checkout_of(lane), CheckedOut):
            return SealRefused(reason=f"the branch {lane} is checked out in {where.path}")
        change = RefChange(ref=branch_ref(lane), old=replacing, new=snapshot.commit)
        done = self._repository.update_refs([change], reason="cli-orchestrator: seal")
        if isinstance(done, RefsRefused) and self._repository.branch_tip(lane) != snapshot.commit:
            return SealRefused(reason=f"the branch {lane} cannot be made: {done.reason}")
        if record := self._records.load(slot.name):
            self._records.save(replace(record, sealed=snapshot.commit))
        return Sealed(commit=snapshot.commit)

    # --- give back ---

    def release(self, slot: Slot, *, keep: bool = False) -> None:
        """The attempt is over: keep the folder for a person, or reuse or delete it. Safe to call twice."""
        record = self._records.load(slot.name)
        if keep:
            self.keep(slot)
        elif record is None or not self._to_pool(record):
            self._discard(slot.name, record)

    def keep(self, slot: Slot) -> None:
        """Leave the folder as it is until somebody cleans up."""
        if record := self._records.load(slot.name):
            self._records.save(replace(record, kept=True))

    def _to_pool(self, record: SlotRecord) -> bool:
        fits = record.ready and record.linked is None and not record.gitlinks
        if not fits or not self._pool.put(self._files(record.name)):
            return False
        self._records.forget(record.name)
        return True

    def _discard(self, name: str, record: SlotRecord | None) -> None:
        self._trash.throw(self.folder / name)
        if record is not None and record.linked:
            with self._worktree_lock():
                forget_linked(Path(record.linked))
        self._records.forget(name)

    # --- look and clean up ---

    def list(self) -> tuple[SlotInfo, ...]:
        """Every slot and every pooled folder."""
        now = time.time()
        known = [
            SlotInfo(
                name=record.name,
                path=self.folder / record.name,
                base=record.base,
                age_s=max(0.0, now - record.opened),
                state=self._state(record),
            )
            for record in self._records.all()
        ]
        pooled = [
            SlotInfo(
                name=path.name,
                path=path,
                base=None,
                age_s=max(0.0, now - _modified(path)),
                state=SlotState.POOLED,
            )
            for path in self._pool.folders()
        ]
        return (*known, *pooled)

    def unsaved(self, name: str) -> str:
        """Why removing a slot would lose work; empty when its lane or its base has everything."""
        record, files = self._records.load(name), self._files(name)
        if record is None or not record.ready or not files.is_there():
            return ""
        with scratch_index(files) as index:
            staged = stage(self._git, files, index, record.gitlinks, without(record.links))
        if isinstance(staged, StagingRefused):
            return f"holds files that git cannot take: {staged.reason}"
        if staged.tree != self._repository.tree_of(record.sealed or record.base):
            return "holds changes that no branch has"
        if (
            record.linked is None
            and record.sealed is None
            and has_commits_of_its_own(files.work_tree, record.base)
        ):
            return "holds commits of its own"
        return ""

    def clean(self, *, force: bool = False, users: Mapping[str, str] | None = None) -> Cleaned:
        """Remove kept, orphaned and pooled slots, but work that no branch has only by `force`.

        `users`: slots that stay whatever happens, each with the reason: somebody still writes into them.
        """
        removed: list[str] = []
        kept: list[tuple[str, str]] = []
        for record in list(self._records.all()):
            reason = (
                "in use" if self._state(record) is SlotState.ACTIVE else (users or {}).get(record.name, "")
            )
            if not reason and not force:
                reason = self.unsaved(record.name)
            if reason:
                kept.append((record.name, reason))
            else:
                self._discard(record.name, record)
                removed.append(record.name)
        return Cleaned(removed=(*removed, *self._pool.drain()), kept=tuple(kept))

    def empty_trash(self) -> int:
        """Delete what was thrown away, now; the number of things deleted."""
        return self._trash.empty()

    def _state(self, record: SlotRecord) -> SlotState:
        if record.kept:
            return SlotState.KEPT
        return SlotState.ACTIVE if self._is_owned(record) else SlotState.ORPHANED

    def _is_owned(self, record: SlotRecord) -> bool:
        return not record.kept and is_present(Path(record.owner))

    def _files(self, name: str) -> SlotFiles:
        return SlotFiles(work_tree=self.folder / name, index=self._records.index_of(name))

    def _worktree_lock(self) -> AbstractContextManager[None]:
        return locked(self._repository.scratch / "worktrees.lock")


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
