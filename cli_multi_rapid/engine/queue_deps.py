"""What `--depends-on NAME` means: an entry that must land first, or what is on the target already."""

from collections.abc import Iterable, Iterator

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, Commit, EntryId
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.git import Repository, is_branch
from cli_multi_rapid.reports import commands
from cli_multi_rapid.schema.names import did_you_mean


def resolve_deps(
    repository: Repository, state: QueueState, branch: Branch, names: Iterable[str], tip: Commit
) -> tuple[EntryId, ...]:
    """The waiting entries that `branch` depends on; what has landed already is left out.

    A name is an entry's id, the branch of an entry, the beginning of an id, or a branch that the target
    contains. Raises `UserError` for the branch itself, for what is unknown or out of the queue, and when a
    named entry waits for this very branch.
    """
    found = (_resolve(repository, state, branch, name, tip) for name in names)
    deps = tuple(dict.fromkeys(entry_id for entry_id in found if entry_id is not None))
    for dep in deps:
        if any(state.entries[need].entry.branch == branch for need in _needs(state, dep)):
            raise UserError(
                f"{dep} waits for {branch} already, so {branch} cannot wait for it",
                hint=f"see what it waits for: {commands.queue_why(dep)}",
            )
    return deps


def _resolve(
    repository: Repository, state: QueueState, branch: Branch, name: str, tip: Commit
) -> EntryId | None:
    known = _entry_called(state, name)
    if name == branch or (known is not None and known.entry.branch == branch):
        raise UserError(
            f"{branch} cannot depend on itself", hint="name another branch or entry after --depends-on"
        )
    if known is not None and known.open:
        return known.entry.id
    if known is not None and state.landed(known.entry.id):
        return None
    head = repository.branch_tip(Branch(name)) if is_branch(name) else None
    if head is not None and repository.is_ancestor(head, tip):
        return None
    if known is not None:
        raise UserError(
            f"{known.entry.id} has left the queue: {known.status}",
            hint=f"put it right and queue it first: {commands.queue_add(known.entry.branch, state.target)}",
        )
    if head is not None:
        raise UserError(
            f"{name} neither waits for {state.target} nor has it landed there",
            hint=f"queue it first: {commands.queue_add(Branch(name), state.target)}",
        )
    waiting = [state.entries[entry_id].entry for entry_id in state.open]
    names = [word for entry in waiting for word in (entry.branch, entry.id)]
    raise UserError(
        f"nothing that {branch} could depend on is called {name}",
        hint=did_you_mean(name, names) or "list what waits: cli-orchestrator queue list",
    )


def _entry_called(state: QueueState, name: str) -> EntryState | None:
    """By id; else the newest of a branch, one that waits before others; else by the beginning of an id."""
    if EntryId(name) in state.entries:
        return state.entries[EntryId(name)]
    entries = list(state.entries.values())
    of_branch = [known for known in entries if known.entry.branch == name]
    if of_branch:
        return max(of_branch, key=lambda known: (known.open, known.place))
    begun = [known for known in entries if known.open and known.entry.id.startswith(name)]
    if len(begun) > 1:
        ids = ", ".join(known.entry.id for known in begun[:5])
        raise UserError(f"{name} may mean {ids}", hint="type more of it")
    return begun[0] if begun else None


def _needs(state: QueueState, entry_id: EntryId) -> Iterator[EntryId]:
    """The waiting entries that one waits for, and those that they wait for."""
    seen: set[EntryId] = set()
    path = [entry_id]
    while path:
        for need in state.entries[path.pop()].needs:
            if need in state.open and need not in seen:
                seen.add(need)
                path.append(need)
                yield need
