"""Facts about the merge queue: entries, candidates, checks and landings."""

from typing import ClassVar

from msgspec import Struct

from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId, NodeId, RunId, Tree
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.verdicts import Contents


class MergeEntry(Struct, frozen=True, kw_only=True):
    """A sealed lane head waiting for a target branch."""

    id: EntryId
    branch: Branch
    head: Commit
    base: Commit
    """The commit that the lane was started from."""
    target: Branch
    priority: int = 1
    deps: tuple[EntryId, ...] = ()
    """Entries that must land first; without them this one cannot land."""
    after: tuple[EntryId, ...] = ()
    """Entries whose work this lane was built on because of claims; it can land without them."""
    checks: tuple[CheckSpec, ...] = ()
    marker: str = ""
    """The full name of the ref that proves the landing."""
    run_id: RunId | None = None
    node_id: NodeId | None = None
    label: str = ""
    needs_approval: bool = False
    update_checkout: bool = True
    urgent: bool = False
    """It goes before everything else and may take a checker from another candidate."""
    solo: bool = False
    """It is checked and landed in a train of its own."""


class MergeEnqueued(Payload, frozen=True, kw_only=True):
    """An entry joined the queue, sealed at its head."""

    type: ClassVar[str] = "merge.enqueued"
    entry: MergeEntry


class MergeApproved(Payload, frozen=True, kw_only=True):
    """A person agreed to land an entry."""

    type: ClassVar[str] = "merge.approved"
    entry_id: EntryId
    by: str


class MergeChecking(Payload, frozen=True, kw_only=True):
    """A candidate was built and its checks begin."""

    type: ClassVar[str] = "merge.checking"
    entries: tuple[EntryId, ...]
    tip: Commit
    commit: Commit
    tree: Tree
    contents: Contents = ()
    """What checks with `inputs` see of the tree."""


class MergeDeferred(Payload, frozen=True, kw_only=True):
    """An entry does not merge behind others that may yet leave the queue: it waits for their end."""

    type: ClassVar[str] = "merge.deferred"
    entry_id: EntryId
    behind: tuple[EntryId, ...]
    files: tuple[str, ...] = ()


class CheckStarted(Payload, frozen=True, kw_only=True):
    """A check begins on the exact candidate."""

    type: ClassVar[str] = "check.started"
    check: CheckId
    tree: Tree
    key: str
    entries: tuple[EntryId, ...] = ()
    log: str = ""


class CheckFinished(Payload, frozen=True, kw_only=True):
    """The verdict of a check on a tree. `reused`: known from before, nothing was run."""

    type: ClassVar[str] = "check.finished"
    check: CheckId
    tree: Tree
    key: str
    verdict: Verdict
    reason: str = ""
    exit_code: int | None = None
    duration_s: float = 0.0
    log: str = ""
    evidence: str = ""
    reused: bool = False
    entries: tuple[EntryId, ...] = ()


class MergeSplit(Payload, frozen=True, kw_only=True):
    """These entries are known to fail together: one of them is at fault, or it was a flake."""

    type: ClassVar[str] = "merge.split"
    entries: tuple[EntryId, ...]
    check: CheckId
    reason: str


class MergeVouched(Payload, frozen=True, kw_only=True):
    """These entries passed on a tip that was left behind meanwhile: they land with the next train."""

    type: ClassVar[str] = "merge.vouched"
    entries: tuple[EntryId, ...]


class MergePreempted(Payload, frozen=True, kw_only=True):
    """The checks of a candidate were stopped because something urgent needs the checker."""

    type: ClassVar[str] = "merge.preempted"
    entries: tuple[EntryId, ...]
    by: EntryId


class MergeLanding(Payload, frozen=True, kw_only=True):
    """The refs are about to move. On disk before they do, so that a crash leaves a gap to look into."""

    type: ClassVar[str] = "merge.landing"
    entries: tuple[EntryId, ...]
    expected: Commit
    commit: Commit
    tree: Tree
    markers: tuple[str, ...]
    verdicts: tuple[str, ...] = ()
    """The keys of the passing verdicts."""
    remote: str | None = None
    """The remote whose refs move first, and which decides after a crash whether they did."""


class MergeLanded(Payload, frozen=True, kw_only=True):
    """The target ref moved to a commit whose exact tree passed every required check."""

    type: ClassVar[str] = "merge.landed"
    entries: tuple[EntryId, ...]
    commit: Commit
    tree: Tree
    recovered: bool = False
    """True when the landing was found done after a crash."""
    remote: str | None = None
    """The remote that has it as well."""


class MergeMissed(Payload, frozen=True, kw_only=True):
    """A landing did not happen and nothing changed: the target moved, or the ref was refused."""

    type: ClassVar[str] = "merge.missed"
    entries: tuple[EntryId, ...]
    reason: str


class MergeHeld(Payload, frozen=True, kw_only=True):
    """Verified and ready to land, but git, a checkout or the remote is in the way; `command` finishes it."""

    type: ClassVar[str] = "merge.held"
    entries: tuple[EntryId, ...]
    commit: Commit
    reason: str
    command: str
    unreachable: bool = False
    """True when it waits for a remote that did not answer."""


class MergeResealed(Payload, frozen=True, kw_only=True):
    """An entry was built anew on the target, without the work of an entry that did not land."""

    type: ClassVar[str] = "merge.resealed"
    entry_id: EntryId
    head: Commit
    base: Commit
    without: EntryId


class MergeConflicted(Payload, frozen=True, kw_only=True):
    """An entry does not merge."""

    type: ClassVar[str] = "merge.conflicted"
    entry_id: EntryId
    files: tuple[str, ...]
    partner: str
    """The entry that it conflicts with, or the target's name."""
    reason: str


class MergeFailed(Payload, frozen=True, kw_only=True):
    """An entry left the queue because a check failed on a tree where it was the only suspect."""

    type: ClassVar[str] = "merge.failed"
    entry_id: EntryId
    reason: str
    check: CheckId | None = None
    log: str = ""
    evidence: str = ""
    partners: tuple[EntryId, ...] = ()
    """Whom it contradicts: with these it fails, without them it passed. The target's name: commits there
    that are nobody's entry."""
    files: tuple[str, ...] = ()
    """Where to look: what it and its partners both changed; if nothing, all that they and it changed."""


class MergeCancelled(Payload, frozen=True, kw_only=True):
    """An entry was withdrawn, or cannot land because what it needs did not."""

    type: ClassVar[str] = "merge.cancelled"
    entry_id: EntryId
    reason: str
    lost: EntryId | None = None
    """The entry that it needs and that did not land; None when it was withdrawn."""


class MergeHalted(Payload, frozen=True, kw_only=True):
    """The queue stopped ejecting: the target's own tip fails, or something of the machine is broken."""

    type: ClassVar[str] = "merge.halted"
    reason: str
    hint: str = ""


class MergeResumed(Payload, frozen=True, kw_only=True):
    """A person, or a moved target, set a halted queue going again."""

    type: ClassVar[str] = "merge.resumed"
    reason: str
