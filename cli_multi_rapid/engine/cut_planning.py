"""A run whose planning was cut off with its process: nothing can go on, and nothing may stay open."""

from collections.abc import Iterator, Sequence
from typing import Final

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import RunStatus, Usage
from cli_multi_rapid.core.ids import PLANNER, RunId, ToolName
from cli_multi_rapid.core.run_events import BudgetReserved, BudgetSettled, RunFinished
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.temp_folders import remove_temp_folders
from cli_multi_rapid.process_tree import kill_marked

ACTION: Final = "planner"
"""What the ledger calls a draft of a plan."""


def place_of(run_id: RunId) -> str:
    """The name of a planning's temporary folder, and how the markers of its programs begin."""
    return f"{run_id}/{PLANNER}"


def end_cut_planning(journal: Journal[RunState], events: Sequence[Event]) -> None:
    """End what is left of it, charge the draft whose end nobody saw, and say that the run is over.

    `events`: all of the run, folded already.
    """
    if journal.state.finished is not None:
        return
    kill_marked(place_of(journal.stream))
    remove_temp_folders(place_of(journal.stream))
    end = RunFinished(status=RunStatus.FAILED, exit_code=1, reason="it was cut off while a model planned")
    journal.record(*_unsettled(events), end)


def _unsettled(events: Sequence[Event]) -> Iterator[BudgetSettled]:
    """What was set aside and never settled counts as spent."""
    facts = [event.data for event in events]
    settled = {fact.attempt for fact in facts if isinstance(fact, BudgetSettled)}
    for fact in facts:
        if isinstance(fact, BudgetReserved) and fact.node_id == PLANNER and fact.attempt not in settled:
            yield BudgetSettled(
                node_id=PLANNER,
                attempt=fact.attempt,
                tool=fact.tool or ToolName(ACTION),
                action=ACTION,
                usage=Usage(cost=fact.amount, source="assumed"),
            )
