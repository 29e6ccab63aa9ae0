"""Moves the target to a verified candidate, with the evidence in the log before and after."""

from dataclasses import replace
from datetime import datetime

from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.core.merge_events import MergeHeld, MergeLanded, MergeLanding, MergeMissed
from cli_multi_rapid.core.merge_policy import Land
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.engine.candidates import train
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.git import (
    AlreadyLanded,
    Landed,
    LandingRefused,
    LandingRequest,
    Repository,
    TargetMoved,
)


def land(
    journal: Journal[QueueState], repository: Repository, target: Branch, intent: Land, now: datetime
) -> None:
    """Append `merge.landing`, move the refs in one transaction, append what came of it.

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
    """Do the ref transaction of a recorded landing, or find that it was done, and record the end.

    Safe to call again after a crash at any point: the refs tell what happened.
    """
    entries = [journal.state.entries[entry_id].entry for entry_id in landing.entries]
    request = LandingRequest(
        target=target,
        expected=landing.expected,
        new=landing.commit,
        markers=landing.markers,
        update_checkout=all(entry.update_checkout for entry in entries),
    )
    match repository.land(request):
        case Landed():
            journal.record(
                MergeLanded(
                    entries=landing.entries, commit=landing.commit, tree=landing.tree, recovered=recovered
                )
            )
        case TargetMoved() as moved:
            journal.record(
                MergeMissed(entries=landing.entries, reason=f"{target} moved to {moved.actual} meanwhile")
            )
        case LandingRefused() as refused:
            journal.record(
                MergeHeld(
                    entries=landing.entries,
                    commit=landing.commit,
                    reason=refused.reason,
                    command=refused.command,
                )
            )
        case AlreadyLanded() as already:
            _record_already_landed(journal, repository, landing, already)


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
        tree = repository.tree_of(commit)
        journal.record(MergeLanded(entries=(by_marker[marker],), commit=commit, tree=tree, recovered=True))
