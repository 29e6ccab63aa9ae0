"""Fixtures of tests that run the engine."""

from pathlib import Path

import pytest

from tests.fakes.worlds import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A small repository with an orchestrator's eye on it."""
    return make_world(tmp_path / "repo", {"README.md": "# Example\n", "src/a.txt": "a\n"})
