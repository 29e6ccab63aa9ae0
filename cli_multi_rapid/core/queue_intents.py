"""What a merge queue may decide to do, and the limits that it keeps. Pure."""

from dataclasses import dataclass, field

from cli_multi_rapid.core.ids import Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_records import Prefix, Trial
from cli_multi_rapid.core.verdicts import Contents

MAX_MISSES = 5
"""How often in a row a foreign movement of the target may spoil a landing before the queue asks for help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How the queue works. `aging_s`: waiting this long is worth one step of priority."""

    workers: int = 2
    """How many candidates are under check at once."""
    batch: int = 64
    retry_flaky: int = 1
    """How often a failed check is run again, at least, before a single entry is blamed."""
    retry_broken: int = 2
    """How often a check that could not be carried out, or timed out, is run again on the same tree."""
    min_gain: float = 0.1
    """How many more landings a further candidate must promise to be worth a checker."""
    aging_s: float = 3600.0
    fingerprint: str = ""
    """What verdicts depend on beside the command and the tree: tools and platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The target as it is now."""

    commit: Commit
    tree: Tree
    contents: Contents = field(default=(), compare=False)
    """What checks with `inputs` see of the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCandidate:
    """Merge these entries, in this order, onto the tip."""

    entries: Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChecks:
    """Carry out checks on a tree that have no usable verdict yet. `entries` is empty for the tip itself."""

    tree: Tree
    commit: Commit
    checks: tuple[CheckSpec, ...]
    entries: Prefix
    contents: Contents = ()
    """What checks with `inputs` see of the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """Move the target to the candidate: every required check passed on its exact tree."""

    trial: Trial
    verdicts: tuple[str, ...]
    """The keys of the passing verdicts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """These entries fail together: look for the one at fault while the others go on."""

    entries: Prefix
    outcome: CheckFinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouch:
    """These entries pass on a tip that was left behind."""

    entries: Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempt:
    """Stop checking these entries: something urgent needs the checker."""

    entries: Prefix
    by: EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Eject:
    """The entry fails alone on a tip that passes."""

    entry_id: EntryId
    outcome: CheckFinished
    partners: Prefix = ()
    """What landed since it last passed: together they fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelEntry:
    """The entry cannot land any more, because one that it needs did not."""

    entry_id: EntryId
    reason: str
    lost: EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Reseal:
    """Rebuild the entry without the work of one that did not land."""

    entry_id: EntryId
    without: EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Stop: what fails is not an entry."""

    reason: str
    hint: str


QueueIntent = (
    BuildCandidate | RunChecks | Land | Split | Vouch | Preempt | Eject | CancelEntry | Reseal | Halt
)
