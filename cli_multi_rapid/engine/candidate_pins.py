"""The refs that keep candidates from git's garbage collection, as long as they are wanted."""

from collections.abc import Iterable

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git import ANY, RefChange, Repository

CANDIDATE_REFS = "refs/cli-orchestrator/candidate/"


class CandidatePins:
    """One ref per candidate commit of a target: `.../candidate/<target>/<commit>`."""

    def __init__(self, repository: Repository, target: Branch) -> None:
        self._repository = repository
        self._folder = f"{CANDIDATE_REFS}{target}/"
        self._pinned: set[str] | None = None
        """None: a dead process may have left some."""

    def keep(self, commits: Iterable[Commit], *, exactly: bool = False) -> None:
        """Pin these commits. What is pinned beyond them goes with the next change, or `exactly` now."""
        wanted = {f"{self._folder}{commit}": commit for commit in commits}
        if self._pinned is None:
            self._pinned = set(self._repository.refs(self._folder))
        fresh = [ref for ref in wanted if ref not in self._pinned]
        surplus = [ref for ref in self._pinned if ref not in wanted]
        if not (fresh or (exactly and surplus)):
            return
        changes = [
            *(RefChange(ref=ref, old=ANY, new=wanted[ref]) for ref in fresh),
            *(RefChange(ref=ref, old=ANY, new=None) for ref in surplus),
        ]
        self._repository.update_refs(changes)
        self._pinned = set(wanted)


def target_of(pin: str) -> str:
    """The target whose queue made a pin."""
    return pin.removeprefix(CANDIDATE_REFS).rpartition("/")[0]
