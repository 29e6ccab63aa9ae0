"""`tools list` and `tools ping`: which tools there are, and whether they answer."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypedDict

import click
from msgspec import Struct

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.cli.terminal import indented
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import iso, span

if TYPE_CHECKING:
    from cli_multi_rapid.adapters.health import ToolHealth
    from cli_multi_rapid.adapters.pings import Pings
    from cli_multi_rapid.core.confinement import ConfinementRules
    from cli_multi_rapid.ports import Adapter
    from cli_multi_rapid.schema.tools import ToolConfig

_CONFINING: Final = {True: "tools can be confined here", False: "tools cannot be confined here"}


class HealthDocument(TypedDict):
    """What a tool answered, and when. `status`: `healthy`, `degraded` or `unhealthy`."""

    status: str
    version: str | None
    last_check: str
    response_time_ms: int | None
    warning: str


class ToolDocument(TypedDict):
    """A tool. `kind`: `built-in`, `command` (from config/tools.yaml) or `agent` (known by name only).

    `sandbox`: how it is confined; empty for not at all.
    """

    name: str
    kind: str
    usable: bool
    missing: str
    cost: str
    capabilities: list[str]
    fallback: list[str]
    limit: int | None
    sandbox: str
    health: HealthDocument | None


class SandboxDocument(TypedDict):
    """Whether tools can be confined here; `detail` is the version, or why not."""

    available: bool
    detail: str


class ToolList(TypedDict):
    """The document of `tools list` and `tools ping`."""

    schema_version: int
    sandbox: SandboxDocument
    tools: list[ToolDocument]


class _Toolbox(Struct, frozen=True, kw_only=True):
    """The tools of a repository."""

    configs: "Mapping[ToolName, ToolConfig]"
    adapters: "Mapping[ToolName, Adapter]"
    limits: Mapping[ToolName, int]
    environment: Mapping[str, str]
    rules: "ConfinementRules"
    pings: "Pings"

    def missing(self, name: ToolName) -> str:
        """Why a tool cannot be used here; empty when it can."""
        from cli_multi_rapid.adapters.registry import missing

        return missing(name, self.adapters, self.environment) or self._unconfinable(name)

    def _unconfinable(self, name: ToolName) -> str:
        from cli_multi_rapid.engine.confinement import look_at_sandbox

        confinement = self.rules.for_tool(name)
        can, detail = look_at_sandbox(confinement.network) if confinement else (True, "")
        return "" if can else detail


def _open_toolbox(place: Place) -> _Toolbox:
    from cli_multi_rapid.adapters.registry import adapters
    from cli_multi_rapid.process_environment import inherited_environment
    from cli_multi_rapid.wiring import confinement_rules, load_settings, load_tools, pings_of

    configs, settings = load_tools(place.root), load_settings(place.root)
    return _Toolbox(
        configs={tool.name: tool for tool in configs},
        adapters=adapters(configs, os.environ),
        limits=settings.tool_limits,
        environment=inherited_environment(),
        rules=confinement_rules(settings, configs),
        pings=pings_of(place.find_home(), configs),
    )


@click.group(epilog=examples("tools list", "tools ping", "tools ping claude aider"))
def tools() -> None:
    """List the tools and ask whether they work."""


@tools.command("list", epilog=examples("tools list", "tools list --format json"))
@format_option
@place_options
def list_tools(place: Place, format_: Format) -> None:
    """List every tool that a plan may name, whether it can be used here, and how it last answered."""
    from cli_multi_rapid.system import SystemClock

    box = _open_toolbox(place)
    document = _document(box, box.pings.known())
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_text(_text(document, SystemClock().now()))


@tools.command(epilog=examples("tools ping", "tools ping claude aider"))
@click.argument("names", nargs=-1, metavar="[TOOL...]")
@format_option
@place_options
def ping(place: Place, format_: Format, names: tuple[str, ...]) -> int:
    """Ask tools for their version, for five seconds at most, and remember it in state/tool_health.json.

    Without names: every tool that is built in or described in config/tools.yaml. The exit code is 5 when a
    tool that was named is unhealthy.
    """
    from cli_multi_rapid.core.tool_events import HealthStatus
    from cli_multi_rapid.schema.names import tool_name
    from cli_multi_rapid.system import SystemClock

    wanted = tuple(dict.fromkeys(tool_name(name) for name in names))
    box = _open_toolbox(place)
    chosen = wanted or tuple(dict.fromkeys((*box.adapters, *box.configs)))
    _require_known(chosen, box)
    place.find_home().prepare()
    healths = box.pings.ask(chosen)
    asked = {health.tool for health in healths}
    document = _document(box, box.pings.known())
    document["tools"] = [tool for tool in document["tools"] if tool["name"] in asked]
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_text(_text(document, SystemClock().now()))
    bad = [health for health in healths if health.status is HealthStatus.UNHEALTHY]
    return ExitCode.ENVIRONMENT if wanted and bad else ExitCode.DONE


def _require_known(names: Sequence[ToolName], box: _Toolbox) -> None:
    from cli_multi_rapid.adapters.registry import AGENTS
    from cli_multi_rapid.schema.names import did_you_mean

    known = [*box.adapters, *box.configs, *AGENTS]
    for name in names:
        if name not in known:
            raise UserError(
                f"there is no tool {name}",
                hint=did_you_mean(name, known) or "list them: cli-orchestrator tools list",
            )


def _document(box: _Toolbox, healths: "Mapping[ToolName, ToolHealth]") -> ToolList:
    from cli_multi_rapid.adapters.registry import AGENTS
    from cli_multi_rapid.engine.confinement import look_at_sandbox

    names = dict.fromkeys((*box.adapters, *box.configs, *AGENTS))
    available, detail = look_at_sandbox()
    return ToolList(
        schema_version=SCHEMA_VERSION,
        sandbox=SandboxDocument(available=available, detail=detail),
        tools=[_tool(name, box, healths.get(name)) for name in names],
    )


def _tool(name: ToolName, box: _Toolbox, health: "ToolHealth | None") -> ToolDocument:
    from cli_multi_rapid.adapters.registry import AGENTS, BUILT_IN

    adapter, config, missing = box.adapters.get(name), box.configs.get(name), box.missing(name)
    confinement = box.rules.for_tool(name)
    is_agent = name in AGENTS and not (config and config.argv)
    return ToolDocument(
        name=name,
        kind="built-in" if name in BUILT_IN else "agent" if is_agent else "command",
        usable=not missing,
        missing=missing,
        cost=adapter.cost.value if adapter else config.cost_class if config else "unpriced",
        capabilities=list(config.capabilities) if config else [],
        fallback=list(config.fallback) if config else [],
        limit=box.limits.get(name),
        sandbox=confinement.words if confinement else "",
        health=_health(health) if health else None,
    )


def _health(health: "ToolHealth") -> HealthDocument:
    return HealthDocument(
        status=health.status.value,
        version=health.version,
        last_check=iso(health.checked_at),
        response_time_ms=health.response_time_ms,
        warning=health.reason,
    )


# --- the text -----------------------------------------------------------------------------------------------


def _text(document: ToolList, now: datetime) -> str:
    names = max([4, *(len(tool["name"]) for tool in document["tools"])])
    lines = [f"{'tool':{names}}  {'kind':8}  {'cost':8}  {'usable':6}  health"]
    for tool in document["tools"]:
        usable = "yes" if tool["usable"] else "no"
        lines.append(
            f"{tool['name']:{names}}  {tool['kind']:8}  {tool['cost']:8}  {usable:6}  {_answer(tool, now)}"
        )
        lines += indented(f"confined: {tool['sandbox']}", names + 2) if tool["sandbox"] else []
        lines += indented(one_line(tool["missing"]), names + 2)
    sandbox = document["sandbox"]
    return "\n".join([*lines, "", f"{_CONFINING[sandbox['available']]}: {one_line(sandbox['detail'])}"])


def _answer(tool: ToolDocument, now: datetime) -> str:
    health = tool["health"]
    if health is None:
        return "not asked yet"
    ago = span((now - datetime.fromisoformat(health["last_check"])).total_seconds())
    version = f" {health['version']}" if health["version"] else ""
    warning = "" if health["warning"] in ("", tool["missing"]) else f": {one_line(health['warning'], 120)}"
    return f"{health['status']}{version}, {ago} ago{warning}"
