"""Merge entries for branches that people or other programs made, without any plan."""

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId
from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.engine.bases import tip_of
from cli_multi_rapid.engine.check_discovery import required_checks
from cli_multi_rapid.engine.queue_deps import resolve_deps
from cli_multi_rapid.engine.workshop import Workshop

_SHORT = 10
"""Digits of a commit id in the name of an entry."""


class QueueWish(Struct, frozen=True, kw_only=True):
    """What a person asks for: this branch onto that target."""

    branch: Branch
    target: Branch
    priority: int = 1
    checklist: tuple[CheckId, ...] | None = None
    """None: from the configuration, else what is found in the branch. Empty: nothing to check."""
    needs_approval: bool = False
    urgent: bool = False
    solo: bool = False
    depends_on: tuple[str, ...] = ()
    """Entries or branches that must land first, as a person names them."""


class Queueable(Struct, frozen=True, kw_only=True):
    """The entry to add. `replaces`: the same branch at an older commit, still waiting."""

    entry: MergeEntry
    replaces: tuple[EntryId, ...] = ()
    carried: tuple["Carried", ...] = ()
    """Those that depend on a replaced one, as entries that depend on this one."""


class Carried(Struct, frozen=True, kw_only=True):
    """An entry that takes the place of another, with nothing changed but what it depends on."""

    replaces: EntryId
    entry: MergeEntry


class WaitsAlready(Struct, frozen=True, kw_only=True):
    """The branch is in the queue at this very commit."""

    entry_id: EntryId


class OnTargetAlready(Struct, frozen=True, kw_only=True):
    """The target contains the branch: nothing is left to land."""

    commit: Commit


class _Sealed(Struct, frozen=True, kw_only=True):
    """What the wish comes to in this repository at this moment."""

    head: Commit
    base: Commit
    deps: tuple[EntryId, ...]


def entry_for(
    shop: Workshop, state: QueueState, wish: QueueWish
) -> Queueable | WaitsAlready | OnTargetAlready:
    """The entry for a branch, sealed at its present head.

    Raises `UserError` when there is no such branch or target, when they have no common history, when a check
    has no command, when it cannot depend on what it is to depend on, and when a run that goes on waits to
    land this branch itself.
    """
    repository = shop.repository
    tip, head = tip_of(repository, wish.target), _head_of(shop, wish.branch)
    if wish.branch == wish.target:
        raise UserError(f"{wish.branch} cannot land on itself", hint="name the target: --target BRANCH")
    base = repository.merge_base(tip, head)
    if base == head:
        return OnTargetAlready(commit=head)
    waiting = [state.entries[entry_id] for entry_id in state.open]
    same = [known for known in waiting if known.entry.branch == wish.branch]
    _refuse_run_entries(same)
    if base is None:
        raise UserError(
            f"{wish.branch} and {wish.target} have no common history",
            hint=f"rebase {wish.branch} onto {wish.target} first",
        )
    deps = resolve_deps(repository, state, wish.branch, wish.depends_on, tip)
    entry = _entry(shop, state, wish, _Sealed(head=head, base=base, deps=deps))
    if found := next((known for known in same if _same_wish(state, known.entry, entry)), None):
        return WaitsAlready(entry_id=found.entry.id)
    replaces = tuple(known.entry.id for known in same)
    return Queueable(entry=entry, replaces=replaces, carried=_carry(state, replaces, entry.id))


def _carry(state: QueueState, replaced: tuple[EntryId, ...], new: EntryId) -> tuple[Carried, ...]:
    """Dependents of a replaced entry would leave the queue with it: they follow the new one instead."""
    successor = dict.fromkeys(replaced, new)
    carried = []
    for entry_id in state.open:  # in order of arrival: a dependent came after what it depends on
        entry = state.entries[entry_id].entry
        if entry_id in successor or entry.run_id is not None or successor.keys().isdisjoint(entry.deps):
            continue
        fresh = replace(
            entry,
            id=_free_id(state, _id_of(entry.branch, entry.head)),
            deps=tuple(successor.get(dep, dep) for dep in entry.deps),
        )
        successor[entry_id] = fresh.id
        carried.append(Carried(replaces=entry_id, entry=fresh))
    return tuple(carried)


def _same_wish(state: QueueState, known: MergeEntry, new: MergeEntry) -> bool:
    """Whether nothing would change: another commit, or any other wish, replaces an entry."""
    awaited = tuple(dep for dep in known.deps if not state.landed(dep))
    return awaited == new.deps and all(
        getattr(known, name) == getattr(new, name)
        for name in ("head", "checks", "priority", "needs_approval", "urgent", "solo")
    )


def _entry(shop: Workshop, state: QueueState, wish: QueueWish, sealed: _Sealed) -> MergeEntry:
    repository, policies = shop.repository, shop.policies
    checklist = policies.checklist if wish.checklist is None else wish.checklist
    return MergeEntry(
        id=_free_id(state, _id_of(wish.branch, sealed.head)),
        branch=wish.branch,
        head=sealed.head,
        base=sealed.base,
        target=wish.target,
        priority=wish.priority,
        deps=sealed.deps,
        checks=required_checks(checklist, policies.checks, lambda: repository.list_files(sealed.head)),
        marker=f"refs/cli-orchestrator/landed/queue/{wish.branch}/{sealed.head[:_SHORT]}",
        label=repository.subject(sealed.head),
        needs_approval=wish.needs_approval,
        update_checkout=policies.update_checkout,
        urgent=wish.urgent,
        solo=wish.solo,
    )


def _head_of(shop: Workshop, branch: Branch) -> Commit:
    head = shop.repository.branch_tip(branch)
    if head is None:
        raise UserError(
            f"there is no branch {branch}",
            hint="only branches of this repository can land; fetch it first: "
            "git fetch REMOTE NAME && git branch NAME FETCH_HEAD",
        )
    return head


def _refuse_run_entries(same: list[EntryState]) -> None:
    """A run that waits for its own entry would never hear of another one's landing."""
    for known in same:
        if known.entry.run_id is not None:
            raise UserError(
                f"{known.entry.branch} waits in the queue already, for run {known.entry.run_id}",
                hint=f"take that entry out first: cli-orchestrator queue cancel {known.entry.id}",
            )


def _id_of(branch: Branch, head: Commit) -> str:
    return f"{branch}@{head[:_SHORT]}"


def _free_id(state: QueueState, wanted: str) -> EntryId:
    """An entry that left the queue keeps its id; the same commit queued again gets a number."""
    number, name = 1, wanted
    while EntryId(name) in state.entries:
        number += 1
        name = f"{wanted}.{number}"
    return EntryId(name)
