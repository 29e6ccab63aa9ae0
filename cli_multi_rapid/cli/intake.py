"""What a person wants to run: the plan of a file or of a request, with what the command line says on top."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.adapters.registry import AGENTS, adapters, known_tools, missing
from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.output import shown_path, tell
from cli_multi_rapid.cli.planner_choice import TEMPLATE, Asking, choose_planner
from cli_multi_rapid.core.built_in_tools import BUILT_IN_TOOLS
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, RunId, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd, Price, dearest
from cli_multi_rapid.core.plan import Json, Node, Plan
from cli_multi_rapid.core.routing import ANSWERERS, AUTO, pool
from cli_multi_rapid.planner.assessment import Assessment
from cli_multi_rapid.planner.load import load_plan
from cli_multi_rapid.schema.problems import Problem
from cli_multi_rapid.schema.settings import LandingApproval, Settings
from cli_multi_rapid.schema.tools import ToolConfig
from cli_multi_rapid.schema.validation import Surroundings

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
        return known_tools(self.tools)

    @property
    def agents(self) -> tuple[ToolConfig, ...]:
        """The configured tools that take a goal. A built-in one stands there for its sandbox."""
        return tuple(tool for tool in self.tools if tool.name not in BUILT_IN_TOOLS)

    def default_tool(self, environment: Mapping[str, str]) -> ToolName:
        """Does what nobody is made for: the first configured agent that is there, else the first of ours."""
        down = self.down(environment)
        return next((tool.name for tool in self.agents if tool.name not in down), AGENTS[0])

    def down(self, environment: Mapping[str, str]) -> frozenset[ToolName]:
        """The configured tools that cannot be used here."""
        available = adapters(self.tools, environment)
        names = [tool.name for tool in self.tools]
        return frozenset(name for name in names if missing(name, available, environment) is not None)

    def who_can(self, node: Node) -> tuple[ToolName, ...]:
        """Every tool that may do a node's work."""
        from cli_multi_rapid.tool_facts import tool_facts

        return pool(node, tool_facts(self.settings, self.tools))

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
    """`file`, `streams`, `template`, or the tool whose model planned."""
    notices: tuple[Problem, ...] = ()
    assessment: Assessment | None = None
    """Of a request."""
    run_id: RunId | None = None
    """The run that began with the planning by a model."""
    spent: MicroUsd = ZERO
    """By the planning; a part of the plan's budget."""

    @property
    def by_model(self) -> bool:
        """Whether a person has to look at it first."""
        return self.planner in ANSWERERS


def read_configuration(place: Place, flags: Mapping[str, Json] | None = None) -> Configured:
    """The layered settings and the tools; tells warnings. Raises `InvalidInput` with every problem."""
    from cli_multi_rapid.wiring import load_settings, load_tools

    tools = load_tools(place.root)
    settings = load_settings(
        place.root, flags, warn=lambda problem: tell(problem.to_text()), known_tools=known_tools(tools)
    )
    return Configured(settings=settings, tools=tools)


def take_in(
    wish: Wish, place: Place, configured: Configured, environment: Mapping[str, str], asking: Asking
) -> Intake:
    """The plan that is wanted. Reads files, and the repository's listing for a request; may ask a model.

    Raises `UserError` for a plan with errors (all of them at once), or when there is none; what
    `choose_planner` and `ask_model` raise for a request.
    """
    found = (
        _from_file(wish, place, configured, environment)
        if wish.request is None
        else _from_request(wish, place, configured, environment, asking)
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


def _from_request(
    wish: Wish, place: Place, configured: Configured, environment: Mapping[str, str], asking: Asking
) -> Intake:
    from cli_multi_rapid.planner.template import Request, plan_request
    from cli_multi_rapid.planner.tool_choice import Toolbox
    from cli_multi_rapid.wiring import pings_of

    text, pings, listing = wish.request or "", pings_of(place.find_home(), configured.tools), _listing(place)
    request = Request(
        text=text,
        files=wish.files,
        budget=wish.budget,
        target=configured.settings.merge_policy.target or Branch(UNNAMED),
        languages=_languages(listing),
    )
    toolbox = Toolbox(
        default=configured.default_tool(environment),
        tools=configured.agents,
        down=configured.down(environment) | pings.unhealthy(),
        latency_ms=pings.latencies_ms(),
    )
    template = plan_request(request, toolbox)  # also finds what no planner can do anything with
    choice = choose_planner(asking, configured.tools, pings, environment)
    if choice.reason:
        tell(f"planner: {choice.tool or TEMPLATE}, because {choice.reason}")
    plain = Intake(plan=template.plan, source=text, planner=TEMPLATE, assessment=template.assessment)
    if choice.tool is None:
        return plain
    from cli_multi_rapid.cli.model_planning import Question, ask_model

    planning = ask_model(
        Question(
            tool=choice.tool,
            request=request,
            toolbox=toolbox,
            listing=listing,
            settings=configured.settings,
            tools=configured.tools,
            environment=environment,
            asking=asking,
        ),
        place,
    )
    plain = replace(plain, run_id=planning.run_id, spent=planning.spent)
    if planning.made is None:
        tell(f"planner: {TEMPLATE}, because {planning.fault}")
        left = None if wish.budget is None else MicroUsd(max(0, wish.budget - planning.spent))
        within = plan_request(replace(request, budget=left), toolbox).plan
        return replace(plain, plan=replace(within, budget=wish.budget))
    made = planning.made
    return replace(plain, plan=made.plan, planner=str(choice.tool), assessment=made.assessment)


def _listing(place: Place) -> tuple[str, ...]:
    """The files of the repository's HEAD; none outside of a repository."""
    from cli_multi_rapid.core.errors import EnvironmentFault

    try:
        with look_at_repository(place) as repository:
            head = repository.resolve("HEAD")
            return repository.list_files(head) if head else ()
    except (EnvironmentFault, UserError):
        return ()  # a plan can be made anywhere; running it will say what is wrong with the place


def _languages(listing: Sequence[str]) -> tuple[str, ...]:
    """The repository's languages, the one with most files first."""
    from cli_multi_rapid.planner.named_files import language_of

    counted = Counter(language for language in map(language_of, listing) if language is not None)
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
