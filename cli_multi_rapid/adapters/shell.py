"""Commands of the plan: a program with its arguments, or a line for `sh -c` inside the slot."""

from collections.abc import Mapping

from cli_multi_rapid.adapters.judgement import read_ending
from cli_multi_rapid.adapters.launch import CACHES, invocation
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import Argv, ShellLine
from cli_multi_rapid.ports import Brief, CostClass, Invocation, ToolReading
from cli_multi_rapid.process import which


class ShellAdapter:
    """Runs `argv:` as given, and `run:` by `sh -c`: the one place where a plan asks for a shell."""

    name: ToolName = ToolName("shell")
    cost: CostClass = CostClass.FREE
    expects_change: bool = False
    resumes: bool = False

    def missing(self, environment: Mapping[str, str]) -> str | None:
        """There must be a POSIX shell."""
        if which("sh", environment) is None:
            return "the program sh was not found: put a POSIX shell on the PATH"
        return None

    def prepare(self, brief: Brief) -> Invocation:
        """The command as it stands in the plan. Raises `UserError` when the node has none."""
        match brief.node.work:
            case Argv(argv=argv) if argv:
                return invocation(brief, argv, ignore=CACHES)
            case ShellLine(run=line):
                return invocation(brief, ("sh", "-c", line), ignore=CACHES)
            case _:
                raise UserError(f"node {brief.node.id}: the shell tool needs `run:` or `argv:`")

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:  # noqa: ARG002  # the port
        """Exit code 0 is success; the last lines tell the rest."""
        return read_ending(output, exit_code)
