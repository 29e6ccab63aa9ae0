"""What each node waited for, and how long: derived from when other things happened."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_state import NodeState, NodeStatus
from cli_multi_rapid.core.plan import Role
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.chronicle import Chronicle, Span, last_before

SHORTEST_S: Final = 0.1
"""Seconds. A shorter wait is the program's own step from one event to the next."""


class Wait(Struct, frozen=True, kw_only=True):
    """A node waited for something. Waits for several things at once overlap."""

    kind: str
    """`dependency`, `claims`, `approval`, `retry`, `worker` or `queue`."""
    what: str
    span: Span


def waits_of(run: RunState, node: NodeState, chronicle: Chronicle, now: datetime) -> tuple[Wait, ...]:
    """The waits of a node in order of their start; those shorter than `SHORTEST_S` are left out."""
    begin = chronicle.sessions[0].start if chronicle.sessions else None
    if begin is None:
        return ()
    found = [
        *_before_first_attempt(run, node, chronicle, begin),
        *_consents(node, chronicle),
        *_between_attempts(node, chronicle),
        *_in_queue(node, chronicle),
    ]
    long_enough = [wait for wait in found if wait.span.seconds(now) >= SHORTEST_S]
    return tuple(sorted(long_enough, key=lambda wait: wait.span.start))


def _before_first_attempt(
    run: RunState, node: NodeState, chronicle: Chronicle, begin: datetime
) -> Iterator[Wait]:
    """Predecessors first, and what is left until the start is the wait for a free worker."""
    started = node.attempts[0].started_at if node.attempts else None
    free_at = begin
    for kind, before in _predecessors(run, node):
        release = _released(run.nodes[before], node, chronicle, started, hard=kind == "dependency")
        if release is None and started is None and before not in node.open_edges:
            continue
        if started is None and node.shown_status not in (NodeStatus.PENDING, NodeStatus.WAITING):
            continue
        end = release or started
        free_at = max(free_at, end or free_at)
        yield Wait(kind=kind, what=before, span=Span(start=begin, end=end))
    for consent in chronicle.consents.get(node.node.id, ()):
        if consent.what == "before" and consent.span.end is not None:
            free_at = max(free_at, consent.span.end)
    if started is not None:
        yield Wait(
            kind="worker", what="a free worker or tool", span=Span(start=min(free_at, started), end=started)
        )
    elif node.status is NodeStatus.PENDING and not node.open_edges and node.blocked_by is None:
        yield Wait(kind="worker", what="a free worker or tool", span=Span(start=free_at))


def _predecessors(run: RunState, node: NodeState) -> Iterator[tuple[str, NodeId]]:
    for dep in node.node.deps:
        yield "dependency", dep
    for earlier in run.frontier.earlier(node.node.id):
        if earlier not in node.node.deps:
            yield "claims", earlier


def _released(
    before: NodeState, after: NodeState, chronicle: Chronicle, limit: datetime | None, *, hard: bool
) -> datetime | None:
    """When the earlier node let the later one go; None when it has not."""
    name = before.node.id
    if hard and after.node.role is Role.IPT and before.node.role is Role.WT:
        moments = chronicle.landed.get(name) or chronicle.completed.get(name)
    elif hard:
        moments = chronicle.completed.get(name)
    else:
        moments = chronicle.completed.get(name) or chronicle.ended.get(name)
    if not moments:
        return None
    if limit is None:
        return None if name in after.open_edges else moments[-1]
    return last_before(moments, limit)


def _consents(node: NodeState, chronicle: Chronicle) -> Iterator[Wait]:
    for consent in chronicle.consents.get(node.node.id, ()):
        what = "approval to start" if consent.what == "before" else "approval to land"
        yield Wait(kind="approval", what=what, span=consent.span)


def _between_attempts(node: NodeState, chronicle: Chronicle) -> Iterator[Wait]:
    starts = [attempt.started_at for attempt in node.attempts]
    for backoff in chronicle.backoffs.get(node.node.id, ()):
        next_start = next((start for start in starts if start >= backoff.at), None)
        over = next_start or (None if node.status is NodeStatus.PENDING else backoff.at)
        what = backoff.scheduled.reason or "another try"
        yield Wait(kind="retry", what=what, span=Span(start=backoff.at, end=over))


def _in_queue(node: NodeState, chronicle: Chronicle) -> Iterator[Wait]:
    for entry in chronicle.entries_of.get(node.node.id, ()):
        yield Wait(kind="queue", what="the merge queue", span=chronicle.queued[entry])
