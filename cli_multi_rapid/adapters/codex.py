"""OpenAI Codex, headless. Measured with 0.169.0.

Its own sandbox lets commands write in the slot and in temporary folders only. It tells tokens and no cost;
after `resume` it tells the tokens of the whole thread.
"""

import json
import re
from collections.abc import Iterator, Sequence
from signal import Signals
from typing import Final

from msgspec.structs import replace

from cli_multi_rapid.adapters.agent import (
    Agent,
    Launch,
    launched,
    model_of,
    model_option,
    prompt_argument,
)
from cli_multi_rapid.adapters.agent_end import AgentEnd, judge
from cli_multi_rapid.adapters.token_costs import priced_in_session
from cli_multi_rapid.adapters.tool_output import count_at, read_jsonl, text_at, value_at
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.ports import Brief, CostClass, Invocation, StopStep, ToolReading

VARIABLES: Final = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_API_KEY", "CODEX_HOME")
STOPS: Final = (StopStep(signal=Signals.SIGINT, wait_s=2.0), StopStep(signal=Signals.SIGTERM, wait_s=2.0))
_ARGS: Final = (
    *("-c", "analytics.enabled=false", "-c", "check_for_update_on_startup=false"),
    # Hooks and rules that the repository brings along would run unasked.
    *("-c", "features.hooks=false", "--ignore-rules"),
)
_SCHEMA_FILE: Final = "answer-schema.json"
_ANSWER_FILE: Final = "answer.json"
_THREAD: Final = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z-]{0,99}")
_LOST_THREAD: Final = re.compile(r"^Error: thread/resume[^\n]*", re.MULTILINE)
_NO_SANDBOX: Final = re.compile(
    r"^WARNING: [^\n]*Refusing to create helper binaries under temporary", re.MULTILINE
)
_REFUSALS: Final = ("Read-only file system", "Operation not permitted", "Permission denied")

Record = dict[str, object]


class CodexAdapter(Agent):
    """Runs `codex exec --json` and reads its JSON lines."""

    name: ToolName = ToolName("codex")
    cost: CostClass = CostClass.METERED
    resumes: bool = True
    program: str = "codex"
    install: str = "npm install -g @openai/codex"

    def prepare(self, brief: Brief) -> Invocation:
        """A new thread, or the one of an earlier attempt."""
        resume = ("resume", brief.session_id) if _is_thread(brief.session_id) else ()
        argv = (
            *("codex", "exec", "--json", *_mode(brief), *_ARGS),
            *model_option("-m", brief, self._settings),
            *self._settings.args,
            *(part for part in resume if part),
            prompt_argument(brief, self.name),
        )
        return launched(brief, self._settings, argv, Launch(stops=STOPS))

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """Only `turn.failed` is fatal; other errors are retries and notes."""
        text = output.decode("utf-8", "replace")
        records = read_jsonl(text).records
        turn = next((record for record in reversed(records) if _ends_turn(record)), None)
        thread = next((text_at(each, "thread_id") for each in records if "thread_id" in each), None)
        lost = _LOST_THREAD.search(text) if turn is None else None
        error = lost[0] if lost else text_at(turn, "error", "message")
        if not error and turn is not None and turn.get("type") == "turn.failed":
            error = "the turn failed"
        end = AgentEnd(
            finished=turn is not None and not error,
            result=_last_answer(records),
            error=error,
            # Without its thread the node can still begin anew.
            failure=FailureClass.TRANSIENT if lost else None,
            usage=self._usage(turn, thread, brief),
            session_id=thread,
            denied=(*_refused(records), *_broken_sandbox(text)),
            hint=_last_error(records),
        )
        reading = judge(end, exit_code, output)
        return reading if brief.answer_schema is None else replace(reading, answer=_answer_of(end, brief))

    def _usage(self, turn: Record | None, thread: str | None, brief: Brief) -> Usage:
        model = model_of(brief, self._settings)
        told = Usage(
            input_tokens=count_at(turn, "usage", "input_tokens"),
            cached_tokens=count_at(turn, "usage", "cached_input_tokens"),
            output_tokens=count_at(turn, "usage", "output_tokens"),
            model=model,
        )
        return priced_in_session([told], brief, thread, self._settings.prices)


def _mode(brief: Brief) -> tuple[str, ...]:
    """To work in the slot; or only to answer, in a folder that need not be a repository."""
    if brief.answer_schema is None:
        return ("-s", "workspace-write")
    schema = brief.temp / _SCHEMA_FILE
    schema.write_text(brief.answer_schema, encoding="utf-8")
    answer = brief.temp / _ANSWER_FILE
    answer.unlink(missing_ok=True)  # of an earlier question
    files = ("--output-schema", str(schema), "-o", str(answer))
    return ("-s", "read-only", "--skip-git-repo-check", *files)


def _answer_of(end: AgentEnd, brief: Brief) -> str | None:
    """The whole answer lies in a file. It is not held against the schema by codex."""
    if not end.finished:
        return None
    file = brief.temp / _ANSWER_FILE
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else end.result
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # a model may say anything
        return text


def _is_thread(session_id: str | None) -> bool:
    return session_id is not None and _THREAD.fullmatch(session_id) is not None


def _ends_turn(record: Record) -> bool:
    return record.get("type") in ("turn.completed", "turn.failed")


def _items(records: Sequence[Record], kind: str) -> Iterator[object]:
    """The finished items of a kind."""
    for record in records:
        if record.get("type") == "item.completed" and text_at(record, "item", "type") == kind:
            yield value_at(record, "item")


def _last_answer(records: Sequence[Record]) -> str:
    answers = [text_at(item, "text") for item in _items(records, "agent_message")]
    return answers[-1] if answers else ""


def _last_error(records: Sequence[Record]) -> str:
    errors = [text_at(record, "message") for record in records if record.get("type") == "error"]
    return errors[-1] if errors else ""


def _refused(records: Sequence[Record]) -> Iterator[str]:
    """The commands that its sandbox or its rules did not let through."""
    for item in _items(records, "command_execution"):
        said = text_at(item, "aggregated_output")
        declined = text_at(item, "status") == "declined"
        if declined or (count_at(item, "exit_code") and any(refusal in said for refusal in _REFUSALS)):
            yield text_at(item, "command")


def _broken_sandbox(text: str) -> Iterator[str]:
    """It then claims success and has written nothing."""
    if _NO_SANDBOX.search(text):
        yield "its sandbox, because CODEX_HOME lies below TMPDIR"
