"""Asks with whom an ejected entry fails: opens the inquiry, builds its trees, names the files."""

from datetime import datetime

from msgspec.structs import replace

from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.core.inquiry_events import MergeProbed, MergeQuestioned
from cli_multi_rapid.core.merge_events import MergeFailed
from cli_multi_rapid.core.queue_facts import fact_of
from cli_multi_rapid.core.queue_intents import Eject, Probe, Question
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.engine.check_inputs import CheckInputs
from cli_multi_rapid.engine.disputed_files import disputed_files
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.partner_trail import follow_trail, merge_at
from cli_multi_rapid.git import Repository


class Inquirer:
    """Called from the deciding thread, by the holder of the lease."""

    def __init__(self, journal: Journal[QueueState], repository: Repository, inputs: CheckInputs) -> None:
        self._journal = journal
        self._repository = repository
        self._inputs = inputs

    def question(self, intent: Question) -> None:
        """Record what came to the target since the entry's base."""
        entry = self._journal.state.entries[intent.entry_id].entry
        trail = follow_trail(self._repository, self._journal.state, entry, intent.tip)
        tree = self._repository.tree_of(trail.base)
        self._journal.record(
            MergeQuestioned(
                entry_id=entry.id,
                check=intent.check,
                reason=intent.reason,
                since=tuple(step.name for step in trail.steps),
                tip=intent.tip,
                base=trail.base,
                tree=tree,
                contents=self._inputs.contents(tree, entry.checks),
            )
        )

    def probe(self, intent: Probe, now: datetime) -> Commit | None:
        """Merge the entry onto the target as it was; the commit, if it merges there."""
        known = self._journal.state.entries[intent.entry_id]
        if known.inquiry is None:
            return None
        trail = follow_trail(self._repository, self._journal.state, known.entry, known.inquiry.tip)
        merged = merge_at(self._repository, trail, intent.place, known.entry, now)
        commit, tree = merged or (None, known.inquiry.base.tree)
        self._journal.record(
            MergeProbed(
                entry_id=intent.entry_id,
                place=intent.place,
                commit=commit,
                tree=tree,
                contents=self._inputs.contents(tree, known.entry.checks),
            )
        )
        return commit

    def eject(self, intent: Eject) -> None:
        """Record that an entry is out, with whom it fails and where to look."""
        entries = self._journal.state.entries
        partners = [entries[name].entry for name in intent.partners if name in entries]
        files = disputed_files(self._repository, entries[intent.entry_id].entry, partners)
        fact = fact_of(intent)
        self._journal.record(replace(fact, files=files) if isinstance(fact, MergeFailed) else fact)
