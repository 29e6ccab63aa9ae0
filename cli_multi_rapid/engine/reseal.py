"""Rebuilds an entry without the work of an earlier one that did not land."""

from datetime import datetime

from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.core.merge_events import MergeConflicted, MergeResealed
from cli_multi_rapid.core.queue_intents import Reseal
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.git import Merged, NotCheckedOut, RefChange, Repository


def reseal(
    journal: Journal[QueueState], repository: Repository, intent: Reseal, tip: Commit, now: datetime
) -> None:
    """Replay an entry's own work on the tip; it leaves the queue when that conflicts."""
    without = intent.without
    entry, other = journal.state.entries[intent.entry_id].entry, journal.state.entries[without].entry
    outcome = repository.replay(entry.base, entry.head, tip)
    if not isinstance(outcome, Merged):
        files = ", ".join(outcome.files[:5])
        journal.record(
            MergeConflicted(
                entry_id=entry.id,
                files=outcome.files,
                partner=without,
                reason=f"was built on {without}, which did not land, and conflicts without it in {files}",
            )
        )
        return
    message = f"{entry.label or entry.id}\n\nRebuilt without {other.branch}, which did not land.\n"
    head = repository.commit(outcome.tree, (tip,), message, when=now)
    journal.record(MergeResealed(entry_id=entry.id, head=head, base=tip, without=without))
    # The branch is only a label of the entry: one that a person moved or checked out is left alone.
    if isinstance(repository.checkout_of(entry.branch), NotCheckedOut):
        moved = RefChange(ref=f"refs/heads/{entry.branch}", old=entry.head, new=head)
        repository.update_refs([moved])
