"""What the log says of decisions that need nothing but to be told. Pure."""

from cli_multi_rapid.core.inquiry_events import MergeAcquitted
from cli_multi_rapid.core.merge_events import (
    MergeCancelled,
    MergeFailed,
    MergeHalted,
    MergePreempted,
    MergeSplit,
    MergeVouched,
)
from cli_multi_rapid.core.queue_intents import Acquit, CancelEntry, Eject, Halt, Preempt, Split, Vouch

Told = Split | Vouch | Preempt | Acquit | Eject | CancelEntry | Halt
"""The intents that are done when they are recorded."""

Fact = (
    MergeSplit | MergeVouched | MergePreempted | MergeAcquitted | MergeFailed | MergeCancelled | MergeHalted
)


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
        case Acquit():
            return MergeAcquitted(entry_id=intent.entry_id)
        case Eject():
            outcome = intent.outcome
            return MergeFailed(
                entry_id=intent.entry_id,
                reason=_with_partners(intent),
                check=outcome.check,
                log=outcome.log,
                evidence=outcome.evidence,
                partners=intent.partners,
            )
        case CancelEntry():
            return MergeCancelled(entry_id=intent.entry_id, reason=intent.reason, lost=intent.lost)
        case Halt():
            return MergeHalted(reason=intent.reason, hint=intent.hint)


def _with_partners(eject: Eject) -> str:
    """Why an entry is out, and with whom it would not be."""
    reason, named = eject.outcome.reason, ", ".join(eject.partners)
    if not named:
        return reason
    return f"{reason}; it passed {'before others committed to' if eject.foreign else 'without'} {named}"
