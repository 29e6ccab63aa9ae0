"""A person's word against a review's: what can be waived, and what is done with because of it. Pure.

A finding that is waived keeps its verdict from nothing. What was added to put it right is excused, unless it
is done already; and so is the verification, once nothing that it found is left and nothing new has landed.
"""

from collections.abc import Collection, Iterator, Sequence

from cli_multi_rapid.core.facts import FindingRef, Payload, Verdict
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_events import NodeReset
from cli_multi_rapid.core.node_state import NodeState, NodeStatus
from cli_multi_rapid.core.remedy_words import findings_of, headline
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verification_events import (
    Amending,
    Cause,
    FindingRestored,
    FindingWaived,
    NodeExcused,
    PlanAmended,
)

_WAIVABLE = frozenset({NodeStatus.FAILED, NodeStatus.PENDING, NodeStatus.WAITING})


def why_not_waived(state: RunState, refs: Sequence[FindingRef]) -> str:
    """Why these findings cannot be waived, the first reason; empty when all of them can."""
    reasons = (_unknown(state, ref) or _unwaivable(state, ref) for ref in refs)
    if first := next(filter(None, reasons), ""):
        return first
    for name in _answers(state, refs, _waived(state) | set(refs)):
        node = state.nodes[name]
        if not node.landed and not _can_be_excused(node):
            doing = "is at it" if node.status is NodeStatus.RUNNING else "is done and on its way to land"
            return f"{name} {doing}: wait for its end, or cancel the run"
    return ""


def waive(state: RunState, refs: Sequence[FindingRef], by: str, reason: str) -> list[Payload]:
    """The facts that follow. Only for findings that can be waived."""
    waived = _waived(state) | set(refs)
    facts: list[Payload] = []
    for ref in refs:
        summary = headline(findings_of(state.nodes[ref.node_id])[ref])
        facts.append(FindingWaived(finding=ref, summary=summary, by=by, reason=reason))
    excused = [name for name in _answers(state, refs, waived) if _can_be_excused(state.nodes[name])]
    gone = {*excused, *(name for name, node in state.nodes.items() if node.excused)}
    why = f"{by} has waived {', '.join(ref.name for ref in refs)}: {reason}"
    names = dict.fromkeys((*excused, *_cleared(state, refs, waived, gone)))
    return [*facts, *(NodeExcused(node_id=name, reason=why) for name in names)]


def why_not_restored(state: RunState, refs: Sequence[FindingRef]) -> str:
    """Why these findings cannot be made to count again; empty when all of them can."""
    for ref in refs:
        if unknown := _unknown(state, ref):
            return unknown
        if ref not in state.nodes[ref.node_id].waived:
            return f"{ref.name} is not waived"
    for name in dict.fromkeys((*(ref.node_id for ref in refs), *_excused_looks(state, refs))):
        after = (state.nodes[follower] for follower in state.frontier.dependents(name))
        built = next((node.node.id for node in after if node.attempts and not node.excused), None)
        if state.nodes[name].excused and built is not None:
            return f"{built} has been built on it since"
    return ""


def restore(state: RunState, refs: Sequence[FindingRef], by: str, reason: str) -> list[Payload]:
    """The facts that follow when a person takes it back: all is as it was before. Only where that can be."""
    facts = [FindingRestored(finding=ref, by=by, reason=reason) for ref in refs]
    answers = [name for name in _answers(state, refs, _waived(state)) if state.nodes[name].excused]
    names = dict.fromkeys((*answers, *_excused_looks(state, refs)))
    why = f"{by} has taken back what excused it"
    return [*facts, *(NodeReset(node_id=name, reason=why) for name in names)]


def overruled_by(state: RunState, node_id: NodeId) -> list[FindingRef]:
    """The findings that an added node is for, when all of them can still be waived."""
    refs: list[FindingRef] = []
    for past in state.amendments:
        if any(node.id == node_id for node in past.nodes):
            known = [ref for fix in past.fixes if fix.node_id == node_id for ref in fix.findings]
            refs.extend(known or _blamed(state, past))
    return refs if refs and not why_not_waived(state, refs) else []


def _blamed(state: RunState, past: PlanAmended) -> Iterator[FindingRef]:
    for cause in _roots(state, past):
        node = state.nodes[cause.node_id]
        for ref, finding in findings_of(node, cause.attempt).items():
            if finding.blocks and ref not in node.waived:
                yield ref


# --- what a finding has led to ------------------------------------------------------------------------------


def _unknown(state: RunState, ref: FindingRef) -> str:
    node = state.nodes.get(ref.node_id)
    if node is None:
        return f"this run has no node {ref.node_id}"
    if ref in findings_of(node):
        return ""
    if not findings_of(node):
        return f"{ref.node_id} ({node.shown_status}) has no verdict with findings"
    return f"the last verdict of {ref.node_id} has no finding {ref.number}"


def _unwaivable(state: RunState, ref: FindingRef) -> str:
    node = state.nodes[ref.node_id]
    finding = findings_of(node)[ref]
    if finding.check is not None:
        return f"{ref.name} is the failed check {finding.check}, before which nothing lands: change the check"
    if not finding.blocks:
        return f"{ref.name} is {finding.severity}: it keeps nothing from passing"
    if ref in node.waived:
        return f"{ref.name} was waived already, by {node.waived[ref].fact.by}"
    if node.status not in _WAIVABLE:
        return f"{ref.node_id} is {node.status}: what it found does not count"
    return ""


def _waived(state: RunState) -> set[FindingRef]:
    return {ref for node in state.nodes.values() for ref in node.waived}


def _concerned(state: RunState, refs: Sequence[FindingRef]) -> Iterator[PlanAmended]:
    """What was added because of the verdicts that these findings belong to."""
    causes = {Cause(node_id=ref.node_id, attempt=ref.attempt) for ref in refs}
    return (past for past in state.amendments if causes.intersection(_roots(state, past)))


def _roots(state: RunState, past: PlanAmended) -> Sequence[Cause]:
    """The verdicts behind an amendment; behind that of a plan those for which it was made."""
    if past.kind is not Amending.REMEDY:
        return past.causes
    planning = {cause.node_id for cause in past.causes}
    plans = (each for each in state.amendments if any(node.id in planning for node in each.nodes))
    return [cause for each in plans for cause in each.causes]


def _answers(state: RunState, refs: Sequence[FindingRef], waived: Collection[FindingRef]) -> Iterator[NodeId]:
    """The added nodes that are for these findings and for nothing that is not waived."""
    for past in _concerned(state, refs):
        if past.fixes:
            for fix in past.fixes:
                if set(fix.findings) <= set(waived) and not set(fix.findings).isdisjoint(refs):
                    yield fix.node_id
        elif not any(_blames(state, cause, waived) for cause in _roots(state, past)):
            yield from (node.id for node in past.nodes)


def _blames(state: RunState, cause: Cause, waived: Collection[FindingRef]) -> bool:
    found = findings_of(state.nodes[cause.node_id], cause.attempt).items()
    return any(finding.blocks and ref not in waived for ref, finding in found)


def _can_be_excused(node: NodeState) -> bool:
    """Whether nothing of it is under way, landed, or excused already."""
    return node.status is not NodeStatus.RUNNING and (node.status is not NodeStatus.COMPLETED or node.dead)


def _cleared(
    state: RunState,
    refs: Sequence[FindingRef],
    waived: Collection[FindingRef],
    gone: Collection[NodeId],
) -> Iterator[NodeId]:
    """The verifications whose last verdict is a good one by now, on the tree as it still is."""
    names = [ref.node_id for ref in refs]
    found = dict.fromkeys(name for name in names if state.nodes[name].status is NodeStatus.FAILED)
    for past in _concerned(state, refs):
        if all(node.id in gone for node in past.nodes):
            waiting = (name for name in past.again if _is_to_look_again(state.nodes[name]))
            found.update(dict.fromkeys(waiting))
    return (name for name in found if _passes(state, state.nodes[name], waived))


def _is_to_look_again(node: NodeState) -> bool:
    return node.status in (NodeStatus.PENDING, NodeStatus.WAITING) and not node.tries


def _passes(state: RunState, node: NodeState, waived: Collection[FindingRef]) -> bool:
    verified = node.attempts[-1].verified if node.attempts else None
    if verified is None or verified.verdict is Verdict.ERROR:
        return False
    return not _blames(state, Cause(node_id=node.node.id, attempt=verified.attempt), waived)


def _excused_looks(state: RunState, refs: Sequence[FindingRef]) -> list[NodeId]:
    """The verifications that were to come after what was added, and were excused with all of it."""
    names = (name for past in _concerned(state, refs) for name in past.again)
    return [name for name in dict.fromkeys(names) if state.nodes[name].excused]
