"""What a node does: a prompt for an agent, a command, a call, steps; and which tool fits."""

from collections.abc import Mapping
from typing import Final

from cli_multi_rapid.core.built_in_tools import ACTIONS, PYTHON, SCRIPTED, SHELL, VERIFY
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import Actions, Argv, JsonObject, Prompt, Script, ShellLine, Work
from cli_multi_rapid.schema.actions import read_actions, read_call
from cli_multi_rapid.schema.fields import Fields
from cli_multi_rapid.schema.names import is_tool_name, tool_name
from cli_multi_rapid.schema.problems import Code
from cli_multi_rapid.schema.reading import Text
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import Table

WORK_KEYS: Final[Mapping[str, ToolName]] = {
    "run": SHELL,
    "argv": SHELL,
    "target": PYTHON,
    "actions": ACTIONS,
    "script": SCRIPTED,
}
"""The keys that say what is done, and the tool that does it."""

_EXAMPLES: Final[Mapping[ToolName, str]] = {
    SHELL: "add run: make docs, or argv: [make, docs]",
    PYTHON: "add target: package.module:function",
    ACTIONS: "add actions: [{type: run, cmd: [make]}]",
    SCRIPTED: "add script: [{write: notes.md, text: hello}]",
}


def read_tool(fields: Fields) -> tuple[ToolName | None, Text | None]:
    """The node's tool in its one spelling, else the one that its work asks for."""
    text = fields.text("tool")
    if text is None:
        return next((tool for key, tool in WORK_KEYS.items() if fields.has(key)), None), None
    name = tool_name(text.text)
    if is_tool_name(name):
        return name, text
    fields.reading.report(
        Code.BAD_ID,
        text.at,
        f"{quoted(text.text)} cannot be the name of a tool",
        suggestion="tools have short names such as claude, aider or shell",
    )
    return None, text


def read_work(fields: Fields, tool: ToolName | None, *, needs_goal: bool = True) -> Work | None:
    """What is done; None (and a problem) when it is not said or does not fit the tool.

    `needs_goal`: an agent must be told what to do by `goal` or `prompt`.
    """
    given = [key for key in WORK_KEYS if fields.has(key)]
    if len(given) > 1:
        names = " and ".join(f"`{key}`" for key in given)
        message = f"{fields.what} has {names}, but does one thing"
        fields.reading.report(
            Code.WORK, fields.key_at(given[1]), message, suggestion="make two nodes, or keep one of them"
        )
        return None
    _refuse_kwargs_alone(fields)
    if not given:
        return _without_key(fields, tool, needs_goal)
    key = given[0]
    if tool is not None and tool != WORK_KEYS[key]:
        fields.reading.report(
            Code.WORK,
            fields.key_at(key),
            f"the tool `{tool}` of {fields.what} does not take `{key}`",
            suggestion=f"write tool: {WORK_KEYS[key]}, or give {tool} a goal instead of `{key}`",
        )
        return None
    return _read(fields, key)


def _refuse_kwargs_alone(fields: Fields) -> None:
    if fields.has("kwargs") and not fields.has("target"):
        message = f"{fields.what} has `kwargs` without `target`"
        fields.reading.report(
            Code.WORK, fields.key_at("kwargs"), message, suggestion="add target: package.module:function"
        )


def _without_key(fields: Fields, tool: ToolName | None, needs_goal: bool) -> Work | None:
    if tool is not None and tool in _EXAMPLES:
        keys = " or ".join(f"`{key}`" for key, owner in WORK_KEYS.items() if owner == tool)
        message = f"{fields.what} has the tool `{tool}`, which needs {keys}"
        fields.reading.report(Code.WORK, fields.at("tool"), message, suggestion=_EXAMPLES[tool])
        return None
    said = fields.has("goal") or fields.has("prompt") or fields.has("review")
    if needs_goal and tool != VERIFY and not said:
        fields.missing("goal", f"say what {tool or 'the tool'} shall do: goal: Add tests for the parser")
        return None
    return Prompt()


def _read(fields: Fields, key: str) -> Work | None:
    if key == "run":
        line = fields.shell_line("run")
        return None if line is None else ShellLine(run=line.text)
    if key == "argv":
        argv = fields.strings("argv")
        if not argv or not argv[0]:
            message = f"{fields.name_of('argv')} names no program"
            fields.reading.report(
                Code.BAD_VALUE, fields.at("argv"), message, suggestion="write argv: [make, docs]"
            )
        return Argv(argv=argv)
    if key == "target":
        return read_call(fields)
    if key == "actions":
        return Actions(actions=read_actions(fields))
    return Script(steps=_steps(fields))


def _steps(fields: Fields) -> tuple[JsonObject, ...]:
    steps: list[JsonObject] = []
    for value in fields.items("script", "a list of steps"):
        data = fields.reading.data(value)
        if isinstance(value, Table) and isinstance(data, dict):
            steps.append(data)
        else:
            fields.reading.wrong_type(
                value, f"a step of {fields.what}", "a mapping", suggestion="write {write: notes.md, text: …}"
            )
    return tuple(steps)
