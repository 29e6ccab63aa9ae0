"""What a merge queue may decide to do, and the limits that it keeps. Pure."""

from msgspec import Struct

from cli_multi_rapid.core.ids import CheckId, Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_records import Prefix, Trial
from cli_multi_rapid.core.verdicts import Contents

MAX_MISSES = 5
"""How often in a row a foreign movement of the target may spoil a landing before the queue asks for help."""


class QueueLimits(Struct, frozen=True, kw_only=True):
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


class Tip(Struct, frozen=True, kw_only=True):
    """The target as it is now."""

    commit: Commit
    tree: Tree
    contents: Contents = ()
    """What checks with `inputs` see of the tree."""


class BuildCandidate(Struct, frozen=True, kw_only=True):
    """Merge these entries, in this order, onto the tip."""

    entries: Prefix


class RunChecks(Struct, frozen=True, kw_only=True):
    """Carry out checks on a tree that have no usable verdict yet. `entries` is empty for the tip itself."""

    tree: Tree
    commit: Commit
    checks: tuple[CheckSpec, ...]
    entries: Prefix
    contents: Contents = ()
    """What checks with `inputs` see of the tree."""


class Land(Struct, frozen=True, kw_only=True):
    """Move the target to the candidate: every required check passed on its exact tree."""

    trial: Trial
    verdicts: tuple[str, ...]
    """The keys of the passing verdicts."""


class Split(Struct, frozen=True, kw_only=True):
    """These entries fail together: look for the one at fault while the others go on."""

    entries: Prefix
    outcome: CheckFinished


class Vouch(Struct, frozen=True, kw_only=True):
    """These entries pass on a tip that was left behind."""

    entries: Prefix


class Preempt(Struct, frozen=True, kw_only=True):
    """Stop checking these entries: something urgent needs the checker."""

    entries: Prefix
    by: EntryId


class Eject(Struct, frozen=True, kw_only=True):
    """The entry fails alone on a tip that passes."""

    entry_id: EntryId
    outcome: CheckFinished
    partners: Prefix = ()
    """What landed and does not go together with it."""
    foreign: bool = False
    """The partner is the target: commits there that are nobody's entry."""


class Question(Struct, frozen=True, kw_only=True):
    """The entry fails alone, or is left over of what failed together: is it at fault itself?"""

    entry_id: EntryId
    check: CheckId
    reason: str
    tip: Commit
    """The tip that it fails on, or would be tried on."""


class Probe(Struct, frozen=True, kw_only=True):
    """Merge an entry onto the target as it was at this place of its inquiry."""

    entry_id: EntryId
    place: int


class Acquit(Struct, frozen=True, kw_only=True):
    """What the entry failed on passes after all: it waits in line again."""

    entry_id: EntryId


class CancelEntry(Struct, frozen=True, kw_only=True):
    """The entry cannot land any more, because one that it needs did not."""

    entry_id: EntryId
    reason: str
    lost: EntryId


class Reseal(Struct, frozen=True, kw_only=True):
    """Rebuild the entry without the work of one that did not land."""

    entry_id: EntryId
    without: EntryId


class Halt(Struct, frozen=True, kw_only=True):
    """Stop: what fails is not an entry."""

    reason: str
    hint: str


QueueIntent = (
    BuildCandidate
    | RunChecks
    | Land
    | Split
    | Vouch
    | Preempt
    | Question
    | Probe
    | Acquit
    | Eject
    | CancelEntry
    | Reseal
    | Halt
)
