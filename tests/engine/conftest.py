"""Fixtures of tests that run the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.queues import QueueBench, open_bench
from tests.fakes.worlds import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A small repository with an orchestrator's eye on it."""
    return make_world(tmp_path / "repo", {"README.md": "# Example\n", "src/a.txt": "a\n"})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[QueueBench]:
    """An empty merge queue on a small repository."""
    with open_bench(make_world(tmp_path / "repo", {"src/start.txt": "one\ntwo\nthree\n"})) as bench:
        yield bench
