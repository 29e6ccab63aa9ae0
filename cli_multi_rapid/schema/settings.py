"""The values of `config/orchestrator.yaml`, with their built-in defaults. `settings_reader` reads them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.ids import Branch, CheckId, NodeId, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import CheckSpec, FixMode, FixPolicy, Sandbox

_NODE_USD: Final = MicroUsd(2_000_000)

BUILT_IN: Final = "built-in"
"""Where a value comes from that no layer sets."""

LANE_PRESETS: Final[Mapping[str, str]] = {
    "nested": "lane/{run}/{node}",
    "flat": "lane-{run}-{node}",
    "agents": "agents/{node}/{run}",
}
"""Names for ready templates of `worktrees.lane`."""


class LandingApproval(StrEnum):
    """Who agrees to a landing."""

    AUTO = "auto"
    MANUAL = "manual"


class SlotStrategy(StrEnum):
    """How a slot is made."""

    ISOLATED = "isolated"
    """A small repository of its own that borrows the user's objects."""
    LINKED = "linked"
    """A linked worktree of the user's repository."""


class Violation(StrEnum):
    """What happens to an attempt that changed what it did not claim."""

    FAIL = "fail"
    WARN = "warn"
    STRIP = "strip"


class MergeSettings(Struct, frozen=True, kw_only=True):
    """`merge_policy`: how the queue works where the plan says nothing."""

    target: Branch | None = None
    """None: the plan's, else the branch that is checked out."""
    checklist: tuple[CheckId, ...] | None = None
    """None: what is found in the repository."""
    workers: int = 2
    per_change: bool = False
    retry_flaky: int = 1
    approval: LandingApproval = LandingApproval.AUTO


class BudgetSettings(Struct, frozen=True, kw_only=True):
    """`budget`: limits beside the one of the run. Percentages are of the run's budget."""

    warn_pct: float = 80.0
    halt_pct: float = 95.0
    node_usd: MicroUsd = _NODE_USD
    day_usd: MicroUsd | None = None


class WorktreeSettings(Struct, frozen=True, kw_only=True):
    """`worktrees`: how slots are made and prepared."""

    strategy: SlotStrategy = SlotStrategy.ISOLATED
    pool: int = 8
    hydrate: tuple[str, ...] = ()
    """The argv that prepares a new slot; empty: nothing."""
    links: tuple[str, ...] = ()
    lane: str = LANE_PRESETS["nested"]

    def lane_of(self, run_id: RunId, node_id: NodeId) -> Branch:
        """The branch of a node's attempts in a run."""
        return Branch(self.lane.replace("{run}", run_id).replace("{node}", node_id))


class LandingSettings(Struct, frozen=True, kw_only=True):
    """`landing`: what happens around the target branch."""

    update_checkout: bool = True
    push: str | None = None
    """The remote to land on as well; None: nothing is pushed."""


class ClaimSettings(Struct, frozen=True, kw_only=True):
    """`claims`: how claims are enforced."""

    violation: Violation = Violation.FAIL


class VerificationSettings(Struct, frozen=True, kw_only=True):
    """`verification`: what happens when the landed tree does not pass."""

    fix: FixMode = FixPolicy().mode
    rounds: int = FixPolicy().rounds
    tool: ToolName | None = None

    @property
    def policy(self) -> FixPolicy:
        """The same as decisions need it."""
        return FixPolicy(mode=self.fix, rounds=self.rounds, tool=self.tool)


class Settings(Struct, frozen=True, kw_only=True):
    """All settings, and for each the layer that set it."""

    workers: int = 4
    tool_limits: Mapping[ToolName, int] = field(default_factory=dict)
    checks: Mapping[CheckId, CheckSpec] = field(default_factory=dict)
    merge_policy: MergeSettings = field(default_factory=MergeSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    worktrees: WorktreeSettings = field(default_factory=WorktreeSettings)
    landing: LandingSettings = field(default_factory=LandingSettings)
    claims: ClaimSettings = field(default_factory=ClaimSettings)
    verification: VerificationSettings = field(default_factory=VerificationSettings)
    sandbox: Sandbox = Sandbox.NONE
    retention_days: int = 30
    where: Mapping[str, str] = field(default_factory=dict)
    """Dotted key to the name of its layer; keys that no layer set are `built-in`."""

    def source_of(self, key: str) -> str:
        """The name of the layer that set a dotted key."""
        return self.where.get(key, BUILT_IN)
