"""How `queue_world` and `run_world` behave: what is red, what does not merge, what goes wrong."""

from msgspec import Struct

from cli_multi_rapid.core.claims import conflict
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import CheckId, NodeId
from cli_multi_rapid.core.plan import CheckSpec, Plan, Role
from cli_multi_rapid.core.verdicts import Contents, InputsDigest

Changes = frozenset[str]
"""A change is a word; a commit holds a set of them."""

SEES_PART = CheckSpec(id=CheckId("part"), argv=("pytest",), inputs=("src/**",))
"""A check that does not see the weather's unread changes."""


class Weather(Struct, kw_only=True):
    """How the world behaves. The three chances are of a single check, landing or step."""

    culprits: Changes = frozenset()
    """Changes that fail every check."""
    quarrels: tuple[Changes, ...] = ()
    """Sets of changes that fail together, each of them green alone."""
    clashes: tuple[tuple[str, str], ...] = ()
    """Pairs of changes that do not merge, unless one was built on the other."""
    unread: Changes = frozenset()
    """Changes of files that checks with inputs do not see. None of them is in what fails."""
    flake: float = 0.0
    broken: float = 0.0
    held: float = 0.0
    moves: float = 0.0
    """How often somebody else commits to the target."""

    def clash(self, one: str, other: str) -> bool:
        """Whether two changes do not merge when neither was built on the other."""
        return (one, other) in self.clashes or (other, one) in self.clashes

    def seen(self, changes: Changes) -> Contents:
        """What checks with inputs see of this content."""
        return (InputsDigest(inputs=SEES_PART.inputs, digest=" ".join(sorted(changes - self.unread))),)

    def calm_down(self, present: Changes) -> None:
        """From now on nothing goes wrong by chance, and what is present fails no check any more."""
        self.flake = self.broken = self.held = self.moves = 0.0
        self.culprits -= present
        self.quarrels = tuple(quarrel for quarrel in self.quarrels if not quarrel <= present)

    def is_red(self, changes: Changes) -> bool:
        """Whether an honest check fails on this content."""
        return bool(self.culprits & changes) or any(quarrel <= changes for quarrel in self.quarrels)


class RunWeather(Weather, kw_only=True):
    """How tools and people behave as well. Chances are of a single attempt or turn."""

    rivals: frozenset[frozenset[NodeId]] = frozenset()
    """Pairs of nodes whose changes do not merge."""
    fails: float = 0.0
    failures: tuple[FailureClass, ...] = tuple(FailureClass)
    idle: float = 0.0
    """How often an attempt succeeds without a change."""
    dear: float = 0.0
    """How often an attempt costs more than was set aside for it."""
    people: float = 0.0
    crashes: float = 0.0

    def clash(self, one: str, other: str) -> bool:
        """The changes of nodes whose claims conflict do not merge."""
        return frozenset((author(one), author(other))) in self.rivals


def author(change: str) -> NodeId:
    """The node that made a change: changes are called `node#attempt`."""
    return NodeId(change.partition("#")[0])


def rivals_of(plan: Plan) -> frozenset[frozenset[NodeId]]:
    """The pairs of nodes that must not run side by side."""
    nodes = [node for node in plan.nodes if node.role is Role.WT]
    return frozenset(
        frozenset((one.id, other.id))
        for one in nodes
        for other in nodes
        if one.id < other.id and any(conflict(a, b) for a in one.path_claims for b in other.path_claims)
    )
