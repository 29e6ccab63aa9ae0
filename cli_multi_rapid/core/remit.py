"""What may be changed to put right what a verification found: nothing but what nodes of the plan may change.

A review may name any file that has landed, and a failed check may have its cause anywhere. Whoever is to fix
it has been given no more than the plan has given to those whose work was looked at.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.claims import InvalidGlob, PathClaim, covered, parse_glob, paths_outside
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.plan import Node, Plan, Role
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verification_events import Finding

_WILD: Final = "*?["


class Remit(Struct, frozen=True, kw_only=True):
    """What the nodes whose work was looked at may change."""

    nodes: Mapping[NodeId, Node]

    @property
    def unbounded(self) -> bool:
        """Whether one of them may change everything, because it claims nothing."""
        return any(not node.path_claims for node in self.nodes.values())

    @property
    def claims(self) -> tuple[PathClaim, ...]:
        """All that they may write; empty for everything, or when that is nothing."""
        if self.unbounded:
            return ()
        held = (claim for node in self.nodes.values() for claim in node.path_claims if claim.writes)
        return tuple(dict.fromkeys(held))

    def allows(self, finding: Finding) -> bool:
        """Whether something can be done about it without a person who gives more than the plan has given."""
        if self.unbounded:
            return True
        return bool(self.claims) and not (finding.file and paths_outside([finding.file], self.claims))

    def covers(self, claims: Iterable[PathClaim]) -> bool:
        """Whether all that may be written with these claims, which may be none, may be changed."""
        held = [claim for claim in claims if claim.writes]
        return self.unbounded or (bool(held) and all(covered(claim.path, self.claims) for claim in held))

    def of_finding(self, finding: Finding, node: Node | None) -> tuple[PathClaim, ...]:
        """The claims of the node that is concerned, and the file where that is another's to change.

        Without a node and a file it is all that may be changed, as for a failed check: nobody knows where its
        cause is. Only for a finding that is allowed.
        """
        own = (node.path_claims or self.claims) if node else ()
        if not finding.file or (node and not own):
            return own if node else self.claims
        file = _literal(finding.file)
        if file is None:
            return own or self.claims
        return own if own and not paths_outside([finding.file], own) else (*own, PathClaim(path=file))


def remit_of(state: RunState, plan: Plan, looks: Iterable[NodeId]) -> Remit:
    """What may be changed after these verifications: what all nodes of the plan before them may change.

    What was added to the plan has been given nothing by anybody.
    """
    added = {node.id for past in state.amendments for node in past.nodes}
    found: dict[NodeId, Node] = {}
    stack, seen = list(looks), set[NodeId]()
    while stack:
        node = plan.by_id[stack.pop()]
        if node.id in seen:
            continue
        seen.add(node.id)
        stack.extend(node.deps)
        if node.role is Role.WT and node.id not in added:
            found[node.id] = node
    return Remit(nodes={node.id: node for node in plan.nodes if node.id in found})


def _literal(path: str) -> str | None:
    """A glob that matches this path: a claim has no way to escape a wildcard but a set of one character.

    None for a name that no claim can say.
    """
    text = "".join(f"[{letter}]" if letter in _WILD else letter for letter in path)
    try:
        parse_glob(text)
    except InvalidGlob:
        return None
    return text
