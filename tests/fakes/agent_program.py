"""A program that behaves like the agent whose name it is called by: it saves its prompt and tells of its end.

Put on the PATH as `claude`, `aider`, ... it finds its prompt where the adapter of that agent puts it; the
prompt `fail` makes it fail.
"""

import json
import sys
from pathlib import Path

name, args = Path(sys.argv[0]).name, sys.argv[1:]


def agent_programs(folder: Path) -> Path:
    """A folder with this program under the names of all agents."""
    folder.mkdir()
    text = f"#!{sys.executable} -IS\n{Path(__file__).read_text(encoding='utf-8')}"
    for program in ("claude", "aider", "codex", "cursor-agent", "gemini", "opencode", "copilot"):
        (folder / program).write_text(text, encoding="utf-8")
        (folder / program).chmod(0o755)
    return folder


def prompt() -> str:
    if name == "aider":
        return Path(args[args.index("--message-file") + 1]).read_bytes().decode()
    return args[args.index("-p") + 1] if name in ("claude", "gemini", "copilot") else args[-1]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def tell(*records: object) -> None:
    for record in records:
        say(json.dumps(record))


def succeed() -> None:
    match name:
        case "claude":
            cost = {"total_cost_usd": 0.25, "modelUsage": {"m": {"inputTokens": 10, "outputTokens": 2}}}
            tell({"type": "result", "subtype": "success", "is_error": False, "result": "saved", **cost})
        case "aider":
            say("Main model: gpt-4o with diff edit format")
            say("Tokens: 10 sent, 2 received. Cost: $0.25 message, $0.25 session.\nApplied edit to got.txt")
        case "codex":
            usage = {"input_tokens": 10, "output_tokens": 2}
            tell({"type": "thread.started", "thread_id": "t"}, {"type": "turn.completed", "usage": usage})
        case "gemini":
            tokens = {"prompt": 10, "candidates": 2}
            stats = {"models": {"gemini-2.5-pro": {"tokens": tokens}}}
            say(json.dumps({"session_id": "s", "response": "saved", "stats": stats}, indent=2))
        case "opencode":
            step = {"id": "p", "reason": "stop", "cost": 0.25, "tokens": {"input": 10, "output": 2}}
            tell({"type": "step_finish", "part": step})
        case "copilot":
            tell({"type": "result", "sessionId": "s", "exitCode": 0})
        case _:
            tell({"type": "result", "subtype": "success", "is_error": False, "result": "saved"})


def fail() -> None:
    match name:
        case "claude":
            tell({"type": "result", "subtype": "success", "is_error": True, "result": "it broke"})
        case "codex":
            tell({"type": "turn.failed", "error": {"message": "it broke"}})
        case "gemini":
            say(json.dumps({"session_id": "s", "error": {"message": "it broke"}}, indent=2))
        case "opencode":
            tell({"type": "error", "error": {"data": {"message": "it broke"}}})
        case "copilot":
            tell(
                {"type": "session.error", "data": {"message": "it broke"}}, {"type": "result", "exitCode": 4}
            )
        case _:
            say("it broke")


if __name__ == "__main__":
    if prompt() == "fail":
        fail()
        sys.exit(4)
    Path("got.txt").write_bytes(prompt().encode())
    succeed()
