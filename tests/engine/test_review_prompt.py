"""What a reviewer is shown of the difference: as much as one argument of a program has room for."""

from pathlib import Path

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.engine.review import ReviewQuestion
from cli_multi_rapid.git import open_repository
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
