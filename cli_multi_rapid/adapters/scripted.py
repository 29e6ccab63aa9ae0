"""The scripted tool: it does what its script says, for demos and tests. It is no agent and says so.

`script_steps.py` lists the steps. Like a real agent it spends money, can fail, hang, litter and lie.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from cli_multi_rapid.adapters.judgement import read_record
from cli_multi_rapid.adapters.launch import invocation
from cli_multi_rapid.adapters.own_program import own_program, write_job
from cli_multi_rapid.adapters.run_script import ScriptJob
from cli_multi_rapid.adapters.script_steps import steps_of
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import Script
from cli_multi_rapid.ports import Brief, CostClass, Invocation, ToolReading


class ScriptedAdapter:
    """Follows a script in place of a model; its costs are play money."""

    name: ToolName = ToolName("scripted")
    cost: CostClass = CostClass.PRICED
    expects_change: bool = True
    resumes: bool = True

    def describe(self) -> str:
        """What a person is told about it."""
        return "follows a script of the plan, for demos and tests: no model, invented costs"

    def missing(self, environment: Mapping[str, str]) -> str | None:  # noqa: ARG002  # the port
        """Never: it is part of this program."""
        return None

    def prepare(self, brief: Brief) -> Invocation:
        """The steps of this attempt go by file. Raises `UserError` that names a step that is none."""
        work = brief.node.work
        if not isinstance(work, Script):
            raise UserError(f"node {brief.node.id}: the scripted tool needs `script:`")
        try:
            steps = steps_of(work.steps, brief.attempt)
        except UserError as error:
            raise UserError(f"node {brief.node.id}: {error.message}", hint=error.hint) from error
        session_id = brief.session_id or f"scripted-{brief.run_id}-{brief.node.id}"
        job = ScriptJob(slot=str(brief.slot), session_id=session_id, steps=steps)
        argv = own_program("run_script", write_job(brief.temp, "script", job))
        return replace(invocation(brief, argv), session_id=session_id)

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:  # noqa: ARG002  # the port
        """Only the final record and exit code 0 together are success."""
        return read_record(output, exit_code)
