"""The queue and the remote that its landings go to: keep step with it, and say what is in the way."""

from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.core.merge_events import MergeHalted, MergeHeld, MergeLanded, MergeLanding, MergeMissed
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.git import (
    InStep,
    LandedThereOnly,
    OutOfStep,
    RemoteRefused,
    Repository,
    follow,
    landed_there,
)
from cli_multi_rapid.reports import commands


def keep_step(
    journal: Journal[QueueState], repository: Repository, remote: str, *, update_checkout: bool
) -> bool:
    """Before anything is checked: bring the target to where the remote has it, so that work is done once.

    Entries that another clone has landed there are recorded as landed. The queue halts when the two cannot
    be brought together. A remote that does not answer is no obstacle yet: the landing will say so. Returns
    whether the target here is now where the remote has it.
    """
    state = journal.state
    entries = {entry.marker: entry for entry in (state.entries[known].entry for known in state.open)}
    found = follow(repository.remote(remote), state.target, tuple(entries), update_checkout=update_checkout)
    match found:
        case InStep(landed=landed):
            for marker, commit in landed.items():
                journal.record(
                    MergeLanded(
                        entries=(entries[marker].id,),
                        commit=commit,
                        tree=repository.tree_of(commit),
                        recovered=True,
                        remote=remote,
                    )
                )
        case OutOfStep():
            journal.record(_halt(found))
        case RemoteRefused():
            pass
    return isinstance(found, InStep)


def is_out_of_doubt(
    journal: Journal[QueueState], repository: Repository, held: MergeLanding, *, update_checkout: bool
) -> bool:
    """Whether a held landing may be planned anew by a process that does not push to its remote.

    The push may have arrived though its answer was lost. Then the work has landed, and is recorded as such.
    """
    entries = (journal.state.entries[entry_id] for entry_id in held.entries)
    markers = [known.entry.marker for known in entries if known.open]
    if held.remote is None or not markers:
        return True
    there = landed_there(repository.remote(held.remote), journal.state.target, markers)
    if isinstance(there, RemoteRefused):
        return False
    return not there or keep_step(journal, repository, held.remote, update_checkout=update_checkout)


def of_remote_trouble(
    landing: MergeLanding, target: Branch, trouble: RemoteRefused | LandedThereOnly | OutOfStep
) -> list[Payload]:
    """How a landing ends that the remote, or the way back from it, did not allow."""
    again = commands.queue_process(target, push=landing.remote)
    if isinstance(trouble, OutOfStep):
        return [MergeMissed(entries=landing.entries, reason=trouble.reason), _halt(trouble)]
    reason, unreachable = trouble.reason, False
    if isinstance(trouble, LandedThereOnly):
        reason = f"it is on {landing.remote} already, but not here: {reason}"
    else:
        unreachable = trouble.unreachable
    command = f"{trouble.command} && {again}" if trouble.command else again
    return [
        MergeHeld(
            entries=landing.entries,
            commit=landing.commit,
            reason=reason,
            command=command,
            unreachable=unreachable,
        )
    ]


def _halt(found: OutOfStep) -> MergeHalted:
    return MergeHalted(reason=f"{found.reason}; type `{found.command}`, then run the queue again")
