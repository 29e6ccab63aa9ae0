"""What a reviewer is shown of the difference: as much as one argument of a program has room for."""

from pathlib import Path

from cli_multi_rapid.core.facts import FindingRef
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.plan import Form
from cli_multi_rapid.core.waiver import waive
from cli_multi_rapid.engine.orders import prompt_of
from cli_multi_rapid.engine.review import ReviewQuestion
from cli_multi_rapid.git import open_repository
from tests.fakes.failed_looks import HOLE, LEAK, amended, landed, verdict
from tests.fakes.repositories import Content, make_repository

_ARGUMENT = 128 * 1024
"""Bytes that Linux lets one argument have, with its last NUL."""


def shown(folder: Path, files: dict[str, Content], prompt: str = "Review.") -> str:
    """The prompt of a review of work that has made these files."""
    builder = make_repository(folder / "repo")
    since = builder.head
    question = ReviewQuestion(
        node_id=NodeId("look"), attempt=1, nodes=(NodeId("n"),), since=since, files=frozenset(files)
    )
    return question.add_to(
        prompt, open_repository(builder.path, scratch=folder / "scratch"), builder.commit(files)
    )


def test_who_looks_again_or_plans_is_told_what_a_person_has_overruled() -> None:
    story = verdict(landed(form=Form.REVIEW).start("look"), HOLE, LEAK, LEAK)
    ref = FindingRef(node_id=NodeId("look"), attempt=1, number=1)
    (plan,) = amended(story).nodes
    story.tell(*waive(story.state, [ref], "ada", "the proxy does it"))
    for name in (NodeId("look"), plan.id):
        told = prompt_of(story.state, story.state.nodes[name])
        assert "no fault, so it is not to be found again: src/n/a.py:3: a hole (because: the proxy" in told
    assert "the proxy" not in prompt_of(story.state, story.state.nodes[NodeId("n")])


def test_one_long_file_hides_none_of_the_others(tmp_path: Path) -> None:
    told = shown(tmp_path, {"a.lock": "x\n" * 3_000, "b.py": "answer = 42\n"})
    assert "+answer = 42" in told
    assert "read them: a.lock" in told


def test_a_review_of_however_many_files_can_be_asked_for(tmp_path: Path) -> None:
    files: dict[str, Content] = {f"{'d' * 200}/{number}": "x\n" for number in range(700)}
    told = shown(tmp_path, {"a": "x\n" * 2_000, **files}, prompt="Review.\n" * 12_000)
    assert len(told.encode()) < _ARGUMENT
    assert "more ...]" in told


def test_bytes_that_no_argument_can_hold_do_not_make_it_too_long(tmp_path: Path) -> None:
    told = shown(tmp_path, {"raw": b"text\n" * 1_900 + b"\0" * 60_000}, prompt="Review.\n" * 9_000)
    assert "\ufffd" in told
    assert len(told.replace("\0", "\ufffd").encode()) < _ARGUMENT
