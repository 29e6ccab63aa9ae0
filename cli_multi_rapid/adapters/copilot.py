"""GitHub Copilot CLI, headless. Measured with 1.0.102.

It prints JSON lines; tokens stand only in the file that it is asked to write, by model, and are those of the
whole session. Hooks and servers of a folder run only when the folder is trusted, which we never ask for.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Final

from msgspec.structs import replace

from cli_multi_rapid.adapters.agent import (
    Agent,
    Launch,
    launched,
    model_option,
    new_session_id,
    prompt_argument,
)
from cli_multi_rapid.adapters.agent_end import AgentEnd, failure_of_status, judge
from cli_multi_rapid.adapters.token_costs import priced_in_session
from cli_multi_rapid.adapters.tool_output import (
    count_at,
    entries_at,
    items_at,
    read_json,
    read_jsonl,
    text_at,
)
from cli_multi_rapid.core.facts import UNKNOWN, Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.ports import Brief, CostClass, Invocation, StopStep, ToolReading

VARIABLES: Final = (
    "COPILOT_GITHUB_TOKEN",
    "COPILOT_HOME",
    "COPILOT_MODEL",
    "COPILOT_PROVIDER_API_KEY",
    "COPILOT_PROVIDER_BASE_URL",
    "COPILOT_PROVIDER_TYPE",
)
# It writes no record on a signal.
STOPS: Final = (StopStep(signal=Signals.SIGTERM, wait_s=2.0),)
_ARGS: Final = (
    *("--allow-all-tools", "--no-ask-user", "--no-auto-update", "--disable-builtin-mcps"),
    # With `=`: the option takes a list.
    *("--deny-tool=shell(git push)", "--disallow-temp-dir", "--output-format", "json"),
)
_USAGE_FILE: Final = "copilot-usage.json"
_LARGEST_USAGE: Final = 1024 * 1024

Record = dict[str, object]


class CopilotAdapter(Agent):
    """Runs `copilot -p` and reads its JSON lines and its usage file."""

    name: ToolName = ToolName("copilot")
    cost: CostClass = CostClass.METERED
    resumes: bool = True
    program: str = "copilot"
    install: str = "npm install -g @github/copilot"

    def prepare(self, brief: Brief) -> Invocation:
        """The same option begins a session and goes on with one."""
        session_id = brief.session_id or new_session_id(brief)
        argv = (
            *("copilot", "-p", prompt_argument(brief, self.name)),
            *_ARGS,
            f"--usage-output-file={brief.temp / _USAGE_FILE}",
            f"--session-id={session_id}",
            *model_option("--model", brief, self._settings),
            *self._settings.args,
        )
        return launched(brief, self._settings, argv, Launch(stops=STOPS, session_id=session_id))

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """Its final record is a `result` with exit code 0; the error stands before it."""
        records = read_jsonl(output.decode("utf-8", "replace")).records
        final = next((record for record in reversed(records) if record.get("type") == "result"), None)
        fault = next((record for record in reversed(records) if record.get("type") == "session.error"), None)
        session_id = text_at(final, "sessionId")
        usage = self._usage(records, session_id, brief)
        if final is not None and not usage.tokens and _has_answer(records):
            usage = replace(usage, source=UNKNOWN)
        end = AgentEnd(
            finished=final is not None and final.get("exitCode") == 0,
            result=_last_answer(records),
            error=text_at(fault, "data", "message"),
            failure=failure_of_status(count_at(fault, "data", "statusCode")),
            usage=usage,
            session_id=session_id,
            denied=tuple(_denials(records)),
        )
        return judge(end, exit_code, output)

    def _usage(self, records: Sequence[Record], session_id: str, brief: Brief) -> Usage:
        """The sum over the models of its file, less what the session had cost before."""
        models = entries_at(_usage_document(brief.temp), "modelMetrics")
        if not models:
            models_told = (text_at(record, "data", "model") for record in reversed(records))
            return Usage(model=next(filter(None, models_told), None))
        used = [_tokens(name, entries_at(metrics, "usage")) for name, metrics in models.items()]
        return priced_in_session(used, brief, session_id, self._settings.prices)


def _tokens(model: str, used: Mapping[str, object]) -> Usage:
    return Usage(
        input_tokens=count_at(used, "inputTokens"),
        cached_tokens=count_at(used, "cacheReadTokens"),
        output_tokens=count_at(used, "outputTokens"),
        model=model,
    )


def _usage_document(folder: Path) -> Record | None:
    """The file that it wrote at its end; None when it came to no end."""
    try:
        with (folder / _USAGE_FILE).open("rb") as file:
            data = file.read(_LARGEST_USAGE)
    except OSError:
        return None
    return next(iter(read_json(data.decode("utf-8", "replace")).records), None)


def _answers(records: Sequence[Record]) -> Iterator[Record]:
    return (record for record in records if record.get("type") == "assistant.message")


def _has_answer(records: Sequence[Record]) -> bool:
    return any(True for _ in _answers(records))


def _last_answer(records: Sequence[Record]) -> str:
    texts = [text_at(record, "data", "content") for record in _answers(records)]
    return next((text for text in reversed(texts) if text), "")


def _denials(records: Sequence[Record]) -> Iterator[str]:
    """The tools that it asked for and did not get, with what they were to work on."""
    asked = {
        text_at(request, "toolCallId"): request
        for record in _answers(records)
        for request in items_at(record, "data", "toolRequests")
    }
    for record in records:
        if text_at(record, "data", "error", "code") == "denied":
            request = asked.get(text_at(record, "data", "toolCallId"))
            what = text_at(request, "arguments", "path") or text_at(request, "arguments", "command")
            yield f"{text_at(request, 'name') or 'a tool'}: {what}"
