"""aider, headless. Measured with 0.86.2.

It exits with 0 whatever happened and prints text only. It makes the files that it is given as empty files
before it asks its model, and adds new files to its index: neither is work.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from signal import Signals
from typing import Final

from cli_multi_rapid.adapters.agent import (
    Agent,
    Launch,
    launched,
    model_option,
    prompt_argument,
)
from cli_multi_rapid.adapters.agent_end import AgentEnd, judge, one_line
from cli_multi_rapid.adapters.template import write_prompt_file
from cli_multi_rapid.adapters.token_costs import priced
from cli_multi_rapid.adapters.tool_output import as_cost, as_count
from cli_multi_rapid.core.claims import ClaimMode, parse_glob
from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import ZERO
from cli_multi_rapid.ports import Brief, CostClass, Invocation, StopStep, ToolReading

VARIABLES: Final = (
    "ANTHROPIC_API_KEY",
    "DEEPSEEK_API_KEY",
    "GEMINI_API_KEY",
    "OPENAI_API_BASE",
    "OPENAI_API_KEY",
    "OPENROUTER_API_KEY",
)
# At the first SIGINT it asks for a second one; it has no record to write, so nothing is lost by SIGTERM.
STOPS: Final = (StopStep(signal=Signals.SIGTERM, wait_s=2.0),)
LITTER: Final = ("**/.aider.tags.cache*/**", "**/.aider.chat.history.md", "**/.aider.input.history")
_OURS: Final = {
    "AIDER_ANALYTICS_DISABLE": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "COLUMNS": "500",  # or its lines are wrapped at 80
}
_ARGS: Final = (
    *("--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-check-update", "--analytics-disable"),
    *("--map-tokens", "0", "--no-show-model-warnings", "--no-pretty", "--no-stream", "--no-gitignore"),
    *("--no-suggest-shell-commands", "--no-show-release-notes", "--no-detect-urls", "--no-fancy-input"),
    # The commands of a repository's .aider.conf.yml would run unasked.
    *("--no-auto-lint", "--no-auto-test", "--no-notifications"),
    *("--chat-history-file", "/dev/null", "--input-history-file", "/dev/null"),
)
_ERROR: Final = re.compile(
    r"^litellm\.\w*(?:Error|Timeout)\b[^\n]*(?:\n(?!Retrying)[^\n]+){0,2}", re.MULTILINE
)
_GIVEN_UP: Final = re.compile(
    r"^(?:Only \d+ reflections allowed, stopping\.|Model \S+ has hit a token limit!)", re.MULTILINE
)
_AMOUNT: Final = r"([0-9][0-9.,]{0,19}[kKmM]?)"
_ACCOUNT: Final = re.compile(
    rf"^Tokens:\s+{_AMOUNT}\s+sent(?:,\s+{_AMOUNT}\s+cache\s+write)?(?:,\s+{_AMOUNT}\s+cache\s+hit)?"
    rf",\s+{_AMOUNT}\s+received\."
    r"(?:\s+Cost:\s+\$([0-9.,]{1,20})\s+message,\s+\$([0-9.,]{1,20})\s+session\.)?",
    re.MULTILINE,
)
_MODEL: Final = re.compile(r"^(?:Main model|Model): (\S{1,200}) with ", re.MULTILINE)
_APPLIED: Final = re.compile(r"(?:^|\]: )(Applied edit to [^\n]{1,300})", re.MULTILINE)


class AiderAdapter(Agent):
    """Runs `aider --message-file` and reads its text."""

    name: ToolName = ToolName("aider")
    cost: CostClass = CostClass.PRICED
    program: str = "aider"
    install: str = "uv tool install aider-chat"

    def prepare(self, brief: Brief) -> Invocation:
        """The prompt goes by file; the files to write are named, those only to read as well."""
        prompt_argument(brief, self.name)
        files = tuple(_to_write(brief))
        to_read = (path for path in _existing_inputs(brief) if path not in files)
        argv = (
            *("aider", *_ARGS),
            *model_option("--model", brief, self._settings),
            *self._settings.args,
            *("--message-file", str(write_prompt_file(brief))),
            *(part for path in to_read for part in ("--read", f"./{path}")),
            *(f"./{path}" for path in files),
        )
        made_empty = tuple(path for path in files if not (brief.slot / path).exists())
        launch = Launch(env=_OURS, ignore=LITTER, made_empty=made_empty, stops=STOPS)
        return launched(brief, self._settings, argv, launch)

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """Its last account of tokens is its final record; an error after it is the end instead."""
        text = output.decode("utf-8", "replace")
        accounts = list(_ACCOUNT.finditer(text))
        after = accounts[-1].end() if accounts else 0
        errors = [*_ERROR.finditer(text, after), *_GIVEN_UP.finditer(text)]
        applied = [match[1] for match in _APPLIED.finditer(text)]
        end = AgentEnd(
            finished=bool(accounts) and not errors,
            result="\n".join(dict.fromkeys(applied)) or _last_words(text[:after]),
            error=one_line(errors[-1][0]) if errors else "",
            usage=self._usage(accounts, text, brief),
        )
        return judge(end, exit_code, output)

    def _usage(self, accounts: list[re.Match[str]], text: str, brief: Brief) -> Usage:
        """All accounts together; the cost of the session stands in the last one, if the model has a price."""
        if not accounts:
            return Usage()
        found = _MODEL.search(text)
        model = found[1] if found else brief.node.model
        cost = as_cost([accounts[-1][6]]) if all(account[6] for account in accounts) else None
        usage = Usage(
            cost=ZERO if cost is None else cost,
            input_tokens=sum(as_count([a[1] or "", a[2] or "", a[3] or ""]) for a in accounts),
            cached_tokens=sum(as_count([account[3] or ""]) for account in accounts),
            output_tokens=sum(as_count([account[4]]) for account in accounts),
            model=model,
            source="none" if cost is None else "tool",
        )
        return priced([usage], self._settings.prices)


def _to_write(brief: Brief) -> Iterator[str]:
    """The outputs, and those inputs that the node may change."""
    node = brief.node
    yield from dict.fromkeys(filter(_is_plain, node.outputs))
    writable = [parse_glob(claim.path) for claim in node.path_claims if claim.mode is not ClaimMode.READ]
    for path in _existing_inputs(brief):
        if path not in node.outputs and any(glob.matches(path) for glob in writable):
            yield path


def _existing_inputs(brief: Brief) -> list[str]:
    named = filter(_is_plain, brief.node.inputs)
    return [path for path in dict.fromkeys(named) if Path(brief.slot / path).is_file()]


def _is_plain(path: str) -> bool:
    """Whether this names one file inside the slot."""
    pure = PurePosixPath(path)
    inside = not pure.is_absolute() and ".." not in pure.parts and bool(pure.parts)
    return inside and not path.endswith("/") and not any(letter in path for letter in "*?[\n\0")


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _ACCOUNT.match(line)]
    return lines[-1] if lines else ""
