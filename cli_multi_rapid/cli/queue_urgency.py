"""What `queue add --urgent` costs the others: said before anything is done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import queue_stream
from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.reports.queue_estimate import cost_of_urgency, trees_under_check
from cli_multi_rapid.reports.times import span

if TYPE_CHECKING:
    from cli_multi_rapid.engine.workshop import Workshop


class UrgencyDocument(TypedDict):
    """What urgent entries cost. `later_s`: of the entry that loses most, at P50; null: nothing measured."""

    overtaken: int
    delayed: int
    later_s: float | None


def urgency_cost(
    shop: "Workshop", state: QueueState, events: Sequence[Event], urgent: Sequence[MergeEntry]
) -> UrgencyDocument:
    """What the entries that wait lose when these go to the head of the line."""
    at_work = shop.leases.holder(queue_stream(state.target)) is not None
    cost = cost_of_urgency(
        state,
        [frozenset(check.id for check in entry.checks) for entry in urgent],
        trees_under_check(events) if at_work else {},
        shop.policies.queue,
        shop.clock.now(),
    )
    return UrgencyDocument(
        overtaken=cost.overtaken if at_work else 0,
        delayed=cost.delayed,
        later_s=None if cost.later_s is None else round(cost.later_s, 1),
    )


def urgency_text(cost: UrgencyDocument) -> str:
    """The same as a sentence."""
    if not cost["delayed"]:
        return "urgent: nothing else is in line, so it costs nobody anything"
    overtaken, delayed = _count(cost["overtaken"], "check"), _count(cost["delayed"], "entry", "entries")
    later = cost["later_s"]
    by = (
        "by how much is not known yet: no check has ended"
        if later is None
        else f"the one that loses most by about {span(later)}"
    )
    return f"urgent: {overtaken} under way may be overtaken, and {delayed} in line land later, {by}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
