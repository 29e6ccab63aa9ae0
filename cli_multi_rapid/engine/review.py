"""A review of what has landed: what the agent is told, and what its answer comes to."""

import json
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.facts import FailureClass, Verdict
from cli_multi_rapid.core.ids import Commit, NodeId
from cli_multi_rapid.core.remedy_words import shortly
from cli_multi_rapid.core.verification_events import NodeVerified
from cli_multi_rapid.engine.answers import bad_answer, errors_in
from cli_multi_rapid.engine.attempt_terms import Failed, Judged, Sealed
from cli_multi_rapid.git import Repository
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.review_answer import Opinion, Review, Reviewed, parse_review, review_schema

_LONGEST_PROMPT: Final = 120 * 1024
"""Bytes; it is one argument of a program, which Linux bounds at 128 KiB."""
_LONGEST_DIFF: Final = 48 * 1024
"""Bytes of the diff that a reviewer is shown; the rest it can read in the files."""
_MOST_LINES: Final = 2_000
"""Changed lines of all files whose diff is made at all."""
_LONGEST_NAMES: Final = 4 * 1024
"""Bytes of the names of files that are too long for it."""


class ReviewQuestion(Struct, frozen=True, kw_only=True):
    """Whose work one attempt reviews."""

    node_id: NodeId
    attempt: int
    nodes: tuple[NodeId, ...]
    """The nodes whose work has landed and is reviewed."""
    since: Commit
    """The target before the run."""
    files: frozenset[str]
    """What those nodes have changed."""

    @property
    def schema(self) -> str:
        """The form of the answer."""
        return json.dumps(review_schema(self.nodes))

    def add_to(self, prompt: str, repository: Repository, base: Commit) -> str:
        """The prompt with the difference that the work has made, as far as there is room."""
        shown, left_out = self._shown(repository, base)
        more = f"\nToo long to be shown here, read them: {_named(left_out)}\n" if left_out else ""
        room = min(_LONGEST_DIFF, _LONGEST_PROMPT - len(f"{prompt}{more}".encode("utf-8", "replace")))
        text = repository.patch(self.since, base, shown) if shown and room > 0 else ""
        text = text.replace("\0", "\ufffd")  # as it will be in an argument, where it is longer
        data = text.encode("utf-8", "replace")
        if len(data) > room:
            text = data[: max(0, room)].decode("utf-8", "ignore") + "\n[... the rest is left out here ...]\n"
        return f"{prompt}\n## The difference that the work has made\n{text or '(none)'}{more}"

    def _shown(self, repository: Repository, base: Commit) -> tuple[list[str], list[str]]:
        """The changed files whose diff is shown, and those that are too long for it."""
        shown, left_out, lines = list[str](), list[str](), 0
        for change in repository.changes(self.since, base):
            if self.files.isdisjoint(change.names):
                continue
            size = change.added + change.removed
            if lines + size > _MOST_LINES:
                left_out.extend(change.names)
                continue
            lines += size
            shown.extend(change.names)
        return shown, left_out

    def judge(self, answer: str, ended: Sealed, repository: Repository, base: Commit) -> Judged:
        """The verdict of the review, or what is wrong with it."""
        problems, name = Problems(), f"review-{self.attempt}.json"
        review = parse_review(answer, name, problems, self._reviewed(repository, base))
        if review is None:
            return bad_answer("the review", answer, errors_in(problems), ended)
        fact = NodeVerified(
            node_id=self.node_id,
            attempt=self.attempt,
            commit=base,
            tree=repository.tree_of(base),
            verdict=Verdict.PASSED if review.verdict is Opinion.PASS else Verdict.FAILED,
            summary=review.summary,
            findings=review.findings,
            dropped=ended.dropped,
        )
        return Judged(ended=_end_of(review, ended), facts=(fact,))

    def _reviewed(self, repository: Repository, base: Commit) -> Reviewed:
        known = frozenset(repository.list_files(base))
        names = (name for change in repository.changes(self.since, base) for name in change.names)
        gone = [name for name in names if name not in known]

        def lines_of(path: str) -> int | None:
            content = repository.read_file(base, path) if path in known else None
            return None if content is None else len(content.splitlines())

        return Reviewed(nodes=self.nodes, lines_of=lines_of, gone=gone)


def _named(paths: Sequence[str]) -> str:
    """As many of the paths as there is room for; the rest is counted."""
    kept, size = list[str](), 0
    for path in paths:
        size += len(path.encode("utf-8", "replace")) + 2
        if size > _LONGEST_NAMES:
            break
        kept.append(path)
    left_out = len(paths) - len(kept)
    return ", ".join([*kept, *([f"[... and {left_out} more ...]"] if left_out else [])])


def _end_of(review: Review, ended: Sealed) -> Sealed | Failed:
    if review.verdict is Opinion.PASS:
        return Sealed(
            summary=review.summary, snapshot=None, warnings=(*ended.warnings, *_minor(review))
        )  # fmt: skip
    blocking = [finding for finding in review.findings if finding.blocks]
    return Failed(
        failure=FailureClass.REJECTED,
        reason=f"the review found {_count(len(blocking))}: {shortly(blocking)}",
        evidence=review.summary,
    )


def _minor(review: Review) -> Sequence[str]:
    return [f"minor: {shortly([finding])}" for finding in review.findings]


def _count(number: int) -> str:
    return "1 thing to put right" if number == 1 else f"{number} things to put right"
