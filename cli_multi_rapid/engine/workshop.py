"""All that the engine works with, gathered by the composition root."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.ids import CheckId, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import CheckSpec, FixMode, FixPolicy
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.engine.confinement import Sandboxes
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.git import Repository
from cli_multi_rapid.ports import Adapter, Bus, Clock, EventLog, Ids, Leases
from cli_multi_rapid.redaction import Redactor
from cli_multi_rapid.worktrees import Worktrees

if TYPE_CHECKING:
    from cli_multi_rapid.adapters.health import ToolHealth


class Policies(Struct, frozen=True, kw_only=True):
    """What the configuration and the command line say about every run."""

    workers: int = 4
    fail_fast: bool = False
    budget: BudgetRules = field(default_factory=BudgetRules)
    queue: QueueLimits = field(default_factory=QueueLimits)
    checks: Mapping[CheckId, CheckSpec] = field(default_factory=dict)
    checklist: tuple[CheckId, ...] | None = None
    lane: str = "lane/{run}/{node}"
    claims_rule: str = "fail"
    update_checkout: bool = True
    fix: FixPolicy = field(default_factory=FixPolicy)
    """What follows a failed verification where the plan says nothing."""
    fix_asked: FixMode | None = None
    """What the command line says of it; None: nothing."""
    push: str | None = None
    """The remote that landings are pushed to; None: they stay here."""


class Workshop(Struct, frozen=True, kw_only=True):
    """The ports' implementations and the repository that they work on."""

    home: Home
    repository: Repository
    worktrees: Worktrees
    log: EventLog
    leases: Leases
    bus: Bus
    clock: Clock
    ids: Ids
    redactor: Redactor
    adapters: Mapping[ToolName, Adapter]
    tools: Mapping[ToolName, ToolFacts]
    pings: Callable[[Iterable[ToolName]], Sequence["ToolHealth"]]
    """The health of tools, asked anew where the last answer is old."""
    policies: Policies
    sandboxes: Sandboxes
    spent_today: Callable[[RunId], MicroUsd]
    """What other runs have spent since midnight UTC."""
    version: str
