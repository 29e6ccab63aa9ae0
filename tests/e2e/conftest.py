"""Every test here has its own repository, home folder and model server, and leaves no process."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.agents import AGENTS, Agent
from tests.e2e.world import World
from tests.fakes.model_server.script import Script
from tests.fakes.model_server.server import ModelServer
from tests.fakes.repositories import make_repository

TOOLS = Path(os.environ.get("E2E_TOOLS", "")) / "bin"


class Serve(Protocol):
    """Make the world whose model follows scripts of these names."""

    def __call__(self, **scripts: Script) -> World: ...


@pytest.fixture(params=AGENTS, ids=lambda agent: agent.name)
def agent(request: pytest.FixtureRequest) -> Agent:
    """Each agent in turn."""
    found: Agent = request.param
    return found


@pytest.fixture
def world(tmp_path: Path, sandbox_home: Path) -> Iterator[Serve]:
    """At the end of the test no process of its run may be left."""
    with ExitStack() as servers:
        worlds: list[World] = []

        def serve(**scripts: Script) -> World:
            server = servers.enter_context(ModelServer(scripts))
            repository = make_repository(tmp_path / "repo")
            worlds.append(World(repository=repository, home=sandbox_home, tools=TOOLS, server=server))
            return worlds[-1]

        yield serve
        left = [command for made in worlds for command in made.processes]
        for made in worlds:
            made.end_processes()
        assert left == []


@pytest.fixture(autouse=True)
def _agents_are_installed(request: pytest.FixtureRequest) -> None:
    """A test needs the agent that it runs through, and those that its mark names."""
    marks = [name for mark in request.node.iter_markers("agents") for name in mark.args]
    asked = [request.getfixturevalue("agent").name] if "agent" in request.fixturenames else []
    missing = [name for name in (*asked, *marks) if not (TOOLS / name).exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} could not be installed here")
