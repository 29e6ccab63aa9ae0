"""Cursor's agent, headless: written from its documentation alone, and never run. Not verified.

The program comes from Cursor itself; the npm package named `cursor-agent` is a stranger's. It tells neither
cost nor tokens and is known to hang. Hooks of a repository's `.cursor/hooks.json` run: no option prevents it.
"""

from signal import Signals
from typing import Final

from cli_multi_rapid.adapters.agent import (
    Agent,
    Launch,
    launched,
    model_of,
    model_option,
    prompt_argument,
)
from cli_multi_rapid.adapters.agent_end import AgentEnd, judge
from cli_multi_rapid.adapters.tool_output import read_jsonl, text_at
from cli_multi_rapid.core.facts import UNKNOWN, Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.ports import Brief, CostClass, Invocation, StopStep, ToolReading

VARIABLES: Final = ("CURSOR_API_KEY",)
STOPS: Final = (StopStep(signal=Signals.SIGTERM, wait_s=2.0),)


class CursorAdapter(Agent):
    """Runs `cursor-agent -p` and reads its final record."""

    name: ToolName = ToolName("cursor")
    cost: CostClass = CostClass.UNPRICED
    program: str = "cursor-agent"
    install: str = "see cursor.com/cli, not the npm package of that name"

    def prepare(self, brief: Brief) -> Invocation:
        """The slot is named as the workspace and as trusted: without that it asks."""
        argv = (
            *("cursor-agent", "-p", "--output-format", "json", "--force", "--trust"),
            *("--workspace", str(brief.slot)),
            *model_option("--model", brief, self._settings),
            *self._settings.args,
            prompt_argument(brief, self.name),
        )
        return launched(brief, self._settings, argv, Launch(stops=STOPS))

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """Success is a `result` record without an error; a failure prints words and no record."""
        records = read_jsonl(output.decode("utf-8", "replace")).records
        final = next((record for record in reversed(records) if record.get("type") == "result"), None)
        failed = final is not None and (
            final.get("is_error") is not False or final.get("subtype") != "success"
        )
        end = AgentEnd(
            finished=final is not None and not failed,
            result=text_at(final, "result"),
            error=(text_at(final, "result") or "it reports an error") if failed else "",
            usage=Usage(model=model_of(brief, self._settings), source="none" if final is None else UNKNOWN),
            session_id=text_at(final, "session_id"),
        )
        return judge(end, exit_code, output)
