"""The surroundings that a run needs: python, git, the repository, the disk, the configuration, the tools."""

import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.findings import Finding, good, notice, problem
from cli_multi_rapid.core.errors import EnvironmentFault, OrchestratorError, UserError
from cli_multi_rapid.core.ids import ToolName

if TYPE_CHECKING:
    from cli_multi_rapid.git import Repository
    from cli_multi_rapid.schema.problems import Problem

_OLDEST_SQLITE: Final = (3, 35)
"""The first with `RETURNING`."""
_LITTLE_DISK: Final = 1 << 30
_NO_DISK: Final = 100 << 20


def examine_surroundings(place: Place) -> Iterator[Finding]:
    """Look at everything that is not ours. Writes nothing into the repository."""
    yield good("python", f"{platform.python_version()} at {sys.executable}")
    yield _sqlite()
    yield from _git_and_repository(place)
    yield _disk(place)
    yield from _configuration(place)


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        return problem("sqlite", f"{sqlite3.sqlite_version} is too old: {oldest} or newer is needed")
    return good("sqlite", sqlite3.sqlite_version)


def _git_and_repository(place: Place) -> Iterator[Finding]:
    from cli_multi_rapid.git import open_repository
    from cli_multi_rapid.git_command import git_environment
    from cli_multi_rapid.git_discovery import OLDEST_GIT, find_git, git_version

    try:
        environment = git_environment(os.environ)
        program = find_git(environment)
    except EnvironmentFault as fault:
        yield problem("git program", _words(fault))
        return
    yield good(
        "git program",
        f"{git_version(program, environment)} at {program} ({'.'.join(map(str, OLDEST_GIT))} or newer)",
    )
    with tempfile.TemporaryDirectory(prefix="cli-orchestrator-doctor-") as scratch:
        try:
            repository = open_repository(place.repo, Path(scratch))
        except OrchestratorError as error:
            yield problem("repository", _words(error))
            return
        yield good("repository", str(repository.root))
        yield from _identity(repository)
        yield from _checks(place, repository)


def _identity(repository: "Repository") -> Iterator[Finding]:
    from cli_multi_rapid.git_config import value_of

    names = ("user.name", "user.email")
    missing = [name for name in names if not value_of(repository.settings, name)]
    if missing:
        yield notice(
            "identity",
            f"git has no {' and no '.join(missing)}: commits get a stand-in",
            f"git config --global {missing[0]} '...'",
        )


def _checks(place: Place, repository: "Repository") -> Iterator[Finding]:
    """The checks that a landing needs, and whether their programs are there: a missing one fails."""
    from cli_multi_rapid.engine.check_discovery import required_checks
    from cli_multi_rapid.process_environment import inherited_environment, which
    from cli_multi_rapid.wiring import load_settings

    try:
        settings = load_settings(place.root)
        tip = repository.resolve(repository.default_branch())
        checks = required_checks(
            settings.merge_policy.checklist,
            settings.checks,
            lambda: repository.list_files(tip) if tip else (),
        )
    except UserError as error:
        yield problem("checks", _words(error))
        return
    if not checks:
        yield notice("checks", "none is configured or found: whatever merges lands", "cli-orchestrator init")
    for check in checks:
        program = check.argv[0] if check.argv else "sh"
        if which(program, inherited_environment()) is None:
            yield problem(
                "checks",
                f"{check.id} needs {program}, which is not on the PATH: install it, "
                f"or set checks.{check.id}.argv in config/orchestrator.yaml",
            )
        else:
            yield good("checks", f"{check.id}: {' '.join(check.argv) or check.run}")


def _disk(place: Place) -> Finding:
    root = place.find_home().root
    if not os.access(root, os.W_OK):
        return problem(
            "disk", f"{root} cannot be written: state/ and artifacts/ belong there, or name --home DIR"
        )
    free = shutil.disk_usage(root).free
    words = f"{free / (1 << 30):.1f} GiB free at {root}"
    if free < _NO_DISK:
        return problem("disk", words)
    return notice("disk", words) if free < _LITTLE_DISK else good("disk", words)


def _configuration(place: Place) -> Iterator[Finding]:
    from cli_multi_rapid.adapters.registry import known_tools
    from cli_multi_rapid.wiring import CONFIG_FILE, TOOLS_FILE, load_settings, load_tools

    warnings: list[Problem] = []
    file = TOOLS_FILE
    try:
        tools = load_tools(place.root)
        file = CONFIG_FILE
        load_settings(place.root, warn=warnings.append, known_tools=known_tools(tools))
    except UserError as error:
        yield problem("configuration", _words(error), f"cli-orchestrator validate {file}")
        return
    for warning in warnings:
        yield notice("configuration", f"{warning.message} ({warning.suggestion})")
    yield good("configuration", f"{CONFIG_FILE} and {TOOLS_FILE} are in order, where they are there")
    yield from _tools(place)
    yield from _sandbox(place)


def _tools(place: Place) -> Iterator[Finding]:
    """What can do work here. Of agents that nobody has configured, those that are there."""
    from cli_multi_rapid.adapters.registry import AGENTS, adapters
    from cli_multi_rapid.process_environment import inherited_environment
    from cli_multi_rapid.wiring import load_tools

    environment = inherited_environment()
    configs = load_tools(place.root)
    wanted = {config.name for config in configs}
    for name, adapter in adapters(configs, os.environ).items():
        missing = adapter.missing(environment)
        if missing and name in AGENTS and name not in wanted:
            continue
        if missing:
            yield notice("tools", f"{name}: {missing}")
        else:
            yield good("tools", name)


def _sandbox(place: Place) -> Iterator[Finding]:
    """A tool that is to be confined does not run where it cannot be."""
    from cli_multi_rapid.core.plan import Network
    from cli_multi_rapid.engine.confinement import look_at_sandbox
    from cli_multi_rapid.wiring import confinement_rules, load_settings, load_tools

    tools = load_tools(place.root)
    rules = confinement_rules(load_settings(place.root), tools)
    confined = [rules.for_tool(name) for name in (*(tool.name for tool in tools), ToolName("shell"))]
    networks = {confinement.network for confinement in confined if confinement}
    for network in sorted(networks) or [Network.FULL]:
        can, detail = look_at_sandbox(network)
        if can:
            yield good("sandbox", f"{detail} confines tools that ask for it (network: {network})")
        elif networks:
            yield problem("sandbox", detail)
        else:
            yield good("sandbox", f"none is asked for, and none is here: {detail}")


def _words(error: OrchestratorError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
