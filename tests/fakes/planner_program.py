"""A program that stands for the model of `claude` and `codex`: it answers with one file after the other.

It is put on the PATH under both names. `answers/N.json` beside it is the N-th answer; the last one is given
again and again. What it was asked, and where, is kept beside it. Asked for work it writes `done.txt`.

With a file `scribbles` beside it, it writes where it was asked for an answer only. With a file `hangs`, which
says `work` or `answer`, it does not come to the end of that.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

name, args, here = Path(sys.argv[0]).name, sys.argv[1:], Path(sys.argv[0]).parent


def planner_programs(folder: Path, *answers: Any) -> Path:
    """A folder with this program as `claude` and `codex`. An answer that is a text is given as it is."""
    (folder / "answers").mkdir(parents=True)
    for number, answer in enumerate(answers, 1):
        text = answer if isinstance(answer, str) else json.dumps(answer)
        (folder / "answers" / f"{number}.json").write_text(text, encoding="utf-8")
    program = f"#!{sys.executable} -IS\n{Path(__file__).read_text(encoding='utf-8')}"
    for tool in ("claude", "codex"):
        (folder / tool).write_text(program, encoding="utf-8")
        (folder / tool).chmod(0o755)
    return folder


def answer_of(number: int) -> str:
    """The answer to the question of this number."""
    last = max(int(path.stem) for path in (here / "answers").glob("*.json"))
    return (here / "answers" / f"{min(number, last)}.json").read_text(encoding="utf-8")


def tell(record: object) -> None:
    """A line of the tool's own output."""
    sys.stdout.write(json.dumps(record) + "\n")


def tell_end_of_claude(said: str) -> None:
    """As 2.1.197 does, at a cost of $0.25."""
    usage = {"modelUsage": {"m": {"inputTokens": 1000, "outputTokens": 100}}, "total_cost_usd": 0.25}
    end = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": said,
        "session_id": "s",
        **usage,
    }
    if "--json-schema" in args:
        if said == "fail":
            end |= {"is_error": True, "result": "API Error: 401", "api_error_status": 401}
        elif said == "no form":
            end |= {"subtype": "error_max_structured_output_retries", "is_error": True}
        else:
            end["structured_output"] = json.loads(said)
    tell(end)


def tell_end_of_codex(said: str) -> None:
    """As 0.169.0 does: tokens of the whole thread, no cost, and whatever the model said."""
    questions = len(list(here.glob("asked.*")))
    usage = {"input_tokens": 1000 * questions, "output_tokens": 100 * questions}
    if "-o" in args:
        Path(args[args.index("-o") + 1]).write_text(said, encoding="utf-8")
    tell({"type": "thread.started", "thread_id": "t"})
    tell({"type": "item.completed", "item": {"type": "agent_message", "text": said}})
    tell({"type": "turn.completed", "usage": usage})


def hang_in(what: str) -> None:
    """Say so, and do not come to an end, if that is wanted."""
    if (here / "hangs").exists() and (here / "hangs").read_text(encoding="utf-8") == what:
        (here / "hanging").touch()
        time.sleep(600)


if __name__ == "__main__":
    if "--version" in args:
        sys.stdout.write(f"{name} 1.0.0\n")
        sys.exit((here / "unwell").exists())
    said = "done"
    if "--json-schema" in args or "--output-schema" in args:
        number = 1 + len(list(here.glob("asked.*")))
        question = {"argv": args, "cwd": os.getcwd(), "files": os.listdir()}  # noqa: PTH109, PTH208
        (here / f"asked.{number}").write_text(json.dumps(question), encoding="utf-8")
        if (here / "scribbles").exists():
            Path("scribble.txt").write_text("me too\n", encoding="utf-8")
        hang_in("answer")
        said = answer_of(number)
    else:
        Path("done.txt").write_text("done\n", encoding="utf-8")
        hang_in("work")
    if name == "claude":
        tell_end_of_claude(said)
    else:
        tell_end_of_codex(said)
