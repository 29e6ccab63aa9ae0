"""A repository, a model server and the program between them, as a person has them."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from cli_multi_rapid.process_tree import find_marked, kill_marked
from tests.e2e.agents import Agent
from tests.fakes.command_line import PACKAGE_ROOT, Ended
from tests.fakes.model_server.server import KEY, ModelServer
from tests.fakes.repositories import RepositoryBuilder
from tests.fakes.short_runs import the_report

LONGEST_S: Final = 400
"""For one command, on a machine that is busy with others."""

_CODEX_CONFIG: Final = """\
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
# By itself it repeats a refused key for seven seconds.
request_max_retries = 1
stream_max_retries = 2
"""


@dataclass(slots=True)
class World:
    """One test's repository, home folder and model server."""

    repository: RepositoryBuilder
    home: Path
    tools: Path
    """The folder of the agents' programs."""
    server: ModelServer
    key: str = KEY
    budget: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *nodes: Mapping[str, Any], **keys: Any) -> Ended:
        """Execute a plan of these nodes to its end."""
        with self.running(*nodes, **keys) as program:
            return _end_of(program)

    @contextmanager
    def running(self, *nodes: Mapping[str, Any], **keys: Any) -> Iterator["subprocess.Popen[str]"]:
        """Execute a plan of these nodes; the program does not outlive the body."""
        plan = {
            "plan_id": "e2e",
            "nodes": nodes,
            "checks": {"readme": {"run": "test -f README.md"}},
            "merge_policy": {"checklist": ["readme"]},
            "rollback_policy": {"max_retry_attempts": 0},
            **keys,
        }
        path = self.home / "plan.json"
        path.write_text(json.dumps(plan))
        with self.typing("execute", "--yes", path) as program:
            yield program

    def start_s(self, agent: Agent) -> int:
        """Seconds in which an agent has asked its model, on this machine and at this moment.

        A run costs four to five times the processor time of `--version` of each of them: a
        machine that is busy with others gets more time, and no test waits for longer than it must.
        """
        began = time.monotonic()
        subprocess.run(
            [self.tools / agent.name, "--version"], env=self._environment(), capture_output=True, check=True
        )
        return math.ceil(5 + 6 * (time.monotonic() - began))

    def type(self, *words: str) -> Ended:
        """A command, to its end."""
        with self.typing(*words) as program:
            return _end_of(program)

    def resume(self) -> Ended:
        """Continue the run that was cut short."""
        return self.type("resume")

    @property
    def report(self) -> Mapping[str, Any]:
        """The report of the only run."""
        return the_report(self.repository)

    def node(self, name: str) -> Mapping[str, Any]:
        """A node as the report has it."""
        found: Mapping[str, Any] = next(node for node in self.report["nodes"] if node["node_id"] == name)
        return found

    @property
    def ledger_total(self) -> Decimal:
        """The sum of the ledger file, in dollars."""
        lines = (self.repository.path / "state" / "cost_ledger.jsonl").read_text().splitlines()
        return sum((json.loads(line, parse_float=Decimal)["amount"] for line in lines), Decimal(0))

    @property
    def processes(self) -> list[str]:
        """The command lines of all living processes that belong to the run, however detached they are."""
        return [found.command for run in self._runs for found in find_marked(run)]

    def end_processes(self) -> None:
        """After a test that failed: what it left is not to run on."""
        for run in self._runs:
            kill_marked(run)

    @property
    def _runs(self) -> list[str]:
        return [folder.name for folder in (self.repository.path / "artifacts" / "logs").glob("*")]

    @contextmanager
    def typing(self, *words: str | Path) -> Iterator["subprocess.Popen[str]"]:
        """A command under way; the program does not outlive the body."""
        program = subprocess.Popen(
            [sys.executable, "-m", "cli_multi_rapid.cli.main", *map(str, words)],
            cwd=self.repository.path,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield program
        finally:
            program.kill()
            program.communicate()

    def _environment(self) -> dict[str, str]:
        codex_home = self.home / ".codex"
        codex_home.mkdir(exist_ok=True)
        (codex_home / "config.toml").write_text(_CODEX_CONFIG.format(url=self.server.url))
        return {
            **os.environ,
            "PYTHONPATH": str(PACKAGE_ROOT),
            "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}",
            "ANTHROPIC_BASE_URL": self.server.url,
            "ANTHROPIC_API_KEY": self.key,
            "OPENAI_API_BASE": f"{self.server.url}/v1",
            "OPENAI_API_KEY": self.key,
            "CODEX_HOME": str(codex_home),
            **self.environment,
        }


def _end_of(program: "subprocess.Popen[str]") -> Ended:
    out, err = program.communicate(timeout=LONGEST_S)
    return Ended(status=program.returncode, out=out, err=err)
