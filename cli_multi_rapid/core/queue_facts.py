"""What the log says of decisions that need nothing but to be told. Pure."""

from cli_multi_rapid.core.merge_events import (
    MergeCancelled,
    MergeFailed,
    MergeHalted,
    MergePreempted,
    MergeSplit,
    MergeVouched,
)
from cli_multi_rapid.core.queue_intents import CancelEntry, Eject, Halt, Preempt, Split, Vouch

Told = Split | Vouch | Preempt | Eject | CancelEntry | Halt
"""The intents that are done when they are recorded."""

Fact = MergeSplit | MergeVouched | MergePreempted | MergeFailed | MergeCancelled | MergeHalted


def fact_of(intent: Told) -> Fact:
    """The event that carries out an intent."""
    match intent:
        case Split():
            return MergeSplit(
                entries=intent.entries, check=intent.outcome.check, reason=intent.outcome.reason
            )
        case Vouch():
            return MergeVouched(entries=intent.entries)
        case Preempt():
            return MergePreempted(entries=intent.entries, by=intent.by)
        case Eject():
            outcome = intent.outcome
            return MergeFailed(
                entry_id=intent.entry_id,
                reason=_with_partners(outcome.reason, intent.partners),
                check=outcome.check,
                log=outcome.log,
                evidence=outcome.evidence,
                partners=intent.partners,
            )
        case CancelEntry():
            return MergeCancelled(entry_id=intent.entry_id, reason=intent.reason, lost=intent.lost)
        case Halt():
            return MergeHalted(reason=intent.reason, hint=intent.hint)


def _with_partners(reason: str, partners: tuple[str, ...]) -> str:
    if not partners:
        return reason
    named = ", ".join(partners[:3]) + (f" and {len(partners) - 3} more" if len(partners) > 3 else "")
    return f"{reason}; it passed without {named}"
