"""Claude Code, headless. Measured with 2.1.197.

It may run any command in the slot's folder, and outside of it: allowing Bash is no confinement. Commits and
pushes are refused to it, because the orchestrator commits. Where only an answer is wanted it has no tools,
or those that read.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
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
from cli_multi_rapid.adapters.token_costs import priced
from cli_multi_rapid.adapters.tool_output import (
    as_cost,
    as_text,
    count_at,
    entries_at,
    items_at,
    read_jsonl,
    text_at,
    value_at,
)
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd, to_usd
from cli_multi_rapid.ports import Brief, CostClass, Invocation, ToolReading

VARIABLES: Final = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CONFIG_DIR",
)
_OURS: Final = {
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    # It would go on for three minutes on a dead server; trying again is the orchestrator's.
    "CLAUDE_CODE_MAX_RETRIES": "1",
}
# Hooks and servers that the repository brings along would run unasked.
_OWN_SETTINGS: Final = ("--setting-sources", "user", "--strict-mcp-config")
_ARGS: Final = (
    *("--output-format", "stream-json", "--verbose"),
    *("--permission-mode", "acceptEdits"),
    # With `=`: the options take lists, and would swallow what follows.
    "--allowedTools=Bash,Write,Edit",
    "--disallowedTools=Bash(git commit:*),Bash(git push:*)",
    *_OWN_SETTINGS,
)
_READING: Final = "Read,Grep,Glob"
"""The tools of one that may look and touch nothing."""
_NO_FORM: Final = "error_max_structured_output_retries"
"""Its own checks refused every answer of the model."""
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SESSION_FAULT: Final = re.compile(
    r"^(?:Error: )?(?:No conversation found with session ID|Session ID \S+ is already in use)[^\n]*",
    re.MULTILINE,
)

Record = dict[str, object]


class ClaudeAdapter(Agent):
    """Runs `claude -p` and reads its stream of JSON lines."""

    name: ToolName = ToolName("claude")
    cost: CostClass = CostClass.PRICED
    resumes: bool = True
    program: str = "claude"
    install: str = "npm install -g @anthropic-ai/claude-code"

    def prepare(self, brief: Brief) -> Invocation:
        """A new session, or the transcript of the earlier one, whose id is known in its old folder only."""
        session_id = new_session_id(brief)
        transcript = self._transcript(brief)
        session = ("--session-id", session_id) if transcript is None else ("--resume", str(transcript))
        # Also when nothing is left: without the option it would have no limit at all.
        cap = () if brief.cap is None else ("--max-budget-usd", f"{to_usd(max(brief.cap, MicroUsd(1))):.6f}")
        argv = (
            *("claude", "-p", prompt_argument(brief, self.name)),
            *_args(brief),
            *session,
            *cap,
            *model_option("--model", brief, self._settings),
            *self._settings.args,
        )
        used = session_id if transcript is None else brief.session_id
        return launched(brief, self._settings, argv, Launch(env=_OURS, session_id=used))

    def _transcript(self, brief: Brief) -> Path | None:
        """Where claude keeps the session to be continued: in a folder named after the slot of that time."""
        if not brief.session_id or not _UUID.fullmatch(brief.session_id):
            return None
        environment = {**self._settings.variables, **brief.environment}
        home = environment.get("CLAUDE_CONFIG_DIR") or f"{environment.get('HOME', '')}/.claude"
        return next(Path(home).glob(f"projects/*/{brief.session_id}.jsonl"), None)

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """The last record of type `result` tells all; without one, the tokens of its messages are added."""
        text = output.decode("utf-8", "replace")
        records = read_jsonl(text).records
        final = next((record for record in reversed(records) if record.get("type") == "result"), None)
        if final is not None:
            reading = judge(_end_of(final), exit_code, output)
            return reading if brief.answer_schema is None else replace(reading, answer=_answer_of(final))
        fault = _SESSION_FAULT.search(text)
        session = next((text_at(record, "session_id") for record in records if "session_id" in record), "")
        end = AgentEnd(
            finished=False,
            error=fault[0] if fault else "",
            failure=FailureClass.TRANSIENT if fault else None,
            usage=priced(_usage_so_far(records, brief.node.model), self._settings.prices),
            session_id=None if fault else session,
            hint=_last_retry(records),
        )
        return judge(end, exit_code, output)


def _args(brief: Brief) -> tuple[str, ...]:
    if brief.answer_schema is None:
        return _ARGS
    tools = _READING if brief.may_read else ""
    may = ("--tools", tools, "--permission-mode", "dontAsk")
    return ("--output-format", "json", *may, *_OWN_SETTINGS, "--json-schema", brief.answer_schema)


def _answer_of(final: Record) -> str | None:
    """Indented, so that what is said about it can name lines."""
    if "structured_output" in final:
        return json.dumps(final["structured_output"], indent=2, ensure_ascii=False)
    if text_at(final, "subtype") == _NO_FORM:
        return ""
    return None if _error_of(final) else text_at(final, "result")


def _end_of(final: Record) -> AgentEnd:
    error = _error_of(final)
    aborted = text_at(final, "terminal_reason").startswith("aborted")
    status = count_at(final, "api_error_status")
    return AgentEnd(
        finished=not error,
        result=text_at(final, "result"),
        error=error,
        failure=FailureClass.INTERRUPTED if aborted else failure_of_status(status),
        usage=_usage_of(final),
        session_id=text_at(final, "session_id"),
        denied=tuple(map(_denial, items_at(final, "permission_denials"))),
    )


def _error_of(final: Record) -> str:
    """The error in words. API errors say `subtype: success` with `is_error: true`."""
    subtype, is_error = text_at(final, "subtype"), final.get("is_error")
    if is_error is False and subtype == "success":
        return ""
    terminal = text_at(final, "terminal_reason")
    if terminal.startswith("aborted"):
        return f"was interrupted ({terminal})"
    words = as_text([value for value in items_at(final, "errors") if value]) or text_at(final, "result")
    return words or subtype or "its final record says neither success nor error"


def _denial(denial: object) -> str:
    """The tool that was refused, and what it was to work on."""
    asked = value_at(denial, "tool_input")
    what = text_at(asked, "command") or text_at(asked, "file_path")
    return f"{text_at(denial, 'tool_name') or 'a tool'}: {what}" if what else text_at(denial, "tool_name")


def _usage_of(final: Record) -> Usage:
    """By model, because the total of the last turn alone misses what was sent again after a cut stream."""
    models = entries_at(final, "modelUsage")
    cost = as_cost([final["total_cost_usd"]]) if "total_cost_usd" in final else None
    dearest = max(models, key=lambda name: _cost_at(models[name]), default=None)
    cached = sum(count_at(used, "cacheReadInputTokens") for used in models.values())
    written = sum(count_at(used, "cacheCreationInputTokens") for used in models.values())
    return Usage(
        cost=ZERO if cost is None else cost,
        input_tokens=sum(count_at(used, "inputTokens") for used in models.values()) + cached + written,
        output_tokens=sum(count_at(used, "outputTokens") for used in models.values()),
        cached_tokens=cached,
        model=dearest,
        source="none" if cost is None else "tool",
    )


def _cost_at(used: object) -> MicroUsd:
    return as_cost([value_at(used, "costUSD")]) or ZERO


def _messages(records: Sequence[Record]) -> Iterator[Record]:
    """The answers of the model, each as it was told last."""
    by_id: dict[str, Record] = {}
    for record in records:
        message = record.get("message")
        if record.get("type") == "assistant" and isinstance(message, dict):
            by_id[text_at(message, "id")] = message
    return iter(by_id.values())


def _usage_so_far(records: Sequence[Record], named: str | None) -> Iterator[Usage]:
    """What each answer used, of its own model."""
    first = _model_of(records) or named
    yield Usage(model=first)
    for message in _messages(records):
        cached = count_at(message, "usage", "cache_read_input_tokens")
        written = count_at(message, "usage", "cache_creation_input_tokens")
        yield Usage(
            input_tokens=count_at(message, "usage", "input_tokens") + cached + written,
            cached_tokens=cached,
            output_tokens=count_at(message, "usage", "output_tokens"),
            model=text_at(message, "model") or first,
        )


def _model_of(records: Sequence[Record]) -> str | None:
    return next((text_at(record, "model") for record in records if record.get("subtype") == "init"), None)


def _last_retry(records: Sequence[Record]) -> str:
    """What its own retries were about, when it was stopped in one."""
    for record in reversed(records):
        if record.get("subtype") == "api_retry":
            status = count_at(record, "error_status")
            return f"API error {status}: {text_at(record, 'error')}" if status else text_at(record, "error")
    return ""
