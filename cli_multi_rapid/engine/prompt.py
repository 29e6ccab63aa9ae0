"""The text that an agent is given, and nothing that a plan says becomes more than text."""

from collections.abc import Sequence

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.plan import Node

_LONGEST_EVIDENCE = 4000


def write_prompt(
    node: Node, *, done: Sequence[tuple[str, str]], context: Sequence[str], evidence: str = ""
) -> str:
    """Compose the prompt of one attempt.

    `done`: label and summary of each dependency. `context`: what people injected. `evidence`: the end of the
    last failure, of which the last 4000 characters are shown.
    """
    sections = [
        f"# {node.label}",
        node.goal or node.label,
        _bullets("Read these first", node.inputs),
        _bullets("Write these", node.outputs),
        _claims(node.path_claims),
        _bullets("Already done by others", [f"{label}: {summary}" for label, summary in done]),
        _bullets("Said by the person in charge", context),
        f"## The last attempt failed\n{evidence[-_LONGEST_EVIDENCE:]}" if evidence else "",
        "Work only in the current folder. Do not commit, push or switch branches: that is done for you.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _bullets(title: str, items: Sequence[str]) -> str:
    return "\n".join([f"## {title}", *(f"- {item}" for item in items)]) if items else ""


def _claims(claims: Sequence[PathClaim]) -> str:
    if not claims:
        return ""
    may = [claim.path for claim in claims if claim.mode is not ClaimMode.READ]
    return _bullets("You may change only", may) if may else "## Change no file"
