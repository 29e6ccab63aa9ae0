"""Small programs that behave like agents, and the lines of config/tools.yaml that make tools of them.

An agent does what its goal says: each line `WRITE path words` becomes a file. How often it was called, and
every prompt that it was given, lies in files beside its program, which nobody cleans up.
"""

from pathlib import Path

from msgspec import Struct

from tests.fakes.worlds import World

_WORK = """\
sed -n 's/^WRITE //p' "$1" | while read -r path words; do
  mkdir -p "$(dirname "$path")" && printf '%s\\n' "$words" > "$path"
done
echo "done by $name"
"""

OBEDIENT = _WORK
"""Writes what it is told."""

OVERLOADED_ONCE = f'[ "$call" = 1 ] && {{ echo "error: HTTP status 503, overloaded" >&2; exit 1; }}\n{_WORK}'
"""Its service has a passing fault at the first call."""

ALWAYS_OVERLOADED = 'echo "error: HTTP status 529, overloaded" >&2; exit 1\n'
WRONG_KEY = 'echo "error: status 401, invalid api key sk-not-this-one" >&2; exit 1\n'

LEARNS = f"""\
{_WORK}
grep -q 'FAILED: no good words' "$1" && for path in $(sed -n 's/^WRITE \\([^ ]*\\).*/\\1/p' "$1"); do
  echo good > "$path"
done
exit 0
"""
"""Writes what it is told, and `good` once its prompt holds the words of a failed check."""

MENDS = """\
sed -n 's/^WRITE //p' "$1" | while read -r path words; do
  mkdir -p "$(dirname "$path")"
  if grep -q 'did not land: conflicts' "$1"; then printf '%s\\n' "$words" >> "$path"
  else printf '%s\\n' "$words" > "$path"; fi
done
"""
"""Overwrites what it is told to write, and appends once its prompt speaks of a conflict."""


class Agent(Struct, frozen=True, kw_only=True):
    """A tool for `config/tools.yaml`. Without a `body` its program is not installed."""

    name: str
    body: str | None = OBEDIENT
    can: str = "edit"
    hint: float | None = None
    fallback: str = ""
    version: str = "echo 1.0"
    """What it does when it is asked for its version."""


class Agents(Struct, frozen=True, kw_only=True):
    """The agents of a repository."""

    folder: Path

    def prompts(self, name: str) -> list[str]:
        """What an agent was told, call by call."""
        paths = sorted(self.folder.glob(f"{name}.prompt.*"), key=lambda path: int(path.suffix[1:]))
        return [path.read_text(encoding="utf-8") for path in paths]


def hire(world: World, *agents: Agent, limits: str = "{}", workers: int = 4) -> Agents:
    """Install the programs and write the configuration. `limits`: `tool_limits`, as YAML flow text."""
    folder = world.repository.path.parent / "agents"
    folder.mkdir(exist_ok=True)
    for agent in agents:
        if agent.body is not None:
            program = folder / agent.name
            program.write_text(_program(folder, agent))
            program.chmod(0o755)
    tools = "version: 1\ntools:\n" + "".join(_description(folder, agent) for agent in agents)
    world.repository.write(
        {
            "config/tools.yaml": tools,
            "config/orchestrator.yaml": f"version: 1\nworkers: {workers}\ntool_limits: {limits}\n",
        }
    )
    world.repository.commit({}, "agents")
    return Agents(folder=folder)


def _program(folder: Path, agent: Agent) -> str:
    return (
        f'#!/bin/sh\nname={agent.name}\n[ "$1" = --version ] && {{ {agent.version}; exit; }}\n'
        # Two calls at once take different numbers: a link can be made only once.
        f'call=1; while ! ln -s x "{folder}/$name.call.$call" 2>/dev/null; do call=$((call + 1)); done\n'
        f'cp "$1" "{folder}/$name.prompt.$call"\n{agent.body}'
    )


def _description(folder: Path, agent: Agent) -> str:
    program = folder / agent.name
    hint = "" if agent.hint is None else f", cost_hint: {agent.hint}"
    return (
        f"  - {{name: {agent.name}, capabilities: [{agent.can}], fallback: [{agent.fallback}]{hint},\n"
        f'     cost_class: free, version_cmd: ["{program}", --version],\n'
        f'     argv: ["{program}", "{{prompt_file}}"]}}\n'
    )
