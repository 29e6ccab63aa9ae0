"""`docs/reference/cli.md`: every command with its options, from the commands themselves."""

from collections.abc import Iterator

import click

from cli_multi_rapid.cli.main import cli
from scripts.pages.page import table, write_page


def write() -> str:
    """Write the page."""
    root: click.Group = cli
    context = click.Context(root, info_name="cli-orchestrator")
    lines = ["# Commands", "", "Written from the commands themselves; do not edit.", ""]
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command is not None:
            lines.extend(_describe(command, click.Context(command, info_name=name, parent=context)))
    return write_page("cli.md", lines)


def _describe(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}"
    yield ""
    yield from (command.help or command.get_short_help_str(200)).replace("\b\n", "").splitlines()
    yield ""
    rows = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    if rows:
        yield from table(("option", "meaning"), [(f"`{option}`", meaning) for option, meaning in rows])
        yield ""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _describe(child, click.Context(child, info_name=name, parent=context))
