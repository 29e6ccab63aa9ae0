"""What a person wants to run: the plan of a file or of a request, with what the command line says on top."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.adapters.registry import AGENTS, KNOWN_TOOLS, adapters, missing
from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.output import shown_path, tell
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, ToolName
from cli_multi_rapid.core.money import MicroUsd, Price, dearest
from cli_multi_rapid.core.plan import Json, Plan
from cli_multi_rapid.core.routing import AUTO
from cli_multi_rapid.planner.assessment import Assessment
from cli_multi_rapid.planner.load import load_plan
from cli_multi_rapid.schema.problems import Problem
from cli_multi_rapid.schema.settings import LandingApproval, Settings
from cli_multi_rapid.schema.tools import ToolConfig
from cli_multi_rapid.schema.validation import Surroundings
from cli_multi_rapid.schema.work import VERIFY

if TYPE_CHECKING:
    from cli_multi_rapid.git import Repository

STANDARD_FILE: Final = Path("workflows/multi_stream.yaml")
UNNAMED: Final = "(the current branch)"
"""The target of a plan that names none, until the repository is open. No branch can be called so."""


class Wish(Struct, frozen=True, kw_only=True):
    """What was typed. `file` and `request` exclude each other; with neither, the standard file is meant."""

    file: Path | None = None
    request: str | None = None
    files: tuple[str, ...] = ()
    budget: MicroUsd | None = None
    priority: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    serialize_overlaps: bool = False


class Configured(Struct, frozen=True, kw_only=True):
    """What a repository's configuration says that matters for a plan."""

    settings: Settings
    tools: tuple[ToolConfig, ...]

    @property
    def known_tools(self) -> frozenset[str]:
        """Every name that a node's `tool` may have."""
        return frozenset((VERIFY, AUTO, *KNOWN_TOOLS, *(tool.name for tool in self.tools)))

    def default_tool(self, environment: Mapping[str, str]) -> ToolName:
        """Does what nobody is made for: the first configured tool that is there, else the first agent."""
        down = self.down(environment)
        return next((tool.name for tool in self.tools if tool.name not in down), AGENTS[0])

    def down(self, environment: Mapping[str, str]) -> frozenset[ToolName]:
        """The configured tools that cannot be used here."""
        available = adapters(self.tools, environment)
        names = [tool.name for tool in self.tools]
        return frozenset(name for name in names if missing(name, available, environment) is not None)

    def prices(self) -> dict[ToolName, Price]:
        """What is known of each tool's price; an open choice may fall on the dearest."""
        from cli_multi_rapid.tool_facts import tool_facts

        known = tool_facts(self.settings, self.tools)
        return {
            **{name: facts.price for name, facts in known.items()},
            AUTO: dearest([facts.price for facts in known.values() if facts.described]),
        }


class Intake(Struct, frozen=True, kw_only=True):
    """The plan, and how it came about."""

    plan: Plan
    source: str
    """The file as it was typed, or the request."""
    planner: str
    """`file`, `streams` or `template`."""
    notices: tuple[Problem, ...] = ()
    assessment: Assessment | None = None
    """Of a request."""


def read_configuration(place: Place, flags: Mapping[str, Json] | None = None) -> Configured:
    """The layered settings and the tools; tells warnings. Raises `InvalidInput` with every problem."""
    from cli_multi_rapid.wiring import load_settings, load_tools

    settings = load_settings(place.root, flags, warn=lambda problem: tell(problem.to_text()))
    return Configured(settings=settings, tools=load_tools(place.root))


def take_in(wish: Wish, place: Place, configured: Configured, environment: Mapping[str, str]) -> Intake:
    """The plan that is wanted. Reads files only, and the repository's listing for a request.

    Raises `UserError` for a plan with errors (all of them at once), or when there is none.
    """
    found = (
        _from_file(wish, place, configured, environment)
        if wish.request is None
        else _from_request(wish, place, configured, environment)
    )
    return replace(found, plan=_adjusted(found.plan, wish, configured.settings))


def aim(plan: Plan, repository: "Repository") -> Plan:
    """The plan with the repository's current branch where it names no target.

    Raises `UserError` when HEAD is detached and there is no usual branch.
    """
    target = plan.merge_policy.target
    if UNNAMED not in (plan.branch_base, target):
        return plan
    here = repository.default_branch()
    policy = replace(plan.merge_policy, target=here if target == UNNAMED else target)
    return replace(
        plan, branch_base=here if plan.branch_base == UNNAMED else plan.branch_base, merge_policy=policy
    )


@contextmanager
def look_at_repository(place: Place) -> "Iterator[Repository]":
    """The repository for a look that leaves nothing behind. Raises `EnvironmentFault`, `UserError`."""
    from cli_multi_rapid.git import open_repository

    with TemporaryDirectory(prefix="cli-orchestrator-") as scratch:
        yield open_repository(place.repo, Path(scratch))


def _from_file(wish: Wish, place: Place, configured: Configured, environment: Mapping[str, str]) -> Intake:
    path = wish.file if wish.file is not None else _standard_file(place)
    settings = configured.settings
    loaded = load_plan(
        path,
        Surroundings(
            known_tools=configured.known_tools,
            known_checks=tuple(settings.checks),
            params=wish.params,
            default_base=settings.merge_policy.target or UNNAMED,
            serialize_overlaps=wish.serialize_overlaps,
        ),
        default_tool=configured.default_tool(environment),
    )
    planner = "streams" if loaded.kind == "streams" else "file"
    return Intake(plan=loaded.plan, source=loaded.source, planner=planner, notices=loaded.notices)


def _standard_file(place: Place) -> Path:
    path = place.root / STANDARD_FILE
    if not path.is_file():
        raise UserError(
            f"there is nothing to run: {place.root} has no {STANDARD_FILE}",
            hint='name a plan, type --request "what you want", or write examples: cli-orchestrator init',
        )
    return Path(shown_path(path))


def _from_request(wish: Wish, place: Place, configured: Configured, environment: Mapping[str, str]) -> Intake:
    from cli_multi_rapid.planner.template import Request, plan_request
    from cli_multi_rapid.planner.tool_choice import Toolbox
    from cli_multi_rapid.wiring import pings_of

    request, pings = wish.request or "", pings_of(place.find_home(), configured.tools)
    made = plan_request(
        Request(
            text=request,
            files=wish.files,
            budget=wish.budget,
            target=configured.settings.merge_policy.target or Branch(UNNAMED),
            languages=_languages(place),
        ),
        Toolbox(
            default=configured.default_tool(environment),
            tools=configured.tools,
            down=configured.down(environment) | pings.unhealthy(),
            latency_ms=pings.latencies_ms(),
        ),
    )
    return Intake(plan=made.plan, source=request, planner="template", assessment=made.assessment)


def _languages(place: Place) -> tuple[str, ...]:
    """The repository's languages, the one with most files first; none outside of a repository."""
    from cli_multi_rapid.core.errors import EnvironmentFault
    from cli_multi_rapid.planner.named_files import language_of

    try:
        with look_at_repository(place) as repository:
            head = repository.resolve("HEAD")
            files = repository.list_files(head) if head else ()
    except (EnvironmentFault, UserError):
        return ()  # a plan can be made anywhere; running it will say what is wrong with the place
    counted = Counter(language for language in map(language_of, files) if language is not None)
    return tuple(language for language, _ in counted.most_common())


def _adjusted(plan: Plan, wish: Wish, settings: Settings) -> Plan:
    """The command line over the plan; and a person who wants to approve every landing is asked, whatever
    the plan says."""
    if wish.budget is not None:
        plan = replace(plan, budget=wish.budget)
    if wish.priority is not None:
        shift = wish.priority - 1  # 1, medium, is what nodes have that name none
        nodes = tuple(replace(node, priority=max(0, node.priority + shift)) for node in plan.nodes)
        plan = replace(plan, nodes=nodes)
    if settings.merge_policy.approval is LandingApproval.MANUAL:
        plan = replace(plan, merge_policy=replace(plan.merge_policy, auto_merge=False))
    return plan
