"""Moves the target to a verified candidate, with the evidence in the log before and after."""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.core.merge_events import MergeEntry, MergeHeld, MergeLanded, MergeLanding, MergeMissed
from cli_multi_rapid.core.queue_intents import Land
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.engine.candidates import train
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.remote_target import of_remote_trouble
from cli_multi_rapid.git import (
    AlreadyLanded,
    Landed,
    LandedThereOnly,
    LandingRefused,
    LandingRequest,
    OutOfStep,
    PushedLandingOutcome,
    RemoteRefused,
    Repository,
    TargetMoved,
    land_and_push,
)
from cli_multi_rapid.reports import commands


def land(
    journal: Journal[QueueState],
    repository: Repository,
    target: Branch,
    intent: Land,
    now: datetime,
    *,
    remote: str | None = None,
) -> None:
    """Append `merge.landing`, move the refs (a remote's first), append what came of it.

    A candidate whose beginning has landed meanwhile gets a commit on the new tip, with the verified tree.
    """
    trial = intent.trial
    entries = [journal.state.entries[entry_id].entry for entry_id in trial.entries]
    fresh = trial.built_on == trial.tip
    commit = trial.commit if fresh else train(repository, trial.tip, trial.tree, entries, now)
    landing = MergeLanding(
        entries=trial.entries,
        expected=trial.tip,
        commit=commit,
        tree=trial.tree,
        markers=tuple(entry.marker for entry in entries),
        verdicts=intent.verdicts,
        remote=remote,
    )
    journal.record(landing)
    finish_landing(journal, repository, target, landing, recovered=False)


def finish_landing(
    journal: Journal[QueueState],
    repository: Repository,
    target: Branch,
    landing: MergeLanding,
    *,
    recovered: bool,
) -> None:
    """Move the refs of a recorded landing, or find that they were moved, and record the end.

    Safe to call again after a crash at any point: the refs tell what happened.
    """
    entries = [journal.state.entries[entry_id].entry for entry_id in landing.entries]
    assert_as_verified(repository, landing, entries)
    request = LandingRequest(
        target=target,
        expected=landing.expected,
        new=landing.commit,
        markers=landing.markers,
        update_checkout=all(entry.update_checkout for entry in entries),
    )
    if landing.remote is None:
        outcome: PushedLandingOutcome = repository.land(request)
    else:
        outcome = land_and_push(repository.remote(landing.remote), request, look_first=recovered)
    match outcome:
        case Landed():
            journal.record(
                MergeLanded(
                    entries=landing.entries,
                    commit=landing.commit,
                    tree=landing.tree,
                    recovered=recovered,
                    remote=landing.remote,
                )
            )
        case TargetMoved() as moved:
            reason = f"{target} moved to {moved.actual} meanwhile"
            journal.record(MergeMissed(entries=landing.entries, reason=reason))
        case LandingRefused() as refused:
            journal.record(*_held(journal.state, repository, landing, refused))
        case AlreadyLanded() as already:
            _record_already_landed(journal, repository, landing, already)
        case RemoteRefused() | LandedThereOnly() | OutOfStep() as trouble:
            journal.record(*of_remote_trouble(landing, target, trouble))


def assert_as_verified(repository: Repository, landing: MergeLanding, entries: Sequence[MergeEntry]) -> None:
    """The last look before the refs move: the commit has the verified tree and joins the tip with every head.

    Raises `InternalError` when it does not: then nothing moves.
    """
    facts = repository.commit_facts(landing.commit)
    joined = dict.fromkeys((landing.expected, *(entry.head for entry in entries)))
    if facts.tree != landing.tree:
        raise InternalError(f"{landing.commit} has tree {facts.tree}, but {landing.tree} was verified")
    if tuple(dict.fromkeys(facts.parents)) != tuple(joined):
        raise InternalError(
            f"{landing.commit} does not join {landing.expected} with the heads of its entries"
        )


def _held(
    state: QueueState, repository: Repository, landing: MergeLanding, refused: LandingRefused
) -> list[Payload]:
    """Hold a landing that the person's checkout does not admit; members that touch nothing there go on."""
    again = commands.queue_process(state.target, push=landing.remote) if landing.remote else ""
    if not refused.files:
        command = f"{refused.command} && {again}" if again else refused.command
        return [
            MergeHeld(entries=landing.entries, commit=landing.commit, reason=refused.reason, command=command)
        ]
    touching = tuple(
        entry_id
        for entry_id in landing.entries
        if _touches(repository, state.entries[entry_id].entry, refused.files)
    )
    in_the_way = touching or landing.entries
    run_id = state.entries[in_the_way[0]].entry.run_id
    names = ", ".join(refused.files[:5])
    resume = f"cli-orchestrator resume {run_id}" if run_id else "cli-orchestrator queue process"
    held = MergeHeld(
        entries=in_the_way,
        commit=landing.commit,
        reason=f"your own version of {names} is in the way: commit it, stash it or move it away",
        command=again or resume,
    )
    others = tuple(entry_id for entry_id in landing.entries if entry_id not in in_the_way)
    parted = MergeMissed(entries=others, reason="parted from work that a file in the checkout holds up")
    return [held, parted] if others else [held]


def _touches(repository: Repository, entry: MergeEntry, files: Sequence[str]) -> bool:
    """Whether an entry's own difference concerns one of these files, or a folder of that name."""
    names = {name for change in repository.changes(entry.base, entry.head) for name in change.names}
    return any(name == file or name.startswith(f"{file.rstrip('/')}/") for name in names for file in files)


def finish_held_landing(
    journal: Journal[QueueState], repository: Repository, target: Branch, landing: MergeLanding
) -> None:
    """Record a landing that a person has finished with the command they were told, and set its markers.

    Entries that were withdrawn meanwhile stay withdrawn.
    """
    members = [
        (entry_id, marker)
        for entry_id, marker in zip(landing.entries, landing.markers, strict=True)
        if journal.state.entries[entry_id].open
    ]
    if members:
        entries, markers = zip(*members, strict=True)
        finish_landing(
            journal, repository, target, replace(landing, entries=entries, markers=markers), recovered=True
        )


def _record_already_landed(
    journal: Journal[QueueState], repository: Repository, landing: MergeLanding, already: AlreadyLanded
) -> None:
    """Some members are on the target by another process's hand: they are done, the others start again."""
    by_marker = dict(zip(landing.markers, landing.entries, strict=True))
    journal.record(MergeMissed(entries=landing.entries, reason="a part of it had landed already"))
    for marker in already.markers:
        commit = repository.refs(marker)[marker]
        journal.record(
            MergeLanded(
                entries=(by_marker[marker],),
                commit=commit,
                tree=repository.tree_of(commit),
                recovered=True,
                remote=landing.remote,
            )
        )
