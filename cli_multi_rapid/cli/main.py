"""The entry point: finds the command, loads its module only then, and turns every failure to an exit code."""

import gc
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

import click
from click.shell_completion import CompletionItem
from msgspec import Struct

from cli_multi_rapid import __version__
from cli_multi_rapid.cli.errors import exit_for
from cli_multi_rapid.cli.exit_codes import ExitCode

PROGRAM: Final = "cli-orchestrator"

_GC_THRESHOLD: Final = 50_000
"""New objects between two looks for garbage. Start-up makes many and drops none: this saves 5 ms."""


class Entry(Struct, frozen=True):
    """A command that is not loaded yet."""

    target: str
    """`module:attribute`; the module is in this package."""
    short_help: str


SECTIONS: Final[Mapping[str, Mapping[str, Entry]]] = {
    "Start": {
        "init": Entry("init:init", "Write configuration and example workflows into a repository"),
        "plan": Entry("plan:plan", "Turn a request into a plan file"),
        "validate": Entry("validate:validate", "Find every problem of plans, streams and configuration"),
        "graph": Entry("graph:graph", "Draw what runs after what"),
        "execute": Entry("execute:execute", "Run a plan, a streams file or a request"),
    },
    "Look": {
        "runs": Entry("runs:runs", "List the runs, the newest first"),
        "status": Entry("status:status", "Say how a run stands and what comes next"),
        "watch": Entry("watch:watch", "Follow a run while it works"),
        "logs": Entry("logs:logs", "Show what the tools of a run wrote"),
        "events": Entry("events:events", "Show the events of a run"),
        "replay": Entry("replay:replay", "Show a run as it stood at an earlier moment"),
        "report": Entry("report:report", "Write the report of a run"),
        "export": Entry("transfer:export", "Write all events of a run to a file"),
        "import": Entry("transfer:import_", "Take up a run that `export` wrote"),
        "cost": Entry("cost:cost", "Sum up what runs, nodes, tools and days cost"),
    },
    "Act": {
        "resume": Entry("resume:resume", "Go on with a run that was interrupted"),
        "cancel": Entry("act:cancel", "End a run, or one of its nodes"),
        "pause": Entry("act:pause", "Start nothing new in a run"),
        "unpause": Entry("act:unpause", "Let a paused run go on"),
        "retry": Entry("act:retry", "Try a node again"),
        "approve": Entry("act:approve", "Agree to what a run waits for"),
        "reject": Entry("act:reject", "Refuse what a run waits for, with a reason"),
        "waive": Entry("waive:waive", "Overrule a finding of a review, with a reason"),
        "inject": Entry("act:inject", "Tell a node something before its next attempt"),
        "queue": Entry("merge_queue:queue", "Land branches made by anything"),
    },
    "Keep house": {
        "streams": Entry("streams:streams", "List and show the streams of the workflow"),
        "tools": Entry("tools:tools", "List the tools and ask whether they work"),
        "worktrees": Entry("worktrees:worktrees", "List and clean the worktrees of runs"),
        "doctor": Entry("doctor:doctor", "Examine the surroundings and say what to repair"),
        "coordination": Entry("coordination:coordination", "Report on runs that belong together"),
        "config": Entry("config:config", "Show every setting and where it comes from"),
        "schema": Entry("schema:schema", "Print the published JSON schemas"),
        "completion": Entry("completion:completion", "Print the completion script of a shell"),
    },
}
ENTRIES: Final[Mapping[str, Entry]] = {
    name: entry for section in SECTIONS.values() for name, entry in section.items()
}


class Commands(click.Group):
    """A group whose help is a table, so that `--help` imports no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command's name, in the order of the table."""
        return list(ENTRIES)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Load a command. A module that cannot be imported hurts nobody but its own command."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module, attribute = entry.target.split(":")
        command = getattr(import_module(f"cli_multi_rapid.cli.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's, with a suggestion for a name that was mistyped."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in ENTRIES:
            from cli_multi_rapid.schema.names import did_you_mean

            hint = did_you_mean(name, ENTRIES)
            raise click.UsageError(f"there is no command `{name}`" + (f"; {hint}" if hint else ""), ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table, for the same reason."""
        commands = [
            CompletionItem(name, help=entry.short_help)
            for name, entry in ENTRIES.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """The table, section by section."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.short_help) for name, entry in section.items()])


@click.group(
    cls=Commands,
    name=PROGRAM,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"Try it: {PROGRAM} init && {PROGRAM} execute --dry-run",
)
@click.version_option(__version__, "-V", "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Run many coding agents side by side on one git repository and land only what is green."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status is the result. Never raises for a failure of the command."""
    words = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(_GC_THRESHOLD)
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # Handed down by a careless parent: the kernel would keep from us how every program of ours ended.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        result = cli.main(args=words, prog_name=PROGRAM, standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the one boundary: everything ends as a message and a code
        return exit_for(error, words)
    return int(result) if isinstance(result, int) else ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
