"""What all runs together have spent: the day's limit needs it before any read model is worth its import."""

import json
from datetime import datetime

from cli_multi_rapid.core.codec import CorruptDocument
from cli_multi_rapid.core.events import payload_from_data
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.run_events import BudgetSettled
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.envelope import utc_text
from cli_multi_rapid.store.faults import damaged

# `type` is spelled out: only then SQLite uses the index of settled events alone.
_SETTLED = """
    SELECT run_id, seq, type, version, data FROM events
    WHERE type = 'budget.settled' AND time >= ? AND run_id IS NOT ?
"""


def spent_since(database: Database, moment: datetime, *, without: RunId | None = None) -> MicroUsd:
    """The cost of every attempt that was settled at or after a moment, except those of one run.

    Raises `EnvironmentFault` when the database cannot be read.
    """
    spent = 0
    for run_id, seq, name, version, data in database.query(_SETTLED, (utc_text(moment), without)):
        try:
            settled = payload_from_data(name, version, json.loads(data))
        except (CorruptDocument, ValueError) as error:
            raise damaged(database.path, f"event {seq} ({name}) of {run_id}: {error}") from error
        if isinstance(settled, BudgetSettled):
            spent += settled.usage.cost
    return MicroUsd(spent)
