"""Pictures of a folded state: equal exactly when every part of it is."""

from copy import deepcopy

from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.state import RunState

Picture = dict[str, object]
_FIXED = frozenset({"plan", "accepted", "started", "finished"})
"""Immutable values: the same object stays the same value."""


def picture(state: RunState | QueueState) -> Picture:
    """All that a state holds, copied."""
    parts = {name: value for name, value in vars(state).items() if name != "frontier"}
    taken: Picture = {n: value if n in _FIXED else deepcopy(value) for n, value in parts.items()}
    taken["commands"] = state.unanswered()  # those that were answered are forgotten sooner or later
    if isinstance(state, RunState):
        indexes = {name: value for name, value in vars(state.frontier).items() if name != "_nodes"}
        taken["frontier"] = deepcopy(indexes)
    return taken
