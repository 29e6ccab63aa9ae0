"""What a worker is told to do, and how an attempt can end."""

import traceback
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from cli_multi_rapid.core.confinement import Confinement, Loosened
from cli_multi_rapid.core.errors import EnvironmentFault, OrchestratorError
from cli_multi_rapid.core.facts import FailureClass, Payload, Usage
from cli_multi_rapid.core.ids import Branch, Commit, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.engine.bases import SealedHead
from cli_multi_rapid.git import Repository
from cli_multi_rapid.process_terms import CancelToken
from cli_multi_rapid.worktrees import Snapshot


class Judged(Struct, frozen=True, kw_only=True):
    """What an answer comes to: facts to record with the attempt, and how that ends."""

    ended: "Sealed | Failed"
    facts: tuple[Payload, ...] = ()


class Question(Protocol):
    """What an agent is asked instead of being given work."""

    @property
    def schema(self) -> str:
        """The JSON schema of the answer."""

    def add_to(self, prompt: str, repository: Repository, base: Commit) -> str:
        """The prompt with what only the repository knows. `base`: what has landed."""

    def judge(self, answer: str, ended: "Sealed", repository: Repository, base: Commit) -> Judged:
        """Hold an answer against our own rules; it comes redacted. `ended`: what the agent did beside."""


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
    question: "Question | None" = None
    """What is asked, where an answer in a form is wanted and no work."""


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
    dropped: tuple[str, ...] = ()
    """Files that were thrown away, because the node lands nothing."""


class Verify(Protocol):
    """The built-in verifier, which needs no slot of its own."""

    def run(self, order: AttemptOrder, cancel: CancelToken) -> tuple[Payload, ...]:
        """The facts of the attempt."""


def failed_by(error: BaseException) -> Failed:
    """The end of an attempt that a fault of ours or of its surroundings broke off."""
    if not isinstance(error, Exception):
        reason = f"the thread of the attempt died: {type(error).__name__}"
        return Failed(failure=FailureClass.INTERRUPTED, reason=reason, evidence="")
    if isinstance(error, OrchestratorError):
        return Failed(failure=FailureClass.ENVIRONMENT, reason=error.message, evidence=error.hint)
    reason = f"internal error: {type(error).__name__}: {error}"
    evidence = "".join(traceback.format_exception(error))
    return Failed(failure=FailureClass.ENVIRONMENT, reason=reason, evidence=evidence)
