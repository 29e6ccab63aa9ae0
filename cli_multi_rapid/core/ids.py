"""The names of things, as distinct types, so that a lane is never passed where a node id is meant."""

from typing import NewType

RunId = NewType("RunId", str)
"""One execution of a plan, and the name of its event stream; `queue_stream` names those of queues."""

NodeId = NewType("NodeId", str)
EntryId = NewType("EntryId", str)
EventId = NewType("EventId", str)
CorrelationId = NewType("CorrelationId", str)
CheckId = NewType("CheckId", str)
ToolName = NewType("ToolName", str)

Commit = NewType("Commit", str)
"""A full hexadecimal commit id, never an abbreviation or a branch name."""

Tree = NewType("Tree", str)
"""A full hexadecimal tree id: the exact content that a check judged."""

Branch = NewType("Branch", str)
"""A short branch name, without `refs/heads/`."""

PLANNER = NodeId("_planner")
"""Whom a run's ledger and logs name for its planning. No node can be called so."""

_QUEUE_PREFIX = "queue:"


def queue_stream(target: Branch) -> RunId:
    """The event stream of the merge queue of one target branch."""
    return RunId(_QUEUE_PREFIX + target)


def is_queue_stream(stream: RunId) -> bool:
    """Whether a stream belongs to a merge queue rather than to a run."""
    return stream.startswith(_QUEUE_PREFIX)
