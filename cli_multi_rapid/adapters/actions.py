"""The deterministic steps of a phase: commands, files, folders, functions, tests. No model is asked."""

from collections.abc import Mapping

from msgspec.structs import replace

from cli_multi_rapid.adapters.ending import LONGEST_REASON, clip, last_lines
from cli_multi_rapid.adapters.final_record import RECORD_START, find_record
from cli_multi_rapid.adapters.judgement import read_record
from cli_multi_rapid.adapters.launch import CACHES, invocation
from cli_multi_rapid.adapters.own_program import own_program, write_job
from cli_multi_rapid.adapters.run_actions import ActionsJob
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import Actions
from cli_multi_rapid.ports import Brief, CostClass, Invocation, ToolReading


class ActionsAdapter:
    """Does the steps in order; the first that fails ends the attempt."""

    name: ToolName = ToolName("actions")
    cost: CostClass = CostClass.FREE
    expects_change: bool = False
    resumes: bool = False

    def missing(self, environment: Mapping[str, str]) -> str | None:  # noqa: ARG002  # the port
        """Never: a program that a step needs and that is not there fails that step by name."""
        return None

    def prepare(self, brief: Brief) -> Invocation:
        """The steps go by file. Raises `UserError` when the node has none."""
        work = brief.node.work
        if not isinstance(work, Actions):
            raise UserError(f"node {brief.node.id}: the actions tool needs `actions:`")
        job = ActionsJob(slot=str(brief.slot), temp=str(brief.temp), actions=work.actions)
        argv = own_program("run_actions", write_job(brief.temp, "actions", job))
        return invocation(brief, argv, ignore=CACHES)

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:  # noqa: ARG002  # the port
        """Success is the end of the last step; a failure names its step and quotes its last words."""
        reading = read_record(output, exit_code)
        said = "" if reading.ok else _last_words(output)
        if not said or said in reading.reason:
            return reading
        return replace(reading, reason=clip(f"{reading.reason}: {said}", LONGEST_REASON))


def _last_words(output: bytes) -> str:
    """What the step that failed wrote last; a function's own record tells its error best."""
    before = output[: max(0, output.rfind(RECORD_START))]
    line = (last_lines(before, 1) or [""])[0]
    record = find_record(line.encode())
    said = record.error if record else line
    return "" if said.startswith("[") else said
