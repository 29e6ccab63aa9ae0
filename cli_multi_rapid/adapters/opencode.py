"""opencode, headless. Measured with 1.18.33.

It prints JSON lines; cost and tokens stand with every step. A stream that was cut off never ends.
"""

from collections.abc import Iterator, Sequence
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
from cli_multi_rapid.adapters.agent_end import AgentEnd, failure_of_status, judge
from cli_multi_rapid.adapters.token_costs import priced
from cli_multi_rapid.adapters.tool_output import as_cost, count_at, read_jsonl, text_at, value_at
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.ports import Brief, CostClass, Invocation, StopStep, ToolReading

VARIABLES: Final = (
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "OPENAI_API_KEY",
    "OPENCODE_API_KEY",
    "OPENCODE_CONFIG",
    "OPENROUTER_API_KEY",
)
# SIGINT does not end it, and SIGTERM orphans the command that it runs: the kill of the tree gets that.
STOPS: Final = (StopStep(signal=Signals.SIGTERM, wait_s=2.0),)
_OURS: Final = {
    "OPENCODE_DISABLE_AUTOUPDATE": "true",
    # Plugins, commands and servers that the repository brings along would run unasked.
    "OPENCODE_DISABLE_PROJECT_CONFIG": "true",
}

Record = dict[str, object]


class OpencodeAdapter(Agent):
    """Runs `opencode run --format json` and reads its JSON lines."""

    name: ToolName = ToolName("opencode")
    cost: CostClass = CostClass.PRICED
    program: str = "opencode"
    install: str = "npm install -g opencode-ai"

    def prepare(self, brief: Brief) -> Invocation:
        """A new session in the slot; models are named `provider/model`."""
        argv = (
            *("opencode", "run", "--format", "json"),
            *model_option("-m", brief, self._settings),
            *self._settings.args,
            prompt_argument(brief, self.name),
        )
        return launched(brief, self._settings, argv, Launch(env=_OURS, stops=STOPS))

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """Its final record is a last step that stopped by itself."""
        records = read_jsonl(output.decode("utf-8", "replace")).records
        steps = [value_at(record, "part") for record in records if record.get("type") == "step_finish"]
        fault = next((record for record in reversed(records) if record.get("type") == "error"), None)
        reason = text_at(steps[-1], "reason") if steps else ""
        denied = tuple(_denials(records))
        ended_at_denial = f"was not allowed {denied[-1]}" if denied and reason != "stop" else ""
        end = AgentEnd(
            finished=reason == "stop" and fault is None,
            result=_last_text(records),
            error=_words_of(fault) or ended_at_denial,
            failure=_failure(fault, denied),
            usage=self._usage(steps, brief),
            session_id=next((text_at(each, "sessionID") for each in records if "sessionID" in each), None),
            denied=denied,
            hint=f"its last step ended with: {reason}" if reason else "",
        )
        return judge(end, exit_code, output)

    def _usage(self, steps: Sequence[object], brief: Brief) -> Usage:
        """The sum of the steps. A cost of 0 for tokens is that of a model without a price."""
        model = model_of(brief, self._settings)
        by_id = {text_at(step, "id") or str(place): step for place, step in enumerate(steps)}
        cost = cached = sent = answered = 0
        for step in by_id.values():
            cost += as_cost([value_at(step, "cost")]) or ZERO
            from_cache = count_at(step, "tokens", "cache", "read")
            cached += from_cache
            sent += (
                count_at(step, "tokens", "input") + from_cache + count_at(step, "tokens", "cache", "write")
            )
            answered += count_at(step, "tokens", "output") + count_at(step, "tokens", "reasoning")
        usage = Usage(
            cost=MicroUsd(cost),
            input_tokens=sent,
            cached_tokens=cached,
            output_tokens=answered,
            model=model,
            source="tool" if cost else "none",
        )
        return priced([usage], self._settings.prices)


def _words_of(fault: Record | None) -> str:
    if fault is None:
        return ""
    words = text_at(fault, "error", "data", "message") or text_at(fault, "error", "name")
    return words or "it reports an error"


def _failure(fault: Record | None, denied: Sequence[str]) -> FailureClass | None:
    """Without a status, its own word on trying again counts. It ends at a permission that is refused."""
    if fault is None:
        return FailureClass.REFUSED if denied else None
    by_status = failure_of_status(count_at(fault, "error", "data", "statusCode"))
    may_retry = value_at(fault, "error", "data", "isRetryable") is True
    return by_status or (FailureClass.TRANSIENT if may_retry else None)


def _last_text(records: Sequence[Record]) -> str:
    texts = [text_at(record, "part", "text") for record in records if record.get("type") == "text"]
    return texts[-1] if texts else ""


def _denials(records: Sequence[Record]) -> Iterator[str]:
    for record in records:
        state = value_at(record, "part", "state")
        if record.get("type") == "tool_use" and "rejected permission" in text_at(state, "error"):
            what = text_at(state, "input", "filePath") or text_at(state, "input", "command")
            yield f"{text_at(record, 'part', 'tool')}: {what}"
