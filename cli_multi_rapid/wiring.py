"""The composition root: the only place that picks implementations.

Two tiers, because a look at a run needs neither git nor the worktrees: `open_records` for commands that read
or append a person's command, `open_workshop` for those that work. Heavy modules are imported by the tier that
needs them.
"""

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid import __version__
from cli_multi_rapid.bus.local import LocalBus
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import RunId, is_queue_stream
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.ports import Bus, Clock, EventLog, Ids, Leases
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.leases import FileLeases
from cli_multi_rapid.store.sqlite import SqliteEventLog
from cli_multi_rapid.system import RandomIds, SystemClock

if TYPE_CHECKING:
    from cli_multi_rapid.adapters.pings import Pings
    from cli_multi_rapid.core.confinement import ConfinementRules
    from cli_multi_rapid.core.money import MicroUsd
    from cli_multi_rapid.core.plan import Json
    from cli_multi_rapid.core.queue_intents import (
        QueueLimits,
    )
    from cli_multi_rapid.engine.confinement import Sandboxes
    from cli_multi_rapid.engine.workshop import Policies, Workshop
    from cli_multi_rapid.git import Repository
    from cli_multi_rapid.schema.problems import Problem
    from cli_multi_rapid.schema.settings import MergeSettings, Settings
    from cli_multi_rapid.schema.tools import ToolConfig
    from cli_multi_rapid.worktrees import Worktrees

CONFIG_FILE = Path("config/orchestrator.yaml")
TOOLS_FILE = Path("config/tools.yaml")


def repository_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds a `.git`, else `start` itself. Reads names only."""
    folder = start.resolve()
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), folder)


def find_home(repo: Path, home: Path | None = None) -> Home:
    """Where `state/` and `artifacts/` are: `--home`, `CLI_ORCHESTRATOR_HOME`, else the repository's root."""
    chosen = home or os.environ.get("CLI_ORCHESTRATOR_HOME") or repository_root(repo)
    return Home(root=Path(chosen).resolve())


class Records(Struct, frozen=True, kw_only=True):
    """What is known of all runs, and the means to say something to a living one."""

    home: Home
    database: Database
    log: EventLog
    leases: Leases
    bus: Bus
    clock: Clock
    ids: Ids

    def runs(self) -> list[RunId]:
        """Every run, the newest first."""
        return [stream for stream in self.log.streams() if not is_queue_stream(stream)]

    def latest_run(self) -> RunId:
        """The run that commands mean when none is named. Raises `UserError` when there is none."""
        runs = self.runs()
        if not runs:
            raise UserError("there is no run here yet", hint="start one: cli-orchestrator execute PLAN.yaml")
        return runs[0]

    def find_run(self, name: str | None) -> RunId:
        """A run by its id or the beginning of it; the latest one for None. Raises `UserError`."""
        if name is None:
            return self.latest_run()
        runs = self.runs()
        matches = [run for run in runs if run == name] or [run for run in runs if run.startswith(name)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UserError(f"{name} may mean {', '.join(matches[:5])}", hint="type more of the id")
        raise UserError(f"there is no run {name}", hint="list them: cli-orchestrator runs")


@contextmanager
def open_records(home: Home, *, create: bool = False) -> Iterator[Records]:
    """The records of a home. Raises `UserError` when there are none and none are to be made."""
    if create:
        home.prepare()
    elif not home.database.exists():
        raise UserError(
            f"there are no runs in {home.root}",
            hint="go to the repository, name it with --repo DIR, or start one: cli-orchestrator execute PLAN",
        )
    clock = SystemClock()
    database = Database(home.database)
    log = SqliteEventLog(database)
    bus = LocalBus(home.state / "bus")
    try:
        yield Records(
            home=home,
            database=database,
            log=log,
            leases=FileLeases(home.state / "locks", database, clock),
            bus=bus,
            clock=clock,
            ids=RandomIds(),
        )
    finally:
        bus.close()
        log.close()


def load_settings(
    root: Path,
    flags: Mapping[str, "Json"] | None = None,
    *,
    warn: Callable[["Problem"], None] | None = None,
    known_tools: Collection[str] | None = None,
) -> "Settings":
    """Built-in values, then the user's file, the repository's, the environment and the command line.

    `warn` is told what is wrong and does not stop anybody, such as a misspelled variable. `known_tools`: the
    tools that may be named; None: any.
    Raises `InvalidInput` with every problem of every layer.
    """
    from cli_multi_rapid.schema.document import document_of, load_document
    from cli_multi_rapid.schema.environment_layer import environment_layer
    from cli_multi_rapid.schema.problems import Problems
    from cli_multi_rapid.schema.settings import Settings
    from cli_multi_rapid.schema.settings_reader import parse_settings

    problems = Problems()
    files = [(user_config(), str(user_config())), (root / CONFIG_FILE, str(CONFIG_FILE))]
    layers = [load_document(path, problems, name=name) for path, name in files if path.exists()]
    layers.append(environment_layer(os.environ, problems))
    if flags:
        layers.append(document_of(flags, "command line"))
    given = [layer for layer in layers if layer is not None]
    settings = parse_settings(given, problems, known_tools=known_tools)
    problems.raise_errors()
    if warn is not None:
        for problem in problems:
            warn(problem)
    return settings or Settings()


def user_config() -> Path:
    """The user's own configuration file, for all repositories."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "cli-orchestrator" / "orchestrator.yaml"


def load_tools(root: Path) -> "tuple[ToolConfig, ...]":
    """The tools of `config/tools.yaml`; none without the file. Raises `InvalidInput`."""
    from cli_multi_rapid.adapters.registry import KNOWN_TOOLS
    from cli_multi_rapid.schema.document import load_document
    from cli_multi_rapid.schema.problems import Problems
    from cli_multi_rapid.schema.tools import parse_tools

    path = root / TOOLS_FILE
    if not path.exists():
        return ()
    problems = Problems()
    document = load_document(path, problems, name=str(TOOLS_FILE))
    tools = parse_tools(document, problems, known_tools=KNOWN_TOOLS) if document else None
    problems.raise_errors()
    return tools or ()


@contextmanager
def open_workshop(
    repo: Path,
    home: Path | None = None,
    *,
    flags: Mapping[str, "Json"] | None = None,
    refine: Callable[["Policies"], "Policies"] | None = None,
) -> Iterator["Workshop"]:
    """All that a run needs, on the repository that `repo` lies in.

    `flags`: configuration given on the command line; `refine`: a last word on the policies.
    Raises `EnvironmentFault` without git or a repository, `UserError` for wrong configuration or a home that
    serves another repository.
    """
    from cli_multi_rapid.adapters.registry import adapters, known_tools
    from cli_multi_rapid.engine.workshop import Workshop
    from cli_multi_rapid.git import open_repository
    from cli_multi_rapid.process_steward import STEWARD
    from cli_multi_rapid.redaction import Redactor
    from cli_multi_rapid.tool_facts import tool_facts

    place = find_home(repo, home)
    root = repository_root(repo)
    tools = load_tools(root)
    settings = load_settings(root, flags, known_tools=known_tools(tools))
    repository = open_repository(repo, place.state / "git")
    if settings.landing.push is not None:
        repository.require_remote(settings.landing.push)
    STEWARD.stand_ready()
    with open_records(place, create=True) as records:
        if place.root != root:  # beside the repository it goes where the repository goes, copies included
            place.claim(repository.git_dir)
        worktrees = _open_worktrees(repository, place, settings)
        policies = policies_of(settings)
        try:
            yield Workshop(
                home=place,
                repository=repository,
                worktrees=worktrees,
                log=records.log,
                leases=records.leases,
                bus=records.bus,
                clock=records.clock,
                ids=records.ids,
                redactor=Redactor.from_environment(os.environ),
                adapters=adapters(tools, os.environ),
                tools=tool_facts(settings, tools),
                pings=lambda names: pings_of(place, tools).refresh(names),
                policies=refine(policies) if refine else policies,
                sandboxes=_sandboxes(settings, tools, repository, worktrees, place),
                spent_today=lambda run_id: spent_today(records, run_id),
                version=__version__,
            )
        finally:
            worktrees.close()


def _open_worktrees(repository: "Repository", home: Home, settings: "Settings") -> "Worktrees":
    from cli_multi_rapid.worktrees import Strategy, Worktrees

    return Worktrees(
        repository,
        home.state / "worktrees",
        strategy=Strategy(settings.worktrees.strategy.value),
        pool_size=settings.worktrees.pool,
        hydrate=settings.worktrees.hydrate,
        links=settings.worktrees.links,
    )


def pings_of(home: Home, tools: "tuple[ToolConfig, ...]") -> "Pings":
    """What the tools of a repository answer, remembered in `state/tool_health.json`."""
    from cli_multi_rapid.adapters.pings import HEALTH_FILE, Pings
    from cli_multi_rapid.adapters.registry import adapters
    from cli_multi_rapid.process_environment import inherited_environment

    return Pings(
        configs={tool.name: tool for tool in tools},
        adapters=adapters(tools, os.environ),
        environment=inherited_environment(),
        file=home.state / HEALTH_FILE,
        clock=SystemClock(),
    )


def spent_today(records: Records, run_id: RunId) -> "MicroUsd":
    """What other runs than this one have spent since midnight UTC."""
    from cli_multi_rapid.store.spending import spent_since

    midnight = records.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return spent_since(records.database, midnight, without=run_id)


def confinement_rules(settings: "Settings", tools: "tuple[ToolConfig, ...]") -> "ConfinementRules":
    """How tools are confined."""
    from cli_multi_rapid.core.built_in_tools import VERIFY
    from cli_multi_rapid.core.confinement import ConfinementRules

    return ConfinementRules(
        general=settings.sandbox,
        tools={tool.name: tool.terms for tool in tools},
        never=frozenset({VERIFY}),
    )


def _sandboxes(
    settings: "Settings",
    tools: "tuple[ToolConfig, ...]",
    repository: "Repository",
    worktrees: "Worktrees",
    place: Home,
) -> "Sandboxes":
    from cli_multi_rapid.engine.confinement import Sandboxes
    from cli_multi_rapid.git_agent import read_from_slots
    from cli_multi_rapid.worktrees import Strategy

    links = (repository.root / link for link in settings.worktrees.links)
    linked = worktrees.strategy is Strategy.LINKED
    return Sandboxes(
        rules=confinement_rules(settings, tools),
        protected=(
            *(repository.root, repository.git_dir, place.state, place.artifacts),
            user_config().parent,
        ),
        lent=(
            *read_from_slots(repository.git_dir, linked=linked),
            *(link for link in links if link.is_dir()),  # files are copied
        ),
    )


def policies_of(settings: "Settings") -> "Policies":
    """The engine's policies from the configuration."""
    from cli_multi_rapid.core.budget import BudgetRules
    from cli_multi_rapid.engine.workshop import Policies

    return Policies(
        workers=settings.workers,
        budget=BudgetRules(
            warn_pct=settings.budget.warn_pct,
            halt_pct=settings.budget.halt_pct,
            node_limit=settings.budget.node_usd,
            day_limit=settings.budget.day_usd,
        ),
        queue=replace(queue_limits(settings.merge_policy), fingerprint=fingerprint()),
        checks=settings.checks,
        checklist=settings.merge_policy.checklist,
        lane=settings.worktrees.lane,
        claims_rule=settings.claims.violation.value,
        update_checkout=settings.landing.update_checkout,
        fix=settings.verification.policy,
        push=settings.landing.push,
    )


def queue_limits(settings: "MergeSettings") -> "QueueLimits":
    """How a queue works, but for the fingerprint: enough to look at one."""
    from cli_multi_rapid.core.queue_intents import (
        QueueLimits,
    )

    return QueueLimits(
        workers=settings.workers,
        retry_flaky=settings.retry_flaky,
        batch=1 if settings.per_change else QueueLimits().batch,
    )


def fingerprint() -> str:
    """What verdicts depend on beside command and tree: machine, interpreter and where tools are."""
    system = os.uname()
    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else None
    machine = (system.sysname, system.release, system.machine, libc or "")
    return "|".join((*machine, sys.version, os.environ.get("PATH", "")))
