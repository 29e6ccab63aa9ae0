"""A slot, a private folder and a node around an adapter, and the program really run."""

import os
import subprocess
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.ids import NodeId, RunId, ToolName
from cli_multi_rapid.core.plan import Node, Prompt, Work
from cli_multi_rapid.ports import Adapter, Brief, Invocation, ToolReading


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt that was run to its end."""

    invocation: Invocation
    exit_code: int
    output: bytes
    reading: ToolReading

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace")


class AdapterWorld(Struct, frozen=True):
    """Where the attempts of a test happen."""

    slot: Path
    temp: Path
    programs: Path | None = None
    """A folder that comes first on the PATH."""

    def brief(self, work: Work | None = None, *, prompt: str = "do it", attempt: int = 1) -> Brief:
        node = Node(id=NodeId("n1"), label="A node", tool=ToolName("any"), work=work or Prompt())
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "GIT_CONFIG_GLOBAL")}
        path = f"{self.programs}{os.pathsep}{environment['PATH']}" if self.programs else environment["PATH"]
        return Brief(
            node=node,
            attempt=attempt,
            run_id=RunId("r1"),
            slot=self.slot,
            temp=self.temp,
            prompt=prompt,
            timeout_s=60,
            environment={**environment, "PATH": path},
        )

    def attempt(self, adapter: Adapter, brief: Brief) -> Attempt:
        invocation = adapter.prepare(brief)
        done = subprocess.run(
            invocation.argv,
            env=invocation.env,
            cwd=invocation.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        reading = adapter.read(done.stdout, done.returncode, brief)
        return Attempt(invocation=invocation, exit_code=done.returncode, output=done.stdout, reading=reading)

    def run(
        self, adapter: Adapter, work: Work | None = None, *, prompt: str = "do it", attempt: int = 1
    ) -> Attempt:
        return self.attempt(adapter, self.brief(work, prompt=prompt, attempt=attempt))

    def got(self) -> str:
        """The text that the work was to write."""
        return (self.slot / "got.txt").read_bytes().decode()

    def files(self) -> dict[str, str]:
        """The files of the slot that are not git's, with their texts."""
        paths = (path for path in sorted(self.slot.rglob("*")) if path.is_file() and ".git" not in path.parts)
        return {
            str(path.relative_to(self.slot)): path.read_text(encoding="utf-8", errors="replace")
            for path in paths
        }


def with_model(brief: Brief, model: str) -> Brief:
    return replace(brief, node=replace(brief.node, model=model))
