"""What a merge queue knows of one entry, one candidate, one group of suspects, one tree."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, field

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import CheckId, Commit, EntryId, Tree
from cli_multi_rapid.core.inquiries import Inquiry, Station, passed_place
from cli_multi_rapid.core.inquiry_events import MergeProbed, MergeQuestioned
from cli_multi_rapid.core.merge_events import CheckFinished, MergeEntry
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus
from cli_multi_rapid.core.verdicts import Contents

Prefix = tuple[EntryId, ...]


class EntryState(Struct, kw_only=True):
    """All that is known of one entry."""

    entry: MergeEntry
    place: int
    """The order of arrival."""
    enqueued_at: datetime
    status: MergeStatus = MergeStatus.QUEUED
    approved: bool = False
    reason: str = ""
    files: tuple[str, ...] = ()
    partner: str = ""
    check: CheckId | None = None
    log: str = ""
    evidence: str = ""
    command: str = ""
    """What finishes the landing by hand, for a held entry."""
    dropped: EntryId | None = None
    """The entry without whose work it was built anew."""
    rebuild: EntryId | None = None
    """The entry whose work it still holds, because it was built on one that has dropped that work since."""
    vouched_at: int | None = None
    """It passed with others on a tip that held so many landed entries; None: not since it was sealed."""
    passed_at: int | None = None
    """As `vouched_at`, and remembered when it fails later: it fails with what landed in between."""
    failures: int = 0
    """How often it was left as the only suspect of a red candidate that held others too."""
    alone: dict[CheckId, int] = field(default_factory=dict)
    """How often each check failed on a tree with this entry alone, since it last passed."""
    suspected_of: CheckId | None = None
    """The check of the last red candidate that it was in."""
    passes_alone: bool = False
    """Its own tree passed when it was left over of a group."""
    inquiry: Inquiry | None = None
    """The search for whom it contradicts, once it has failed alone."""
    landed_commit: Commit | None = None
    ended_at: datetime | None = None

    @property
    def needs(self) -> Prefix:
        """The entries whose work it was built on."""
        return (*self.entry.deps, *self.entry.after)

    def forgive(self) -> None:
        """Let its failures count no more: it passed, or is another one now."""
        self.failures = 0
        self.alone.clear()

    @property
    def questioned(self) -> bool:
        """Whether it is out of the line because its partner is being looked for."""
        return self.inquiry is not None and self.inquiry.active

    def question(
        self,
        data: MergeQuestioned,
        trial: "Trial | None",
        landed: Sequence[EntryId],
    ) -> None:
        """Begin to look for its partner. `trial`: where it failed, if it did. `landed`: in order."""
        passed = -1 if self.passed_at is None else passed_place(data.since, landed[: self.passed_at])
        failed_on = None
        if trial is not None:
            failed_on = Station(commit=trial.commit, tree=trial.tree, contents=trial.contents)
        self.inquiry = Inquiry(
            check=next(check for check in self.entry.checks if check.id == data.check),
            since=data.since,
            tip=data.tip,
            base=Station(commit=data.base, tree=data.tree, contents=data.contents),
            failed_on=failed_on,
            in_company=failed_on is not None and not self.failures and not self.alone.get(data.check),
            passed=max(passed, 0) if self.passes_alone else passed,
        )

    def is_left_over(self, tip: Commit) -> bool:
        """Whether all that failed with it has passed, and its own tree, another one, is unknown."""
        alone = bool(self.alone) or self.passes_alone or self.passed_at is not None
        return self.failures > 0 and not alone and self.inquiry is None and self.entry.base != tip

    def acquit(self) -> bool:
        """End the inquiry; whether it is under suspicion still: only its own tree has passed."""
        self.passes_alone = self.inquiry is not None and self.inquiry.failed_on is None
        self.inquiry = None
        if not self.passes_alone:
            self.forgive()
        return self.passes_alone

    def renew(self) -> None:
        """It is another one now: nothing that was found of it counts."""
        self.vouched_at = self.passed_at = self.inquiry = None
        self.passes_alone = False
        self.forgive()

    def learn(self, data: MergeProbed) -> None:
        """A tree was made to look for its partner in."""
        if self.inquiry is not None:
            self.inquiry.learn(data)

    def overtake(self, count: int) -> None:
        """So many entries have landed while its partner is looked for."""
        if self.inquiry is not None:
            self.inquiry.overtaken += count

    @property
    def open(self) -> bool:
        """Whether the queue may still do something with it."""
        return self.status not in MERGE_DEAD and self.status is not MergeStatus.MERGED


class Trial(Struct, kw_only=True):
    """A candidate under check: the tip, then these entries in order.

    When a beginning of it lands, the rest goes on. When something else lands, it can land no more, but what
    it finds still says something about its entries: they are cleared, or suspects.
    """

    entries: Prefix
    tip: Commit
    """The tip that the entries follow; it moves along when a beginning of the candidate lands."""
    commit: Commit
    """A commit with the candidate's tree; its first parent is the tip that it was built on."""
    tree: Tree
    built_on: Commit
    built_with: Prefix = ()
    """The entries that its tree holds beside its tip, also those that have landed since with other work."""
    landed_before: int = 0
    """How many entries had landed when it was built."""
    contents: Contents = ()
    """What checks with `inputs` see of the tree."""


class Group(Struct, kw_only=True):
    """Entries that failed together: at least one of them is at fault, or it was a flake."""

    entries: Prefix
    trusted: Prefix = ()
    """Who failed with them and was not suspected, having passed on an older tip; who passes again is out."""
    overtaken: int = 0
    """How many entries have landed since."""


class TreeRecord(Struct, kw_only=True):
    """Every outcome of one check on one tree, in order; the last one counts."""

    outcomes: list[CheckFinished] = field(default_factory=list)
    forgiven: int = 0
    """How many of them no longer count, because the queue was set going again after they had failed."""

    @property
    def counts(self) -> bool:
        """Whether there is an outcome to go by."""
        return len(self.outcomes) > self.forgiven

    @property
    def last(self) -> CheckFinished:
        """The newest outcome."""
        return self.outcomes[-1]

    def forgive(self) -> None:
        """Let a failure count no more: what made the check fail may have been repaired."""
        if self.last.verdict is not Verdict.PASSED:
            self.forgiven = len(self.outcomes)

    def count(self, *verdicts: Verdict) -> int:
        """How often the check really ran and ended in one of these ways."""
        recent = self.outcomes[self.forgiven :]
        return sum(1 for outcome in recent if outcome.verdict in verdicts and not outcome.reused)


class Settled(Struct, kw_only=True):
    """What the history of this queue says about how often things go wrong."""

    landed: int = 0
    failed: int = 0
    verdicts: int = 0
    """Trees that a check really ran on and that have a verdict."""
    flakes: int = 0
    """Groups that failed together and of which everybody passed later."""
