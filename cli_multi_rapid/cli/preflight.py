"""A look before the start at what the plan needs and this machine lacks: tools, and programs of checks."""

import os
import shutil
from collections.abc import Mapping, Sequence

from cli_multi_rapid.adapters.registry import adapters, missing
from cli_multi_rapid.cli.intake import Configured
from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.fix_candidates import policy_of
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.plan import CheckSpec, FixMode, Plan
from cli_multi_rapid.core.routing import nobody_can, pool


def missing_tools(plan: Plan, configured: Configured, environment: Mapping[str, str]) -> dict[NodeId, str]:
    """Every node that no tool can do here, with the reason. A fallback that is there will do."""
    from cli_multi_rapid.tool_facts import tool_facts

    available = adapters(configured.tools, environment)
    facts = tool_facts(configured.settings, configured.tools)
    reasons: dict[ToolName, str | None] = {VERIFY: None}
    found: dict[NodeId, str] = {}
    for node in plan.nodes:
        names = pool(node, facts)
        for name in names:
            if name not in reasons:
                reasons[name] = missing(name, available, environment)
        gone = [reason for name in names if (reason := reasons[name]) is not None]
        if len(gone) == len(names):
            found[node.id] = gone[0] if gone else nobody_can(node)
    return found


def tools_notice(gone: Mapping[NodeId, str]) -> str:
    """What is said of nodes that no tool can do; empty when there are none."""
    by_reason: dict[str, list[NodeId]] = {}
    for node_id, reason in gone.items():
        by_reason.setdefault(reason, []).append(node_id)
    return "\n".join(
        f"warning: nothing here can do {_names(nodes)}: {reason}" for reason, nodes in by_reason.items()
    )


def refuse_hopeless(plan: Plan, gone: Mapping[NodeId, str]) -> None:
    """Raises `EnvironmentFault` when not a single node could start: then there is nothing worth recording."""
    firsts = [node for node in plan.nodes if not node.deps]
    if firsts and all(node.id in gone for node in firsts):
        reason = gone[firsts[0].id]
        raise EnvironmentFault(
            f"nothing here can do {_names([node.id for node in firsts])}: {reason}",
            hint="see what is there with `cli-orchestrator tools list`; `init` writes a config/tools.yaml",
        )


def require_sandboxes(plan: Plan, configured: Configured, fix: FixMode | None) -> None:
    """See before anything is recorded that what is to be confined can be. `fix`: as the command line says.

    Raises `UserError` for a node that wants less than is configured, `EnvironmentFault` without a sandbox.
    """
    from cli_multi_rapid.engine.confinement import Sandboxes
    from cli_multi_rapid.tool_facts import tool_facts
    from cli_multi_rapid.wiring import confinement_rules

    rules = confinement_rules(configured.settings, configured.tools)
    policy = policy_of(plan, configured.settings.verification.policy, fix)
    tools = tool_facts(configured.settings, configured.tools)
    Sandboxes(rules=rules, protected=()).require(plan, tools, policy)


def missing_program(check: CheckSpec) -> str | None:
    """The program of a check that is not on the PATH; None when it is found, or lies in the repository."""
    program = check.argv[0] if check.argv else "sh"
    path = check.env.get("PATH") or os.environ.get("PATH")
    return None if "/" in program or shutil.which(program, path=path) else program


def checks_notice(checks: Sequence[CheckSpec]) -> str:
    """What is said before a run whose checks cannot pass here; empty when all programs are found."""
    gone = {check.id: program for check in checks if (program := missing_program(check)) is not None}
    if not gone:
        return ""
    needs = ", ".join(f"{check} needs {program}" for check, program in gone.items())
    return (
        f"warning: nothing will land as long as these checks fail: {needs}, which is not on the PATH\n"
        "hint: install it, or say in config/orchestrator.yaml under checks: and merge_policy: what is to pass"
    )


def _names(nodes: Sequence[NodeId]) -> str:
    more = f" and {len(nodes) - 5} more" if len(nodes) > 5 else ""
    return ", ".join(nodes[:5]) + more
