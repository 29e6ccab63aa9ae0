"""Attempts in a sandbox: what the tool of a slot may see, and the command line that shows it no more."""

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.core.confinement import Confinement, ConfinementRules, Loosened
from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.fix_candidates import may_be_added
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import FixPolicy, Network, Node, Plan
from cli_multi_rapid.core.routing import ToolFacts, pool
from cli_multi_rapid.ports import Invocation
from cli_multi_rapid.process import ProgramMissing
from cli_multi_rapid.process_environment import inherited_environment, which
from cli_multi_rapid.sandbox import Bubblewrap, View, bubblewrap_version, find_bubblewrap

_NO_FIXES: Final = FixPolicy()
_PACKAGE: Path = Path(__file__).resolve().parents[1]


class Sandboxes(Struct, kw_only=True):
    """The sandboxes of one repository; safe to use from several threads."""

    rules: ConfinementRules
    protected: tuple[Path, ...]
    """The repository and our own folders: hidden, and never to be written by declaration."""
    lent: tuple[Path, ...] = ()
    """What every slot reads outside of itself: the objects of its git, the folders that it links to."""
    _found: dict[Network, Bubblewrap] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def require(self, plan: Plan, tools: Mapping[ToolName, ToolFacts], fix: FixPolicy = _NO_FIXES) -> None:
        """See before the start whether the plan's sandboxes can be had, whichever tools do its nodes.

        And those of the nodes that a failed verification may add to it.

        Raises `UserError` for a node that wants less than is configured, `EnvironmentFault` where bubblewrap
        is missing or forbidden.
        """
        nodes = (*plan.nodes, *may_be_added(plan, fix, tools))
        for confinement in require_rules(nodes, self.rules, tools):
            self._bubblewrap(confinement.network)

    def confine(
        self, program: Invocation, confinement: Confinement, node: Node, *, temp: Path, private: Path
    ) -> Invocation:
        """The program of a node in a sandbox; `private` is an empty folder for its home and /tmp.

        Raises `UserError` for a declaration that cannot be kept, `ProgramMissing` for a program that is not
        there at all, `EnvironmentFault` as `require` does.
        """
        home = _home()
        view = View(
            slot=program.cwd,
            temp=temp,
            private=private,
            home=home,
            network=confinement.network,
            read=(*_runtime(), *self.lent, *self._readable(confinement, home)),
            write=self._writable(confinement, home),
            hidden=self.protected,
        )
        _require_program(view, program)
        bubblewrap = self._bubblewrap(confinement.network)
        inner = {name: program.env[name] for name in node.env if name in program.env}
        outer = {name: value for name, value in program.env.items() if name not in inner}
        return replace(program, argv=bubblewrap.command(view, program.argv, inner), env=outer)

    def _readable(self, confinement: Confinement, home: Path | None) -> tuple[Path, ...]:
        """The declared paths. Raises `UserError` for one that stays hidden below another that is shown."""
        paths = tuple(_expanded(confinement.read, home))
        protected = {folder.resolve() for folder in self.protected}
        for path in paths:
            if path.resolve() in protected:
                raise UserError(
                    f"sandbox_read names {path}, which stays hidden: the repository and what is ours",
                    hint="tools have their slot; name the file or folder in it that the tool needs, "
                    "or take the path out of config/tools.yaml",
                )
        return paths

    def _writable(self, confinement: Confinement, home: Path | None) -> tuple[Path, ...]:
        paths = tuple(_expanded(confinement.write, home))
        for path in paths:
            if not path.exists():
                raise UserError(
                    f"sandbox_write names {path}, which does not exist",
                    hint="create it, or take it out of config/tools.yaml",
                )
            if any(path.resolve().is_relative_to(folder.resolve()) for folder in self.protected):
                raise UserError(
                    f"sandbox_write names {path}, which belongs to the repository or to cli-orchestrator",
                    hint="tools write into their slot; take the path out of config/tools.yaml",
                )
        return paths

    def _bubblewrap(self, network: Network) -> Bubblewrap:
        with self._lock:
            if network not in self._found:
                self._found[network] = find_bubblewrap(inherited_environment(), network)
            return self._found[network]


def require_rules(
    nodes: Iterable[Node], rules: ConfinementRules, tools: Mapping[ToolName, ToolFacts]
) -> list[Confinement]:
    """How those of these nodes that are confined are, with every tool that may be given to them.

    Raises `UserError` for one that wants less.
    """
    found = []
    terms = [rules.of(node, tool) for node in nodes for tool in pool(node, tools)]
    for confinement in terms:
        if isinstance(confinement, Loosened):
            raise UserError(confinement.reason, hint=confinement.hint)
        if confinement is not None:
            found.append(confinement)
    return found


@cache
def look_at_sandbox(network: Network = Network.FULL) -> tuple[bool, str]:
    """Whether programs can be confined here; the version of bubblewrap, or why not. Tried once."""
    try:
        found = find_bubblewrap(inherited_environment(), network)
    except EnvironmentFault as fault:
        return False, f"{fault.message} ({fault.hint})"
    return True, f"{bubblewrap_version(found)} at {found.program}"


def _runtime() -> tuple[Path, ...]:
    """Our own interpreter and package, which run the built-in tools."""
    prefixes = (Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve())
    return (*dict.fromkeys(prefixes), _PACKAGE)


def _home() -> Path | None:
    """The person's, whatever a node may call its own."""
    home = Path.home()
    return None if home == home.parent else home


def _expanded(paths: Iterable[str], home: Path | None) -> Iterable[Path]:
    for path in paths:
        if not path.startswith("~/"):
            yield Path(path)
        elif home is not None:
            yield home / path.removeprefix("~/")


def _require_program(view: View, program: Invocation) -> None:
    """A program that the sandbox hides would be a riddle: its file is there for everybody else.

    Raises `ProgramMissing` when it is nowhere.
    """
    name = program.argv[0]
    if "/" in name and not name.startswith("/"):
        return  # it lies in the slot
    found = which(name, program.env)
    if found is None:
        raise ProgramMissing(f"the program {name} was not found", hint="install it or put it on the PATH")
    hidden = next((path for path in (found, found.resolve()) if not view.shows(path)), None)
    if hidden is not None:
        raise UserError(
            f"the program {name} is {hidden}, which the sandbox hides",
            hint=f"add sandbox_read: [{hidden.parent}] to its tool in config/tools.yaml",
        )
