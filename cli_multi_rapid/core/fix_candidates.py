"""The nodes that a failed verification may add to a plan, as far as they are known before the start.

What they need of the machine is looked at with the rest, and not when the work has landed and is paid for.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.plan import FixMode, FixPolicy, Form, Node, Plan, Prompt, Role, Sandbox
from cli_multi_rapid.core.routing import ANSWERERS, AUTO, ToolFacts, is_agents_work, pool
from cli_multi_rapid.core.verifying import is_verified


def policy_of(plan: Plan, configured: FixPolicy, asked: FixMode | None) -> FixPolicy:
    """What follows a failed verification: the command line before the plan before the configuration."""
    policy = plan.fix or configured
    return policy if asked is None else replace(policy, mode=asked)


def may_be_added(plan: Plan, policy: FixPolicy, tools: Mapping[ToolName, ToolFacts]) -> list[Node]:
    """For each tool that may be given a fix, or plan the fixes, a node on the terms that it would have."""
    if policy.mode is FixMode.OFF or not is_verified(plan):
        return []
    confined = any(node.sandbox is Sandbox.BWRAP and isinstance(node.work, Prompt) for node in plan.nodes)
    sandbox = Sandbox.BWRAP if confined else None
    like = Node(id=NodeId("a fix"), label="a fix", tool=AUTO, sandbox=sandbox)
    fixes = [replace(like, tool=name) for name in _fixers(plan, policy, tools)]
    planners = [name for name in ANSWERERS if name in tools and tools[name].answers]
    return [*fixes, *(replace(like, tool=name, form=Form.REMEDY, role=Role.IPT) for name in planners)]


def _fixers(plan: Plan, policy: FixPolicy, tools: Mapping[ToolName, ToolFacts]) -> list[ToolName]:
    """The tool that is named, else the agents of the plan, else any that is described."""
    if policy.tool is not None:
        return [policy.tool]
    works = (node for node in plan.nodes if is_agents_work(node, tools))
    return list(dict.fromkeys(name for node in works for name in pool(node, tools))) or [AUTO]
