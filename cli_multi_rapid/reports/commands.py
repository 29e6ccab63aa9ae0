"""The command lines that reports tell people to type, spelled in one place."""

import shlex

from cli_multi_rapid.core.ids import Branch, EntryId, NodeId, RunId
from cli_multi_rapid.core.money import MicroUsd

PROGRAM = "cli-orchestrator"


def _line(*words: str) -> str:
    return shlex.join((PROGRAM, *words))


def resume(run: RunId) -> str:
    """Take a run up again."""
    return _line("resume", run)


def resume_with_budget(run: RunId, limit: MicroUsd) -> str:
    """Take a run up again with another limit."""
    cents = -(-limit // 10_000)  # rounded up, so that the limit is enough
    return _line("resume", run, "--budget", f"{cents // 100}.{cents % 100:02d}")


def resume_unpriced(run: RunId) -> str:
    """Take a run up again with what nobody can tell the cost of."""
    return _line("resume", run, "--allow-unpriced")


def resume_fixing(run: RunId) -> str:
    """Take a run up again and have put right what its verification found."""
    return _line("resume", run, "--fix", "auto")


def plan_fix(found: str) -> str:
    """Have a plan made of what a verification found."""
    return _line("plan", "--request", f"Put right: {found}")


def status_of_all(run: str) -> str:
    """See every node and every next step."""
    return _line("status", run, "--all")


def retry(run: RunId, node: NodeId) -> str:
    """Do a node again."""
    return _line("retry", run, node)


def plan_remedy(node: NodeId, reason: str) -> str:
    """Have a plan made of what stands in a node's way."""
    return _line("plan", "--request", f"Mend what keeps {node} from landing: {reason}")


def approve(run: RunId, node: NodeId) -> str:
    """Agree to what a node asks for."""
    return _line("approve", run, node)


def reject(run: RunId, node: NodeId) -> str:
    """Refuse what a node asks for."""
    return _line("reject", run, node)


def waive(run: RunId, *findings: str) -> str:
    """Overrule findings of a review, which the person names the reason of."""
    return _line("waive", run, *findings, "--reason", "WHY")


def unpause(run: RunId) -> str:
    """Let attempts start again."""
    return _line("unpause", run)


def watch(run: RunId) -> str:
    """Look at a run while it goes on."""
    return _line("watch", run)


def report(run: RunId) -> str:
    """Read the whole report."""
    return _line("report", run, "--format", "md")


def queue_list_all() -> str:
    """See every entry of every queue, also those that left it long ago."""
    return _line("queue", "list", "--all")


def queue_add(branch: Branch, target: Branch | None = None) -> str:
    """Queue a branch that a person has put right; without a target for the one that is configured."""
    return _line("queue", "add", branch, *(("--target", target) if target else ()))


def queue_process(target: Branch, *, push: str | None = None) -> str:
    """Check and land what waits for a target; `push`: on this remote as well."""
    return _line("queue", "process", *(["--push", push] if push else []), "--target", target)


def queue_retry(entry: EntryId) -> str:
    """Queue an entry's branch again."""
    return _line("queue", "retry", entry)


def queue_approve(entry: EntryId) -> str:
    """Agree to the landing of an entry."""
    return _line("queue", "approve", entry)


def queue_why(entry: EntryId) -> str:
    """See all that is known of an entry."""
    return _line("queue", "why", entry)
