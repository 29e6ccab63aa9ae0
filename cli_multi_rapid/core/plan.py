"""The plan: an immutable, validated DAG of nodes with budget, checks and policies.

Everything here is already parsed and checked: `schema/` turns text into these values and collects the
problems, and a plan read back from its `plan.accepted` event is the same value again.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar

from msgspec import Struct, field

from cli_multi_rapid.core.claims import PathClaim
from cli_multi_rapid.core.ids import Branch, CheckId, CorrelationId, NodeId, ToolName
from cli_multi_rapid.core.money import MicroUsd

# Not a recursive alias: hints are resolved at run time, in modules where its name is unknown.
Json = str | int | float | bool | None | list[Any] | dict[str, Any]
JsonObject = Mapping[str, Json]


class Role(StrEnum):
    """What a node does with the repository."""

    WT = "wt"
    """Changes files in its own worktree; the result is landed by the merge queue."""
    IPT = "ipt"
    """Plans or verifies on the merged target; nothing of it is landed."""


class Approval(StrEnum):
    """When a person must agree."""

    NONE = "none"
    BEFORE = "before"
    LANDING = "landing"


class MergeWhen(StrEnum):
    """When sealed lanes go to the merge queue."""

    EAGER = "eager"
    AFTER_ALL = "after_all"


class Sandbox(StrEnum):
    """What confines a tool."""

    NONE = "none"
    BWRAP = "bwrap"


class Network(StrEnum):
    """What a confined tool reaches, the least first."""

    NONE = "none"
    """Nothing, not even itself."""
    LOOPBACK = "loopback"
    """A loopback of its own, which no other program is on."""
    FULL = "full"
    """What the person reaches, the services of this machine included."""


class Form(StrEnum):
    """The form of an answer that is wanted of an agent instead of work."""

    REVIEW = "review"
    """What is wrong with the landed work of the nodes before."""
    REMEDY = "remedy"
    """The nodes that put right what a verification found."""


class FixMode(StrEnum):
    """What happens when the landed tree does not pass its verification."""

    OFF = "off"
    """Nothing is added to the run."""
    ASK = "ask"
    """Nodes are added, and each waits for a person's approval."""
    AUTO = "auto"
    """Nodes are added and run."""


class FixPolicy(Struct, frozen=True, kw_only=True):
    """How a failed verification is answered."""

    mode: FixMode = FixMode.OFF
    """Off: a run spends no money that nobody asked it to spend."""
    rounds: int = 2
    """How often nodes may be added to one run."""
    tool: ToolName | None = None
    """Who does the fixes; None: the agent whose work is concerned."""


class Prompt(Struct, frozen=True, kw_only=True):
    """Work for an agent: the goal is its prompt."""

    kind: ClassVar[str] = "prompt"


class ShellLine(Struct, frozen=True, kw_only=True):
    """A line for `sh -c`: the one place where a plan asks for a shell."""

    kind: ClassVar[str] = "run"
    run: str


class Argv(Struct, frozen=True, kw_only=True):
    """A program and its arguments; no shell sees them."""

    kind: ClassVar[str] = "argv"
    argv: tuple[str, ...]


class PythonCall(Struct, frozen=True, kw_only=True):
    """`module:function` with keyword arguments, called in a subprocess."""

    kind: ClassVar[str] = "python"
    target: str
    kwargs: JsonObject = field(default_factory=dict)


class MakeDirs(Struct, frozen=True, kw_only=True):
    """Create folders (a `.gitkeep` makes an empty one visible to git)."""

    kind: ClassVar[str] = "mkdirs"
    paths: tuple[str, ...]


class WriteFile(Struct, frozen=True, kw_only=True):
    """Write a text to a path below the worktree."""

    kind: ClassVar[str] = "file"
    path: str
    text: str


class RunTests(Struct, frozen=True, kw_only=True):
    """Run the tests in the slot; an empty argv means `pytest -q`."""

    kind: ClassVar[str] = "tests"
    argv: tuple[str, ...] = ()


Action = ShellLine | Argv | PythonCall | MakeDirs | WriteFile | RunTests


class Actions(Struct, frozen=True, kw_only=True):
    """The deterministic steps of a phase, done in order without a model."""

    kind: ClassVar[str] = "actions"
    actions: tuple[Action, ...]


class Script(Struct, frozen=True, kw_only=True):
    """Steps for the scripted tool of demos and tests; see `adapters/scripted.py`."""

    kind: ClassVar[str] = "script"
    steps: tuple[JsonObject, ...]


Work = Prompt | ShellLine | Argv | PythonCall | Actions | Script


class CheckSpec(Struct, frozen=True, kw_only=True):
    """A named command that must pass on a tree. Exactly one of `argv` and `run` is set."""

    id: CheckId
    argv: tuple[str, ...] = ()
    run: str | None = None
    inputs: tuple[str, ...] = ()
    """Globs of the paths it reads; empty means the whole tree."""
    timeout_s: float = 900.0
    min_time_s: float = 0.0
    """A pass quicker than this is suspicious and counts as a failure."""
    env: Mapping[str, str] = field(default_factory=dict)


class MergePolicy(Struct, frozen=True, kw_only=True):
    """How sealed lanes reach the target."""

    target: Branch
    checklist: tuple[CheckId, ...] | None = None
    """None: from the configuration, else found in the repository. Empty: nothing to check."""
    when: MergeWhen = MergeWhen.EAGER
    auto_merge: bool = True
    """False: a person approves each landing."""
    strategy: str = "merge-queue"


class RollbackPolicy(Struct, frozen=True, kw_only=True):
    """What happens to the remains of a failure."""

    preserve_worktrees: bool = True
    max_retry_attempts: int = 2


class Node(Struct, frozen=True, kw_only=True):
    """One unit of work. Durations are seconds, `priority` is lower first."""

    id: NodeId
    label: str
    tool: ToolName
    role: Role = Role.WT
    goal: str = ""
    work: Work = field(default_factory=Prompt)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    path_claims: tuple[PathClaim, ...] = ()
    deps: tuple[NodeId, ...] = ()
    capabilities: tuple[str, ...] = ()
    priority: int = 1
    est_cost: MicroUsd | None = None
    max_cost: MicroUsd | None = None
    est_duration_s: float | None = None
    timeout_s: float | None = None
    retries: int | None = None
    """None: `rollback_policy.max_retry_attempts`."""
    model: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    approval: Approval = Approval.NONE
    sandbox: Sandbox | None = None
    """None: as the configuration says. A node may be confined more than that, never less."""
    network: Network | None = None
    """None: as the configuration says, where it is confined."""
    form: Form | None = None
    """An answer of this form is wanted, and no work. Only of agents with role `ipt`."""
    stream: str | None = None
    """The stream of the `multi_stream.yaml` that this node's phase belongs to."""


class Plan(Struct, frozen=True, kw_only=True, dict=True):
    """What is executed. Node ids are unique, deps exist and are free of cycles."""

    plan_id: str
    name: str
    nodes: tuple[Node, ...]
    merge_policy: MergePolicy
    rollback_policy: RollbackPolicy = field(default_factory=RollbackPolicy)
    fix: FixPolicy | None = None
    """None: as the configuration says."""
    budget: MicroUsd | None = None
    checks: tuple[CheckSpec, ...] = ()
    branch_base: Branch
    branch_name: str | None = None
    correlation_id: CorrelationId | None = None
    created_by: str | None = None
    description: str = ""

    @cached_property
    def by_id(self) -> Mapping[NodeId, Node]:
        """The nodes by their id, in plan order."""
        return {node.id: node for node in self.nodes}

    def retries_of(self, node: Node) -> int:
        """How often a failed attempt of this node may be repeated."""
        return self.rollback_policy.max_retry_attempts if node.retries is None else node.retries
