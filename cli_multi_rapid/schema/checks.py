"""Definitions of checks and lists of check names, as plans and the configuration hold them."""

from collections.abc import Collection, Mapping
from typing import Final

from cli_multi_rapid.core.ids import CheckId
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.names import STANDARD_CHECKS, check_name, is_variable, what_is_wrong_with_id
from cli_multi_rapid.schema.problems import Code
from cli_multi_rapid.schema.reading import Reading, Text
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import Entry, Items, Scalar, is_null

LONGEST_S: Final = 30 * 24 * 3600.0
"""The longest time in seconds that can be asked for: a month."""
SHORTEST_S: Final = 0.01
_LONGEST_NAME: Final = 64

CHECK_KEYS: Final = keys("argv run inputs timeout_s min_time_s env", argv="cmd command", timeout_s="timeout")


def read_checks(fields: Fields) -> tuple[CheckSpec, ...]:
    """The definitions under `checks`, in their order."""
    found: dict[CheckId, CheckSpec] = {}
    first: dict[CheckId, Entry] = {}
    for entry in fields.entries("checks", "a mapping from a check's name to its command"):
        check = _read_check(fields.reading, entry)
        if check is None:
            continue
        if check.id in found:
            _report_twice(fields.reading, first[check.id], entry)
            continue
        found[check.id], first[check.id] = check, entry
    return tuple(found.values())


def _report_twice(reading: Reading, first: Entry, second: Entry) -> None:
    reading.report(
        Code.TWO_SPELLINGS,
        second.key,
        f"the checks {quoted(first.key.text)} and {quoted(second.key.text)} are the same check",
        notes=[f"{quoted(first.key.text)} is on line {reading.line(first.key)}"],
        suggestion="keep one of the two, or give the second another name",
    )


def _read_check(reading: Reading, entry: Entry) -> CheckSpec | None:
    name = check_name(entry.key.text)
    what = f"check {quoted(entry.key.text)}"
    reason = what_is_wrong_with_id(name)
    if reason is not None:
        message = f"{quoted(name)} cannot be the name of a check: it {reason}"
        reading.report(Code.BAD_ID, entry.key, message, suggestion="use a short name such as lint")
        return None
    value = entry.value
    if isinstance(value, Items):
        return CheckSpec(id=name, argv=tuple(text.text for text in reading.texts(value, f"argv of {what}")))
    if isinstance(value, Scalar) and not is_null(value):
        line = reading.shell_line(value, what)
        return None if line is None else CheckSpec(id=name, run=line.text)
    fields = open_table(reading, value, CHECK_KEYS, what)
    return None if fields is None else _check_from(fields, name)


def _check_from(fields: Fields, name: CheckId) -> CheckSpec:
    argv, line = fields.strings("argv"), fields.shell_line("run")
    run = line.text if line else None
    if bool(argv) == bool(run):
        which = "has both `argv` and `run`" if run else "has no command"
        fields.reading.report(
            Code.WORK, fields.table, f"{fields.what} {which}", suggestion="write argv: [pytest, -q]"
        )
    timeout = fields.number("timeout_s", low=SHORTEST_S, high=LONGEST_S)
    return CheckSpec(
        id=name,
        argv=argv,
        run=run,
        inputs=tuple(text.text for text in fields.globs("inputs")),
        timeout_s=900.0 if timeout is None else timeout,
        min_time_s=fields.number("min_time_s", low=0, high=LONGEST_S) or 0.0,
        env=read_env(fields),
    )


def read_env(fields: Fields) -> Mapping[str, str]:
    """The environment variables under `env`."""
    found: dict[str, str] = {}
    for key, value in fields.entries("env", "a mapping from variables to texts"):
        if not is_variable(key.text):
            message = f"{quoted(key.text)} cannot be an environment variable"
            fields.reading.report(Code.BAD_ID, key, message, suggestion="use letters, digits and _")
            continue
        text = fields.reading.text(value, f"the variable {quoted(key.text)} of {fields.what}")
        if text is not None:
            found[key.text] = text.text
    return found


def read_checklist(fields: Fields, defined: Collection[str] | None) -> tuple[CheckId, ...] | None:
    """The names under `checklist`, each once, in one spelling; None when the key is absent.

    `defined` are the checks that can be named beside the standard ones; None: names are not judged here.
    """
    if not fields.has("checklist"):
        return None
    names: dict[CheckId, Text] = {}
    for text in fields.texts("checklist"):
        names.setdefault(check_name(text.text), text)
    if defined is not None:
        for name, text in names.items():
            if name not in STANDARD_CHECKS and name not in defined:
                _report_unknown(fields.reading, text, defined)
    return tuple(names)


def _report_unknown(reading: Reading, text: Text, defined: Collection[str]) -> None:
    known = [*defined, *(name for name in STANDARD_CHECKS if name not in defined)]
    name = text.text if len(text.text) <= _LONGEST_NAME else "NAME"
    define = f"define it: checks: {{{name}: {{argv: [...]}}}}; known are {', '.join(known)}"
    reading.report(
        Code.UNKNOWN_CHECK,
        text.at,
        f"there is no check {quoted(text.text)}",
        suggestion=reading.did_you_mean(text.text, known) or define,
    )
