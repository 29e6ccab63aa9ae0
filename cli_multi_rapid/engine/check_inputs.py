"""What checks with `inputs` see of a tree: its digest, for their verdicts, and a commit of just that."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.core.merge_events import MergeChecking
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.verdicts import Contents, Inputs, InputsDigest
from cli_multi_rapid.git import Repository
from cli_multi_rapid.git_objects import NOBODY

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Always the same time, author and message, so that equal inputs are one commit."""


class CheckInputs:
    """The inputs of checks in one repository's trees.

    `contents` and `learn` are for the deciding thread; `commit` is safe to call from several threads.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._inputs: dict[tuple[str, ...], Inputs] = {}
        self._digests: dict[tuple[Tree, tuple[str, ...]], str] = {}
        self._latest: dict[tuple[str, ...], Tree] = {}
        """The last tree whose digest is known, for each inputs: the next one is likely to be much like it."""

    def learn(self, event: Event) -> None:
        """Take note of what the log says about a tree, so that it need not be read again."""
        if isinstance(event.data, MergeChecking):
            for part in event.data.contents:
                if part.is_current:
                    self._know(event.data.tree, part.inputs, part.digest)

    def contents(self, tree: Tree, checks: Iterable[CheckSpec]) -> Contents:
        """What those of the checks that declare inputs see of a tree.

        A tree is read whole only where it differs, in what counts, from the last one.
        """
        wanted = dict.fromkeys(check.inputs for check in checks if check.inputs)
        self._carry_over(tree, self._missing(tree, wanted))
        if missing := self._missing(tree, wanted):
            listing = self._repository.tree_files(tree)
            for globs in missing:
                self._know(tree, globs, self._inputs_of(globs).digest(listing))
        return tuple(InputsDigest(inputs=globs, digest=self._digests[tree, globs]) for globs in wanted)

    def _missing(self, tree: Tree, wanted: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
        return [globs for globs in wanted if (tree, globs) not in self._digests]

    def _carry_over(self, tree: Tree, missing: Iterable[tuple[str, ...]]) -> None:
        """Take over the digests of the last trees where nothing has changed that counts."""
        changed: dict[Tree, Sequence[str] | None] = {}
        for globs in missing:
            base = self._latest.get(globs)
            if base is None:
                continue
            if base not in changed:
                changed[base] = self._repository.changed_paths(base, tree)
            paths = changed[base]
            if paths is not None and not self._inputs_of(globs).touched_by(paths):
                self._know(tree, globs, self._digests[base, globs])

    def _know(self, tree: Tree, globs: tuple[str, ...], digest: str) -> None:
        self._digests[tree, globs], self._latest[globs] = digest, tree

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
