"""A run at an earlier point, and what changed between two points."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypedDict

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.money import format_usd
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.amendments import amended_line
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import iso_or_none


class Change(TypedDict):
    """One fact that differs. `subject`: `run` or a node's id; null: it was not known at that point."""

    subject: str
    what: str
    before: str | None
    after: str | None


class RunDiff(TypedDict):
    """What changed in a run from one place of its stream to another."""

    schema_version: int
    run_id: str
    from_seq: int
    to_seq: int
    from_time: str | None
    to_time: str | None
    changes: list[Change]


def prefix(events: Sequence[Event], *, to_seq: int | None = None, at: datetime | None = None) -> list[Event]:
    """The events up to a place and up to a time, both inclusive; without either all of them."""
    return [
        event
        for event in events
        if (to_seq is None or event.seq <= to_seq) and (at is None or event.time <= at)
    ]


def state_at(
    run_id: RunId, events: Sequence[Event], *, to_seq: int | None = None, at: datetime | None = None
) -> RunState:
    """The state that the run had at a place or time: the fold of the events until then."""
    state = RunState(run_id)
    for event in prefix(events, to_seq=to_seq, at=at):
        state.apply(event)
    return state


def diff_runs(before: RunState, after: RunState) -> RunDiff:
    """What differs between two points of one run, in plan order."""
    return RunDiff(
        schema_version=SCHEMA_VERSION,
        run_id=after.run_id,
        from_seq=before.seq,
        to_seq=after.seq,
        from_time=iso_or_none(before.updated_at),
        to_time=iso_or_none(after.updated_at),
        changes=list(_changes(before, after)),
    )


def diff_text(diff: RunDiff) -> str:
    """The differences, a line each."""
    lines = [f"{diff['run_id']} from event {diff['from_seq']} to {diff['to_seq']}"]
    for change in diff["changes"]:
        values = f"{_shown(change['before'])} -> {_shown(change['after'])}"
        lines.append(f"  {change['subject']}: {change['what']} {values}")
    if not diff["changes"]:
        lines.append("  nothing changed")
    return "\n".join(lines) + "\n"


def _shown(value: str | None) -> str:
    return "-" if value is None or value == "" else one_line(value, 120)


def _changes(before: RunState, after: RunState) -> Iterator[Change]:
    yield from _differing("run", _run_facts(before), _run_facts(after))
    for name in dict.fromkeys((*after.nodes, *before.nodes)):
        yield from _differing(name, _node_facts(before.nodes.get(name)), _node_facts(after.nodes.get(name)))


def _differing(subject: str, before: dict[str, str], after: dict[str, str]) -> Iterable[Change]:
    for what in dict.fromkeys((*before, *after)):
        old, new = before.get(what), after.get(what)
        if old != new:
            yield Change(subject=subject, what=what, before=old, after=new)


def _run_facts(state: RunState) -> dict[str, str]:
    limit = state.ledger.limit
    return {
        "status": state.status if state.plan else "",
        "plan": state.accepted.digest if state.accepted else "",
        "amended": "; ".join(map(amended_line, state.amendments)),
        "paused": "yes" if state.paused else "no",
        "cancelling": state.cancelling or "",
        "budget": "" if limit is None else format_usd(limit),
        "spent": format_usd(state.ledger.spent),
        "reserved": format_usd(state.ledger.reserved),
    }


def _node_facts(node: NodeState | None) -> dict[str, str]:
    if node is None:
        return {}
    return {
        "status": node.shown_status,
        "merge status": node.merge_status or "",
        "attempts": str(len(node.attempts)),
        "head": node.head or "",
        "landed as": node.landed_commit or "",
        "asks for": ", ".join(sorted(node.requested)),
        "why it does not land": node.merge_reason,
    }
