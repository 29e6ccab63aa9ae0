"""The names that documents use: which are allowed, and the one spelling of those that have several."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from cli_multi_rapid.core.ids import CheckId, ToolName

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOOL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PARAM: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# The rules of `git check-ref-format`; decided here as well because a document is validated without git.
_NO_BRANCH: Final = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[-./]|[./]$|^(HEAD|@)?$"
)

_LONGEST_REF: Final = 1000
"""Characters. Linux bounds a whole path at 4096 bytes."""
_LONGEST_PART: Final = 250
"""Bytes."""

STANDARD_CHECKS: Final = tuple(map(CheckId, ("lint", "tests", "security", "typecheck", "coverage")))
"""Checks that can be named without a definition: the configuration or the repository says how they run."""

_CHECK_SPELLINGS: Final = {
    "test": "tests",
    "unit-test": "tests",
    "unit-tests": "tests",
    "unittest": "tests",
    "unittests": "tests",
    "linting": "lint",
    "security-scan": "security",
    "security-check": "security",
    "type-check": "typecheck",
    "types": "typecheck",
    "test-coverage": "coverage",
}

_TOOL_SPELLINGS: Final = {
    "claude-cli": "claude",
    "claude-code": "claude",
    "codex-cli": "codex",
    "openai-codex": "codex",
    "aider-chat": "aider",
    "aider-cli": "aider",
    "cursor-agent": "cursor",
    "cursor-cli": "cursor",
    "gemini-cli": "gemini",
    "copilot-cli": "copilot",
    "github-copilot": "copilot",
    "opencode-cli": "opencode",
    "sh": "shell",
    "bash": "shell",
}

PRIORITIES: Final[Mapping[str, int]] = {"urgent": 0, "high": 0, "medium": 1, "normal": 1, "low": 2}
"""Lower is first. Numbers are taken as they are."""

_STATUSES: Final = {
    "queued": "pending",
    "ready": "pending",
    "in_progress": "running",
    "in-progress": "running",
    "active": "running",
    "success": "completed",
    "succeeded": "completed",
    "done": "completed",
    "complete": "completed",
    "merged": "completed",
    "error": "failed",
    "failure": "failed",
    "canceled": "cancelled",
    "aborted": "cancelled",
    "paused": "waiting",
}


def check_name(text: str) -> CheckId:
    """The one spelling of a check's name: `unit_tests` is `tests`, `security-scan` is `security`."""
    name = text.strip().lower().replace("_", "-")
    name = _CHECK_SPELLINGS.get(name, name)
    return CheckId(name if name in STANDARD_CHECKS else text.strip())


def tool_name(text: str) -> ToolName:
    """The one spelling of a tool's name: `claude-cli` and `Claude` are `claude`."""
    name = text.strip().lower()
    return ToolName(_TOOL_SPELLINGS.get(name.replace("_", "-").replace(" ", "-"), name))


def node_status(text: str) -> str:
    """The one spelling of a node's status: `success` and `done` are `completed`."""
    name = text.strip().lower()
    return _STATUSES.get(name, name)


def is_tool_name(text: str) -> bool:
    """Whether a text, in its one spelling, can name a tool."""
    return _TOOL.fullmatch(text) is not None


def is_variable(text: str) -> bool:
    """Whether a text can name an environment variable."""
    return _VARIABLE.fullmatch(text) is not None


def is_param(text: str) -> bool:
    """Whether a text can name a param of a plan."""
    return _PARAM.fullmatch(text) is not None


def is_branch(text: str) -> bool:
    """Whether git accepts a text as a branch and no command line takes it for an option."""
    return _NO_BRANCH.search(text) is None and can_be_kept(text)


def can_be_kept(name: str) -> bool:
    """Whether a ref of this name fits into a file system: its parts are files, with `.lock` behind them."""
    parts = name.encode("utf-8", "surrogatepass").split(b"/")
    return len(name) <= _LONGEST_REF and all(len(part) <= _LONGEST_PART for part in parts)


def what_is_wrong_with_id(text: str) -> str | None:
    """Why a text cannot be an id (it becomes a part of branch and file names); None when it can."""
    if not text:
        return "is empty"
    if len(text) > 64:
        return "is longer than 64 characters"
    if not _ID.fullmatch(text):
        return "may hold letters, digits, `.`, `_` and `-` only, and starts with a letter or digit"
    if ".." in text:
        return "holds `..`"
    if text.endswith((".lock", ".")):
        return "ends in `.lock` or `.`, which git allows in no branch name"
    return None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or an empty text when nothing is close."""
    if len(name) > _LONGEST_REF:  # no name that somebody mistyped, and a second's search for each
        return ""
    candidates = list(known)
    same = {candidate.lower(): candidate for candidate in candidates}.get(name.lower())
    close = [same] if same else get_close_matches(name, candidates, 1, 0.6)
    return f"did you mean `{close[0]}`?" if close else ""
