"""The commit that a node's work starts from: the target's tip plus the sealed heads of what comes before."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, Commit, NodeId
from cli_multi_rapid.git import Merged, Repository


class SealedHead(Struct, frozen=True, kw_only=True):
    """The sealed work of a node that comes before."""

    node_id: NodeId
    head: Commit


class Based(Struct, frozen=True, kw_only=True):
    """A base and what it holds beside the target's tip."""

    base: Commit
    tip: Commit
    merged: tuple[NodeId, ...]


class BaseConflict(Struct, frozen=True, kw_only=True):
    """The heads contradict each other or the target."""

    node_id: NodeId
    files: tuple[str, ...]


def tip_of(repository: Repository, target: Branch) -> Commit:
    """The commit of the target branch. Raises `UserError` when there is no such branch."""
    tip = repository.branch_tip(target)
    if tip is None:
        raise UserError(
            f"there is no branch {target} to land on",
            hint=f"create it (git branch {target}) or name another one in merge_policy.target",
        )
    return tip


def build_base(
    repository: Repository, target: Branch, heads: Sequence[SealedHead], now: datetime
) -> Based | BaseConflict:
    """Merge, in memory and in order, every head that the target does not hold yet.

    A single head that already contains the tip is the base as it is: no merge commit is made.
    """
    tip = tip_of(repository, target)
    base = tip
    merged: list[NodeId] = []
    for sealed in heads:
        if repository.is_ancestor(sealed.head, base):
            continue
        if repository.is_ancestor(base, sealed.head):
            base = sealed.head
            merged.append(sealed.node_id)
            continue
        outcome = repository.merge(base, sealed.head)
        if not isinstance(outcome, Merged):
            return BaseConflict(node_id=sealed.node_id, files=outcome.files)
        base = repository.commit(
            outcome.tree, (base, sealed.head), f"Base: {target} with {sealed.node_id}", when=now
        )
        merged.append(sealed.node_id)
    return Based(base=base, tip=tip, merged=tuple(merged))
