"""`completion`: the scripts that let a shell complete commands, options and files."""

import click
from click.shell_completion import ShellComplete, get_completion_class

from cli_multi_rapid.cli.main import PROGRAM, cli
from cli_multi_rapid.cli.options import examples
from cli_multi_rapid.cli.output import write
from cli_multi_rapid.core.errors import InternalError

VARIABLE = "_CLI_ORCHESTRATOR_COMPLETE"
"""By this the shell asks the program for completions; the name is click's rule."""


@click.command(
    epilog=examples("completion bash > ~/.local/share/bash-completion/completions/cli-orchestrator")
    + '\n\n\b\nOr for this shell alone:\n  eval "$(cli-orchestrator completion bash)"'
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> int:
    """Print the completion script of a shell."""
    found = get_completion_class(shell)
    if found is None:
        raise InternalError(f"click knows no completion for {shell}")
    # The base class: bash's own also starts a bash to look at its version.
    write(ShellComplete.source(found(cli, {}, PROGRAM, VARIABLE)))
    return 0
