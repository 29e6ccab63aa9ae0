"""The deterministic steps of phases and nodes: run, files, mkdirs, python, tests."""

from collections.abc import Callable, Mapping
from typing import Final

from cli_multi_rapid.core.plan import (
    Action,
    Argv,
    JsonObject,
    MakeDirs,
    PythonCall,
    RunTests,
    ShellLine,
    WriteFile,
)
from cli_multi_rapid.schema.fields import Fields, Keys, keys, open_table
from cli_multi_rapid.schema.problems import Code
from cli_multi_rapid.schema.reading import Reading, Text
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import Items, Table, Value

_WRITE_KEYS: Final = keys("path text", text="template content")


def read_actions(fields: Fields) -> tuple[Action, ...]:
    """The steps under `actions`, in their order."""
    found: list[Action] = []
    for value in fields.items("actions", "a list of actions"):
        found.extend(_read_action(fields.reading, value, fields.what))
    return tuple(found)


def _read_action(reading: Reading, value: Value, owner: str) -> tuple[Action, ...]:
    if not isinstance(value, Table):
        reading.wrong_type(
            value, f"an action of {owner}", "a mapping", suggestion="write {type: run, cmd: …}"
        )
        return ()
    entry = value.entries.get("type")
    kind = None if entry is None else reading.text(entry.value, "`type`")
    if entry is None:
        reading.report(
            Code.MISSING_KEY, value, f"an action of {owner} has no `type`", suggestion=_types_help()
        )
    if kind is None:
        return ()
    if kind.text not in _READERS:
        reading.report(
            Code.UNKNOWN_ACTION,
            kind.at,
            f"{owner} has an action of the unknown type {quoted(kind.text)}",
            suggestion=reading.did_you_mean(kind.text, _READERS) or _types_help(),
        )
        return ()
    known, read = _READERS[kind.text]
    fields = open_table(reading, value, known, f"a {kind.text} action of {owner}")
    return () if fields is None else read(fields)


def _types_help() -> str:
    return f"types are: {', '.join(_READERS)}"


def _run(fields: Fields) -> tuple[Action, ...]:
    value = fields.value("cmd")
    if value is None:
        fields.missing("cmd", "write cmd: [ruff, check, .]")
        return ()
    if isinstance(value, Items):
        argv = fields.strings("cmd")
        if not argv:
            fields.reading.report(Code.BAD_VALUE, value, "an empty command", suggestion="name a program")
        return (Argv(argv=argv),)
    line = fields.shell_line("cmd")
    return () if line is None else (ShellLine(run=line.text),)


def _files(fields: Fields) -> tuple[Action, ...]:
    if not fields.has("write"):
        fields.missing("write", "write: [{path: docs/index.md, text: …}]")
    found: list[Action] = []
    for value in fields.items("write", "a list of files"):
        file = open_table(fields.reading, value, _WRITE_KEYS, f"a file of {fields.what}")
        if file is None:
            continue
        path = file.text("path")
        if path is None and not file.has("path"):
            file.missing("path", "write path: docs/index.md")
        if path is not None and is_inside(file.reading, path):
            found.append(WriteFile(path=path.text, text=file.string("text")))
    return tuple(found)


def _mkdirs(fields: Fields) -> tuple[Action, ...]:
    paths = tuple(text.text for text in fields.texts("paths") if is_inside(fields.reading, text))
    if not fields.has("paths"):
        fields.missing("paths", "write paths: [docs, scripts]")
    return (MakeDirs(paths=paths),)


def _python(fields: Fields) -> tuple[Action, ...]:
    call = read_call(fields)
    return () if call is None else (call,)


def _tests(fields: Fields) -> tuple[Action, ...]:
    return (RunTests(argv=fields.strings("argv")),)


_READERS: Final[Mapping[str, tuple[Keys, Callable[[Fields], tuple[Action, ...]]]]] = {
    "run": (keys("type cmd description", cmd="run argv command", description="name"), _run),
    "files": (keys("type write description", description="name"), _files),
    "mkdirs": (keys("type paths description", description="name"), _mkdirs),
    "python": (keys("type target kwargs description", target="call", description="name"), _python),
    "tests": (keys("type argv description", argv="cmd", description="name"), _tests),
}


def read_call(fields: Fields) -> PythonCall | None:
    """`target: module:function` and its `kwargs`."""
    target = fields.text("target")
    if target is None:
        if not fields.has("target"):
            fields.missing("target", "write target: package.module:function")
        return None
    module, colon, function = target.text.partition(":")
    if not (colon and function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        fields.reading.report(
            Code.BAD_VALUE,
            target.at,
            f"{quoted(target.text)} does not name a function",
            suggestion="write package.module:function",
        )
        return None
    return PythonCall(target=target.text, kwargs=_kwargs(fields))


def _kwargs(fields: Fields) -> JsonObject:
    return {
        key.text: fields.reading.data(value)
        for key, value in fields.entries("kwargs", "a mapping from arguments to values")
    }


def is_inside(reading: Reading, text: Text) -> bool:
    """Whether a path names something in the worktree, by its text; notes why not."""
    path = text.text.removesuffix("/")
    parts = path.split("/")
    if path.startswith("/"):
        reason = "is absolute"
    elif not path or any(part in ("", ".") for part in parts):
        reason = "has an empty part"
    elif ".." in parts:
        reason = "leads out of the repository"
    elif any(part.lower() == ".git" for part in parts):
        reason = "lies in git's own folder"
    elif not path.isprintable() or "\\" in path:
        reason = "holds a control character or a backslash"
    else:
        return True
    reading.report(
        Code.BAD_PATH,
        text.at,
        f"the path {quoted(text.text)} {reason}",
        suggestion="write it from the repository's root, such as docs/index.md",
    )
    return False
