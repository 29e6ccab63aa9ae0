"""What the verdicts on a candidate say of it so far. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.ladder import odds_of
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import Land, QueueLimits, RunChecks
from cli_multi_rapid.core.queue_records import Prefix, TreeRecord, Trial
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.verdicts import key_of


def required_checks(state: QueueState, entries: Iterable[EntryId]) -> tuple[CheckSpec, ...]:
    """The checks that a candidate of these entries must pass: those of every member, each definition once."""
    found: list[CheckSpec] = []
    for entry_id in entries:
        found.extend(check for check in state.entries[entry_id].entry.checks if check not in found)
    return tuple(found)


class Red(Struct, frozen=True, kw_only=True):
    """A check of the candidate failed."""

    check: CheckSpec
    outcome: CheckFinished
    again: bool
    """It is alone and will be tried again: until then, the others go on without it."""


Judgement = Land | Red | RunChecks


def judge(state: QueueState, trial: Trial, limits: QueueLimits) -> Judgement:
    """What the verdicts on a candidate so far say of it."""
    checks = required_checks(state, trial.entries)
    keys = [key_of(check, trial, limits.fingerprint) for check in checks]
    to_run: list[CheckSpec] = []
    for check, key in zip(checks, keys, strict=True):
        record, left = record_of(state, key), _chances(state, trial.entries, check, limits)
        if record is None or may_rerun(record, limits, again=left > 0 and _is_apart(state, trial)):
            to_run.append(check)
        elif record.last.verdict is not Verdict.PASSED:
            again = left > 0 and record.last.verdict is Verdict.FAILED
            return Red(check=check, outcome=record.last, again=again)
    if to_run:
        return RunChecks(
            tree=trial.tree,
            commit=trial.commit,
            checks=tuple(to_run),
            entries=trial.entries,
            contents=trial.contents,
        )
    return Land(trial=trial, verdicts=tuple(keys))


def _is_apart(state: QueueState, trial: Trial) -> bool:
    """Whether an entry is set aside by itself, so that nobody waits while it is tried again."""
    group = state.group_of(trial.entries[0])
    return group is not None and group.entries == trial.entries


def _chances(state: QueueState, entries: Prefix, check: CheckSpec, limits: QueueLimits) -> int:
    """How often the check may still fail before an entry is out. Several together are not run again."""
    if len(entries) > 1:
        return 0
    known = state.entries[entries[0]]
    needed = odds_of(state.settled).failures_needed(limits.retry_flaky)
    return needed - known.failures - known.alone.get(check.id, 0)


def may_rerun(record: TreeRecord, limits: QueueLimits, *, again: bool) -> bool:
    """Whether a check on one tree is worth another run: a broken one, or a failure that may be a flake."""
    match record.last.verdict:
        case Verdict.PASSED:
            return False
        case Verdict.ERROR | Verdict.TIMED_OUT:
            return record.count(Verdict.ERROR, Verdict.TIMED_OUT) <= limits.retry_broken
        case Verdict.FAILED:
            return again


def tip_may_pass(record: TreeRecord, limits: QueueLimits) -> bool:
    """Whether a check that failed on the tip is worth another run there."""
    return may_rerun(record, limits, again=record.count(Verdict.FAILED) <= limits.retry_flaky)


def record_of(state: QueueState, key: str) -> TreeRecord | None:
    """What is known of one check on one tree, if that still counts."""
    record = state.records.get(key)
    return record if record is not None and record.counts else None
