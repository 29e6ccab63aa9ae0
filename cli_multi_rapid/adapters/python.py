"""`module:function` of the repository or of an installed package, called in a process of its own.

The interpreter is the orchestrator's own. A repository that needs another one says so in a command:
`argv: [.venv/bin/python, -m, …]`.
"""

from collections.abc import Mapping

from cli_multi_rapid.adapters.judgement import read_record
from cli_multi_rapid.adapters.launch import CACHES, invocation
from cli_multi_rapid.adapters.own_program import own_program, write_job
from cli_multi_rapid.adapters.run_python import PythonJob
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import PythonCall
from cli_multi_rapid.ports import Brief, CostClass, Invocation, ToolReading


class PythonAdapter:
    """Calls a function with the keyword arguments of the plan; what it returns is the summary."""

    name: ToolName = ToolName("python")
    cost: CostClass = CostClass.FREE
    expects_change: bool = False
    resumes: bool = False

    def missing(self, environment: Mapping[str, str]) -> str | None:  # noqa: ARG002  # the port
        """Never: it is the interpreter that runs us."""
        return None

    def prepare(self, brief: Brief) -> Invocation:
        """Target and arguments go by file, never on the command line. Raises `UserError` without a target."""
        call = brief.node.work
        if not isinstance(call, PythonCall):
            raise UserError(f"node {brief.node.id}: the python tool needs `target: module:function`")
        job = PythonJob(slot=str(brief.slot), target=call.target, kwargs=call.kwargs)
        argv = own_program("run_python", write_job(brief.temp, "python", job))
        return invocation(brief, argv, ignore=CACHES)

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:  # noqa: ARG002  # the port
        """Success is a return; an exception is a failure with its traceback in the log."""
        return read_record(output, exit_code)
