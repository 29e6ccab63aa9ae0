"""How the tool of a node is confined: what the person's configuration says, and what the node may add to it.

Plans may come from a model, so a node can ask for more confinement than is configured and never for less.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import Network, Node, Sandbox

_WIDTH: Final = tuple(Network)
"""The networks from the narrowest to the widest."""


class ToolTerms(Struct, frozen=True, kw_only=True):
    """What the configuration says of one tool. None: the general configuration, and the whole network."""

    sandbox: Sandbox | None = None
    network: Network | None = None
    read: tuple[str, ...] = ()
    """Paths that it may read beside its slot and the programs of the system; `~/` is the person's home."""
    write: tuple[str, ...] = ()
    """Paths that it may also change."""


class Confinement(Struct, frozen=True, kw_only=True):
    """The terms on which one attempt runs in a sandbox."""

    network: Network = Network.FULL
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """For events and reports."""
        return f"{Sandbox.BWRAP.value}, network {self.network.value}"


class Loosened(Struct, frozen=True, kw_only=True):
    """A node asks for less than what is configured: it is not run."""

    reason: str
    hint: str


class ConfinementRules(Struct, frozen=True, kw_only=True):
    """The configuration: in general, and by tool."""

    general: Sandbox = Sandbox.NONE
    tools: Mapping[ToolName, ToolTerms] = field(default_factory=dict)
    never: frozenset[ToolName] = frozenset()
    """Tools that run no program of their own, so that there is nothing to confine."""

    def of(self, node: Node, tool: ToolName) -> Confinement | Loosened | None:
        """How this tool is confined when it does this node's work; None: not at all."""
        if tool in self.never:
            return _nothing_to_confine(node, tool)
        terms = self.tools.get(tool, ToolTerms())
        configured = terms.sandbox or self.general
        if configured is Sandbox.NONE and node.sandbox is not Sandbox.BWRAP:
            return _not_confined(node)
        if node.sandbox is Sandbox.NONE:
            return Loosened(
                reason=f"node {node.id} asks for sandbox: none, but {tool} is confined by the configuration",
                hint=f"take the key out of the node, or set sandbox: none for {tool} in config/tools.yaml",
            )
        widest = terms.network or Network.FULL
        network = node.network or widest
        if _WIDTH.index(network) > _WIDTH.index(widest):
            return Loosened(
                reason=f"node {node.id} asks for network: {network.value}, {tool} has {widest.value} only",
                hint=f"take the key out of the node, or set network for {tool} in config/tools.yaml",
            )
        return Confinement(network=network, read=terms.read, write=terms.write)

    def for_tool(self, tool: ToolName) -> Confinement | None:
        """How a tool is confined for a node that says nothing about it."""
        terms = self.tools.get(tool, ToolTerms())
        if (terms.sandbox or self.general) is Sandbox.NONE or tool in self.never:
            return None
        return Confinement(network=terms.network or Network.FULL, read=terms.read, write=terms.write)


def _nothing_to_confine(node: Node, tool: ToolName) -> Loosened | None:
    if node.sandbox is not Sandbox.BWRAP and node.network in (None, Network.FULL):
        return None
    return Loosened(
        reason=f"node {node.id} asks for a sandbox, but {tool} runs the checks, which are not confined",
        hint="take `sandbox` and `network` out of the node",
    )


def _not_confined(node: Node) -> Loosened | None:
    """A network that nothing would hold the node to must not be promised."""
    if node.network in (None, Network.FULL):
        return None
    return Loosened(
        reason=f"node {node.id} asks for network: {node.network}, but is not confined",
        hint="add sandbox: bwrap to the node",
    )
