"""Between a run and the merge queue: entries from sealed nodes, and the end of their branches."""

from collections.abc import Iterator

from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Branch, Commit, EntryId, NodeId, RunId
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    CheckStarted,
    MergeApproved,
    MergeCancelled,
    MergeChecking,
    MergeConflicted,
    MergeEnqueued,
    MergeEntry,
    MergeFailed,
    MergeHalted,
    MergeHeld,
    MergeLanded,
    MergeLanding,
    MergeMissed,
    MergePreempted,
    MergeResealed,
    MergeResumed,
    MergeSplit,
    MergeVouched,
)
from cli_multi_rapid.core.node_state import MergeStatus, NodeState
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.scheduler import needs_consent
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.git import NotCheckedOut, RefChange, Repository

_OF_ENTRIES = (
    MergeChecking,
    MergePreempted,
    MergeSplit,
    MergeVouched,
    MergeLanding,
    MergeLanded,
    MergeMissed,
    MergeHeld,
    CheckStarted,
    CheckFinished,
)
_OF_ONE_ENTRY = (MergeApproved, MergeResealed, MergeConflicted, MergeFailed, MergeCancelled)


class Lanes:
    """The lanes of one run."""

    def __init__(
        self,
        repository: Repository,
        *,
        template: str,
        checks: tuple[CheckSpec, ...],
        update_checkout: bool,
    ) -> None:
        self._repository = repository
        self._template = template
        self._checks = checks
        self._update_checkout = update_checkout
        self._tidied: set[NodeId] = set()

    def obstacle(self, run_id: RunId) -> Branch | None:
        """A branch whose name is a folder of the lanes' names: git allows no lane beside it."""
        folder = self._folder(run_id)
        names = [Branch("/".join(folder[:depth])) for depth in range(1, len(folder) + 1)]
        return next((name for name in names if self._repository.branch_tip(name) is not None), None)

    def drop_hollow(self, run_id: RunId) -> None:
        """Remove the run's lanes whose commit a `git prune` took away before their ref was written."""
        folder = self._folder(run_id)
        if any(run_id in name for name in folder):  # else the folder is not the run's alone
            self._repository.drop_hollow(f"refs/heads/{'/'.join(folder)}")

    def lane_of(self, state: RunState, node_id: NodeId) -> Branch:
        """The branch of a node's next work; what an earlier attempt has sealed keeps its own."""
        lane = self._template.format(run=state.run_id, node=node_id)
        return Branch(lane + _round(state.nodes[node_id].lanes))

    def entry_of(self, state: RunState, node_id: NodeId) -> MergeEntry:
        """The merge entry of a node whose work is sealed."""
        node_state = state.nodes[node_id]
        done, plan = node_state.success, state.plan
        if done is None or plan is None or done.commit is None or done.base is None or done.branch is None:
            raise ValueError(f"{node_id} has no sealed work")
        return MergeEntry(
            id=_next_entry(state, node_state),
            branch=done.branch,
            head=done.commit,
            base=done.base,
            target=plan.merge_policy.target,
            priority=node_state.node.priority,
            deps=_entries_below(state, node_state, needed=True),
            after=_entries_below(state, node_state, needed=False),
            checks=self._checks,
            marker=f"refs/cli-orchestrator/landed/{state.run_id}/{node_id}",
            run_id=state.run_id,
            node_id=node_id,
            label=node_state.node.label,
            needs_approval=needs_consent(plan, node_state),
            update_checkout=self._update_checkout,
        )

    def concerns(self, state: RunState, fact: Payload) -> bool:
        """Whether a fact of the queue belongs to this run's story."""
        if isinstance(fact, MergeEnqueued):
            return fact.entry.run_id == state.run_id
        if isinstance(fact, _OF_ENTRIES):
            return any(entry_id in state.entries for entry_id in fact.entries)
        if isinstance(fact, _OF_ONE_ENTRY):
            return fact.entry_id in state.entries
        return isinstance(fact, MergeHalted | MergeResumed)

    def tidy(self, state: RunState) -> None:
        """Remove the branches of work that has landed.

        One that a person has checked out, or has moved to a commit of their own, stays.
        """
        landed = [
            node
            for node in state.nodes.values()
            if node.merge_status is MergeStatus.MERGED and node.node.id not in self._tidied
        ]
        if not landed:
            return
        present = self._repository.refs(f"refs/heads/{self._prefix(state)}")
        ours = {ref: at for node in landed for ref, at in self._made_by(node)}
        doomed = [(ref, at) for ref, at in present.items() if at in ours.get(ref, ()) and self._is_free(ref)]
        if doomed:
            self._repository.update_refs([RefChange(ref=ref, old=at, new=None) for ref, at in doomed])
        self._tidied.update(node.node.id for node in landed)

    def _prefix(self, state: RunState) -> str:
        """The part of the lanes' name before the node."""
        return "/".join(self._folder(state.run_id))

    def _folder(self, run_id: RunId) -> list[str]:
        """The folders of the lanes' names that all nodes of a run share."""
        return self._template.format(run=run_id, node="\0").split("\0")[0].split("/")[:-1]

    def _made_by(self, node: NodeState) -> Iterator[tuple[str, frozenset[Commit | None]]]:
        """The branches of a node's attempts, each with the commits that we made it point at."""
        for attempt in node.attempts:
            if attempt.branch:
                yield f"refs/heads/{attempt.branch}", frozenset((attempt.commit, node.head))

    def _is_free(self, ref: str) -> bool:
        branch = Branch(ref.removeprefix("refs/heads/"))
        return isinstance(self._repository.checkout_of(branch), NotCheckedOut)


def _next_entry(state: RunState, node: NodeState) -> EntryId:
    """The name of a node's next entry in the queue."""
    return EntryId(f"{state.run_id}/{node.node.id}{_round(node.entries)}")


def _entries_below(state: RunState, node: NodeState, *, needed: bool) -> tuple[EntryId, ...]:
    """The entries of the very work that a lane was built on.

    Also of work that was given up since: what holds it must not land. And of work that is given to the queue
    in this same moment, of which the run's stream does not tell yet.
    """
    found = []
    for footing in node.foundation:
        below = state.nodes[footing.node_id]
        if footing.needed is needed:
            found.append(below.queued_as.get(footing.attempt) or _next_entry(state, below))
    return tuple(found)


def _round(before: int) -> str:
    """What tells the names of a node's later lanes and entries from the first; `@` is in no node's id."""
    return f"@{before + 1}" if before else ""
