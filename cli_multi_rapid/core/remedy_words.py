"""What a verification found, and what the nodes of a remedy are told to do: findings are only quoted."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cli_multi_rapid.core.facts import FindingRef, Verdict
from cli_multi_rapid.core.node_state import NodeState, NodeStatus
from cli_multi_rapid.core.verification_events import Finding

_LONGEST_SUMMARY: Final = 200
_LONGEST_EVIDENCE: Final = 3_000
"""Characters of the end of a check's output, for each check."""
_MOST_NAMED: Final = 3

_SMALL: Final = """\
Make the smallest change that puts it right, in the style of the code around it. Do not weaken, skip or remove
a test or a check to make it pass, unless it is the test itself that is wrong: then say so."""

_PLAN: Final = """\
The work that has landed did not pass its verification. Plan the nodes that put right what was found: as few
as do it, and nothing beside what was found. The verification is run again after them by itself."""

_ONE_FIRST: Final = """
Some of it are failed checks. Nothing lands before all checks pass, so one node must put all of them right: it
has no deps, and every other node depends on it."""


def verifies(node: NodeState) -> bool:
    """Whether it has come to a verdict on the landed tree."""
    return bool(node.attempts) and node.attempts[-1].verified is not None


def findings_of(node: NodeState, attempt: int | None = None) -> dict[FindingRef, Finding]:
    """All that a verdict of a node is about: that of an attempt, or its last one."""
    if not node.attempts:
        return {}
    tried = node.attempts[-1 if attempt is None else attempt - 1]
    found = tried.verified.findings if tried.verified else ()
    return {
        FindingRef(node_id=node.node.id, attempt=tried.number, number=number): finding
        for number, finding in enumerate(found, 1)
    }


def standing(node: NodeState) -> dict[FindingRef, Finding]:
    """What the last verdict of a node that failed because of it blames, but for what a person has waived."""
    verified = node.attempts[-1].verified if node.attempts else None
    if node.status is not NodeStatus.FAILED or verified is None or verified.verdict is Verdict.PASSED:
        return {}
    found = findings_of(node).items()
    return {ref: finding for ref, finding in found if finding.blocks and ref not in node.waived}


def found_by(node: NodeState) -> tuple[Finding, ...]:
    """The findings of `standing`."""
    return tuple(standing(node).values())


def shortly(findings: Sequence[Finding]) -> str:
    """The findings in a line."""
    named = [_cut(headline(finding)) for finding in findings[:_MOST_NAMED]]
    more = [f"and {len(findings) - _MOST_NAMED} more"] if len(findings) > _MOST_NAMED else []
    return ", ".join([*named, *more])


def fix_checks(findings: Sequence[Finding]) -> str:
    """The goal of a node that repairs failed checks."""
    return (
        "These checks fail on what has landed. Put right what they found, so that all of them pass.\n"
        f"{_SMALL}\n\n{_listed(findings)}"
    )


def fix_finding(finding: Finding) -> str:
    """The goal of a node that does away with what a review found."""
    return f"A review of what has landed found this. Put it right.\n{_SMALL}\n\n{_listed([finding])}"


def plan_remedy(findings: Sequence[Finding], within: Sequence[str] = ()) -> str:
    """The goal of a node that plans what is to be done about all of it.

    `within`: globs of all that may be changed; empty: everything.
    """
    first = _ONE_FIRST if needs_one_first(findings) else ""
    bound = f"\nThe claims of every node lie inside: {', '.join(within)}" if within else ""
    return f"{_PLAN}{first}{bound}\n\n{_listed(findings)}"


def for_a_person(findings: Sequence[Finding]) -> str:
    """Why nobody here may put these right."""
    return f"no node of the plan may change it, so a person must: {shortly(findings)}"


def needs_one_first(findings: Sequence[Finding]) -> bool:
    """Whether nothing can land before one node has put all failed checks right."""
    return any(finding.check is not None for finding in findings)


def _listed(findings: Sequence[Finding]) -> str:
    return "\n\n".join(_told(finding) for finding in findings)


def _told(finding: Finding) -> str:
    about = f" (work of the node {finding.node})" if finding.node else ""
    evidence = finding.evidence.strip()[-_LONGEST_EVIDENCE:]
    output = f"\nIts output ends so:\n{evidence}" if evidence else ""
    return f"- {finding.severity}: {headline(finding)}{about}{output}"


def waived_words(nodes: Iterable[NodeState]) -> Iterator[str]:
    """What whoever looks again, or plans, is told of the findings that a person does not share."""
    for node in nodes:
        for waiver in node.waived.values():
            said = f"{waiver.fact.summary} (because: {waiver.fact.reason})"
            yield f"A person has decided that this is no fault, so it is not to be found again: {said}"


def headline(finding: Finding) -> str:
    """`src/a.py:3: a hole`."""
    what = finding.place or finding.check
    return f"{what}: {finding.summary}" if what else finding.summary


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SUMMARY else f"{line[: _LONGEST_SUMMARY - 1]}…"
