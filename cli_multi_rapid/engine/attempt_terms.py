"""What a worker is told to do, and how an attempt can end."""

from pathlib import Path

from msgspec import Struct, field

from cli_multi_rapid.core.confinement import Confinement, Loosened
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.facts import FailureClass, Payload, Usage
from cli_multi_rapid.core.ids import Branch, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.engine.bases import SealedHead
from cli_multi_rapid.worktrees import Snapshot

DEFAULT_TIMEOUT_S = 1800.0
"""How long an attempt may take when its node says nothing: no tool ends by itself on a silent server."""


class AttemptOrder(Struct, frozen=True, kw_only=True):
    """All that a worker needs for one attempt."""

    run_id: RunId
    node: Node
    attempt: int
    tool: ToolName
    target: Branch
    lane: Branch
    heads: tuple[SealedHead, ...]
    prompt: str
    log: Path
    slot_name: str
    cap: MicroUsd | None
    reserved: MicroUsd
    session_id: str | None
    """The session of the last attempt, when the same tool goes on with the node."""
    session_usage: Usage = field(default_factory=Usage)
    """What earlier attempts have booked for that session."""
    keep_on_failure: bool
    claims_rule: str
    """What happens to a change outside the claims: `fail`, `warn` or `strip`."""
    confinement: Confinement | Loosened | None = None
    """How the tool is confined; None: not at all."""


class Failed(Struct, frozen=True, kw_only=True):
    """Why an attempt ended without usable work."""

    failure: FailureClass
    reason: str
    evidence: str = ""


class Told(Struct, frozen=True, kw_only=True):
    """What a worker reports of an attempt."""

    facts: tuple[Payload, ...] = ()
    fault: EnvironmentFault | None = None
    """Of the machine, which would meet every other attempt too: the run is to stop until it is gone."""


class Sealed(Struct, frozen=True, kw_only=True):
    """What an attempt achieved. Without a snapshot there was nothing to change."""

    summary: str
    snapshot: Snapshot | None
    warnings: tuple[str, ...] = ()
