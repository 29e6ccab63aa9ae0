"""What a start of a tool is charged: what the tool told, else what was set aside for it."""

from typing import Final

from msgspec.structs import replace

from cli_multi_rapid.core.facts import UNKNOWN, Usage
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.ports import CostClass
from cli_multi_rapid.process_terms import ExitOutcome

_BY_ITSELF: Final = (ExitOutcome.EXITED, ExitOutcome.NOT_FOUND)


def charge_unseen(told: Usage, reserved: MicroUsd, cost: CostClass) -> Usage:
    """The charge for a tool whose end nobody saw, or that was cut off. `told`: what it said until then.

    A tool that says nothing may have spent all that was set aside; without that, nobody can tell.
    """
    if cost is CostClass.FREE or told.source not in ("none", UNKNOWN) or told.tokens:
        return told
    if not reserved:
        return replace(told, source=UNKNOWN)
    return replace(told, cost=reserved, source="assumed")


def charge(told: Usage, outcome: ExitOutcome, reserved: MicroUsd, cost: CostClass) -> Usage:
    """The charge for a tool that has ended: its own account, when it came to its end by itself."""
    return told if outcome in _BY_ITSELF else charge_unseen(told, reserved, cost)
