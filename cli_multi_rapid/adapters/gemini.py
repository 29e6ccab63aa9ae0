"""Gemini CLI, headless. Measured with 0.61.0.

It prints one JSON document at its end, over several lines: to stdout, or to stderr for an error. It tells
tokens by model and no cost. Its leader ignores SIGTERM for ten seconds and then says nothing more.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
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
from cli_multi_rapid.adapters.agent_end import AgentEnd, failure_of_status, judge, one_line
from cli_multi_rapid.adapters.token_costs import priced
from cli_multi_rapid.adapters.tool_output import count_at, entries_at, read_objects, text_at
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.ports import Brief, CostClass, Invocation, StopStep, ToolReading

VARIABLES: Final = (
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_GENAI_USE_VERTEXAI",
)
# Nothing comes of waiting longer: it has no record to write.
STOPS: Final = (StopStep(signal=Signals.SIGTERM, wait_s=1.0),)
_ARGS: Final = ("--output-format", "json", "--approval-mode", "yolo", "--allowed-mcp-server-names=none")
_OURS: Final = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}
"""It does nothing in a folder that is not trusted; in one that is, it runs the hooks of the repository."""
_ASKED: Final = "--skip-trust"
"""An argument with which a person says that the repository's own commands may run."""
_SETTINGS: Final = ".gemini/settings.json"
_COMMANDS: Final = frozenset(
    ("hooks", "discoveryCommand", "callCommand", "serverCommand", "toolDiscoveryCommand", "toolCallCommand")
)
"""Keys of its settings that name commands. Servers are shut out by our arguments."""
_LONGEST_DOCUMENT: Final = 256 * 1024
"""Characters at the end of the output in which its document is looked for."""
_RETRY: Final = re.compile(r"^Attempt \d+ failed[^\n{]{0,400}(?:\{[^\n]{0,400})?", re.MULTILINE)
_DENIED: Final = re.compile(r"^Error executing tool (\S{1,100}): ([^\n]{0,300})", re.MULTILINE)
_OF_TYPE: Final = {"INVALID_STREAM": FailureClass.TRANSIENT}
"""A stream that was cut off; it exits with 0 all the same."""

Record = dict[str, object]


class GeminiAdapter(Agent):
    """Runs `gemini -p` and reads its final document."""

    name: ToolName = ToolName("gemini")
    cost: CostClass = CostClass.METERED
    program: str = "gemini"
    install: str = "npm install -g @google/gemini-cli"

    def prepare(self, brief: Brief) -> Invocation:
        """The slot counts as trusted. Raises `UserError` when settings of the repository run commands."""
        if _ASKED not in self._settings.args and _names_commands(brief.slot / _SETTINGS):
            raise UserError(
                f"node {brief.node.id}: gemini would run the commands of the repository's {_SETTINGS}",
                hint=f"remove hooks and commands from it, or allow them with args: [{_ASKED}] of the tool",
            )
        argv = (
            *("gemini", "-p", prompt_argument(brief, self.name)),
            *_ARGS,
            *model_option("-m", brief, self._settings),
            *self._settings.args,
        )
        return launched(brief, self._settings, argv, Launch(env=_OURS, stops=STOPS))

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """The last document with a session and an answer or an error counts."""
        text = output.decode("utf-8", "replace")
        final = _final_document(text)
        kind, code = text_at(final, "error", "type"), count_at(final, "error", "code")
        retries = _RETRY.findall(text)
        end = AgentEnd(
            finished=final is not None and "error" not in final,
            result=text_at(final, "response"),
            error=_error_of(final),
            failure=_OF_TYPE.get(kind) or failure_of_status(code),
            usage=self._usage(final, brief),
            session_id=text_at(final, "session_id"),
            denied=tuple(_denials(text)),
            hint=one_line(retries[-1]) if retries else "",
        )
        return judge(end, exit_code, output)

    def _usage(self, final: Record | None, brief: Brief) -> Usage:
        """The sum over the models. One whose price is not known makes the whole cost unknown."""
        named = model_of(brief, self._settings)
        models = entries_at(final, "stats", "models")
        used = [_tokens(name, entries_at(stats, "tokens")) for name, stats in models.items()]
        found = priced(used, self._settings.prices)
        return found if found.tokens else Usage(model=named)


def _names_commands(settings: Path) -> bool:
    """Whether a settings file names commands, or cannot be read for certain."""
    if not settings.exists():
        return False
    try:
        entries = _all_entries(json.loads(settings.read_text(encoding="utf-8")))
        return any(key in _COMMANDS and value for key, value in entries)
    except (OSError, ValueError, RecursionError):  # it may have comments, which gemini allows
        return True


def _all_entries(value: object) -> Iterator[tuple[str, object]]:
    """Every key with its value, however deep it lies."""
    if isinstance(value, dict):
        yield from value.items()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _all_entries(item)


def _final_document(text: str) -> Record | None:
    found = [record for record in read_objects(text[-_LONGEST_DOCUMENT:]) if "session_id" in record]
    return next((record for record in reversed(found) if "response" in record or "error" in record), None)


def _error_of(final: Record | None) -> str:
    """The message; its own library puts the server's document into it as a text."""
    if final is None or "error" not in final:
        return ""
    message = text_at(final, "error", "message")
    inner = next(read_objects(message), None)
    return text_at(inner, "error", "message") or message or "it reports an error"


def _tokens(model: str, tokens: Mapping[str, object]) -> Usage:
    """Thoughts are output; what tools answered is sent again as input."""
    return Usage(
        input_tokens=count_at(tokens, "prompt") + count_at(tokens, "tool"),
        cached_tokens=count_at(tokens, "cached"),
        output_tokens=count_at(tokens, "candidates") + count_at(tokens, "thoughts"),
        model=model,
    )


def _denials(text: str) -> Iterator[str]:
    """What its own workspace rule did not let through."""
    for tool, words in _DENIED.findall(text):
        if "not in workspace" in words or "denied" in words.lower():
            yield f"{tool}: {words}"
