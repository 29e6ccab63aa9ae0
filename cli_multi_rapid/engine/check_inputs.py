"""What checks with `inputs` see of a tree: its digest, for their verdicts, and a commit of just that."""

from collections.abc import Iterable
from datetime import UTC, datetime

from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.verdicts import Contents, Inputs, InputsDigest
from cli_multi_rapid.git import Repository
from cli_multi_rapid.git_objects import NOBODY

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Always the same time, author and message, so that equal inputs are one commit."""


class CheckInputs:
    """The inputs of checks in one repository's trees; safe to use from several threads."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._inputs: dict[tuple[str, ...], Inputs] = {}
        self._digests: dict[tuple[Tree, tuple[str, ...]], str] = {}

    def contents(self, tree: Tree, checks: Iterable[CheckSpec]) -> Contents:
        """What those of the checks that declare inputs see of a tree. Git is asked once per tree."""
        wanted = dict.fromkeys(check.inputs for check in checks if check.inputs)
        missing = [globs for globs in wanted if (tree, globs) not in self._digests]
        if missing:
            listing = self._repository.tree_files(tree)
            for globs in missing:
                self._digests[tree, globs] = self._inputs_of(globs).digest(listing)
        return tuple(InputsDigest(inputs=globs, digest=self._digests[tree, globs]) for globs in wanted)

    def commit(self, tree: Tree, check: CheckSpec) -> Commit | None:
        """A commit of only what a check with inputs sees of a tree; None when it declares no file of it.

        Not kept for later: one check runs once on what it sees, and git is quick to find the objects again.
        """
        inputs = self._inputs_of(check.inputs)
        files = inputs.pick(self._repository.tree_files(tree))
        if not any(inputs.declare(file.path) for file in files):
            return None
        reduced = self._repository.make_tree(files)
        return self._repository.commit(reduced, (), "The inputs of a check", when=_LONG_AGO, author=NOBODY)

    def _inputs_of(self, globs: tuple[str, ...]) -> Inputs:
        return self._inputs.setdefault(globs, Inputs(globs))
