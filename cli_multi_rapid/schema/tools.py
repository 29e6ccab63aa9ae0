"""`config/tools.yaml`: what tools can do, what they cost, and how a command-line tool is driven."""

import re
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct, field

from cli_multi_rapid.core.confinement import ToolTerms
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.prices import ModelPrice
from cli_multi_rapid.core.routing import AUTO
from cli_multi_rapid.schema.confinement import read_terms
from cli_multi_rapid.schema.document import Document
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.names import did_you_mean, is_tool_name, is_variable, tool_name
from cli_multi_rapid.schema.nodes import name_of
from cli_multi_rapid.schema.phases import check_tool
from cli_multi_rapid.schema.plan_head import read_version
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.reading import Reading, Text
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.tool_prices import read_prices
from cli_multi_rapid.schema.values import Scalar, Value, number_of

TOOLS_KEYS: Final = keys("version tools schema_version $schema")
TOOL_KEYS: Final = keys(
    "name capabilities version_cmd health_cmd cost_hint fallback description argv env success read "
    "cost_class typical_cost_usd expects_change model args prices sandbox network sandbox_read sandbox_write"
)
_READ_KEYS: Final = keys("format result error cost tokens session")
_SUCCESS_KEYS: Final = keys("exit_codes")

PLACEHOLDERS: Final = ("prompt", "prompt_file", "model", "slot", "temp")
"""What `{…}` in an argument of `argv` may name."""
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_LONGEST_REGEX: Final = 1000
_DEAREST_HINT: Final = 1_000_000

CostClassName: TypeAlias = Literal["free", "priced", "unpriced"]


class OutputFormat(StrEnum):
    """How the output of a tool is read."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


class _CostClass(StrEnum):
    FREE = "free"
    PRICED = "priced"
    UNPRICED = "unpriced"


class ReadRules(Struct, frozen=True, kw_only=True):
    """Where a tool's output says what: dotted paths in JSON, regular expressions in text; None: nowhere."""

    format: OutputFormat = OutputFormat.TEXT
    result: str | None = None
    error: str | None = None
    cost: str | None = None
    """In dollars."""
    tokens: str | None = None
    session: str | None = None


class ToolConfig(Struct, frozen=True, kw_only=True):
    """One tool. Without `argv` the entry only describes a tool that has an adapter of its own."""

    name: ToolName
    capabilities: tuple[str, ...] = ()
    version_cmd: tuple[str, ...] = ()
    health_cmd: tuple[str, ...] = ()
    cost_hint: float | None = None
    """Relative price, for the choice between tools: less is cheaper."""
    fallback: tuple[ToolName, ...] = ()
    description: str = ""
    argv: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    """Names of environment variables that the tool needs, such as its key."""
    success_exit_codes: tuple[int, ...] = (0,)
    read: ReadRules = field(default_factory=ReadRules)
    cost_class: CostClassName = "unpriced"
    typical_cost: MicroUsd | None = None
    """What is reserved for a node that names no cost."""
    expects_change: bool = True
    terms: ToolTerms = field(default_factory=ToolTerms)
    """How it is confined."""
    model: str | None = None
    """What it uses for nodes that name no model, and where it stands in for another tool."""
    args: tuple[str, ...] = ()
    """More arguments for an agent, after those of its adapter."""
    prices: tuple[ModelPrice, ...] = ()
    """In place of the list prices, and for models that are not listed."""


def parse_tools(
    document: Document, problems: Problems, *, known_tools: Collection[str] | None = None
) -> tuple[ToolConfig, ...] | None:
    """The tools of a document, or None when it has errors. `known_tools` may stand in fallbacks as well."""
    before = problems.error_count - document.errors
    reading = Reading(document.source, problems)
    fields = open_table(reading, document.root, TOOLS_KEYS, "the tools file")
    if fields is None:
        return None
    read_version(fields)
    if not fields.has("tools"):
        fields.missing("tools", "write tools: [{name: claude, capabilities: [python]}]")
    found: dict[ToolName, ToolConfig] = {}
    fallbacks: list[Text] = []
    for position, value in enumerate(fields.items("tools", "a list of tools"), 1):
        tool = _read_tool(reading, value, position, found, fallbacks)
        if tool is not None:
            found[tool.name] = tool
    if known_tools is not None:
        for text in fallbacks:
            check_tool(reading, text, (*found, *known_tools), "a fallback")
    return None if problems.error_count > before else tuple(found.values())


def _read_tool(
    reading: Reading, value: Value, position: int, found: Collection[ToolName], fallbacks: list[Text]
) -> ToolConfig | None:
    fields = open_table(reading, value, TOOL_KEYS, name_of("tool", value, position, key="name"))
    if fields is None:
        return None
    name = _read_name(fields, found)
    rules = _read_rules(fields)
    stand_ins = fields.texts("fallback")
    fallbacks.extend(stand_ins)
    config = ToolConfig(
        name=name or ToolName(""),
        capabilities=fields.strings("capabilities"),
        version_cmd=fields.strings("version_cmd"),
        health_cmd=fields.strings("health_cmd"),
        cost_hint=fields.number("cost_hint", low=0, high=_DEAREST_HINT),
        fallback=tuple(dict.fromkeys(tool_name(text.text) for text in stand_ins)),
        description=fields.string("description"),
        argv=_read_argv(fields),
        env=tuple(text.text for text in fields.texts("env") if _is_variable(reading, text)),
        success_exit_codes=_read_exit_codes(fields),
        read=rules,
        cost_class=_read_cost_class(fields, rules),
        typical_cost=fields.amount("typical_cost_usd"),
        expects_change=fields.flag("expects_change") is not False,
        terms=read_terms(fields),
        model=fields.optional_string("model"),
        args=fields.strings("args"),
        prices=read_prices(fields),
    )
    return None if name is None else config


def _read_name(fields: Fields, found: Collection[ToolName]) -> ToolName | None:
    text = fields.text("name")
    if text is None:
        if not fields.has("name"):
            fields.missing("name", "write name: my-agent")
        return None
    name = tool_name(text.text)
    if not is_tool_name(name):
        message = f"{quoted(text.text)} cannot be the name of a tool"
        fields.reading.report(Code.BAD_ID, text.at, message, suggestion="use a short name such as my-agent")
        return None
    if name == AUTO:
        message = f"the name {quoted(name)} is kept for nodes that leave the choice of their tool open"
        fields.reading.report(Code.BAD_ID, text.at, message, suggestion="give the tool another name")
        return None
    if name in found:
        message = f"the tool {quoted(name)} is described twice"
        fields.reading.report(Code.DUPLICATE_ID, text.at, message, suggestion="keep one of the two")
        return None
    return name


def _read_argv(fields: Fields) -> tuple[str, ...]:
    texts = fields.texts("argv")
    for text in texts:
        for name in _PLACEHOLDER.findall(text.text):
            if name not in PLACEHOLDERS:
                fields.reading.report(
                    Code.BAD_VALUE,
                    text.at,
                    f"{quoted('{' + name + '}')} is no placeholder and stays as it is",
                    suggestion=did_you_mean(name, PLACEHOLDERS) or f"placeholders: {', '.join(PLACEHOLDERS)}",
                    severity=Severity.WARNING,
                )
    if texts and not any("{prompt}" in text.text or "{prompt_file}" in text.text for text in texts):
        fields.reading.report(
            Code.BAD_VALUE,
            fields.at("argv"),
            f"{fields.name_of('argv')} has no {{prompt}} or {{prompt_file}}: it would not hear its goal",
            suggestion='add "{prompt}" as an argument of its own',
        )
    return tuple(text.text for text in texts)


def _is_variable(reading: Reading, text: Text) -> bool:
    if is_variable(text.text):
        return True
    message = f"{quoted(text.text)} cannot be the name of an environment variable"
    reading.report(Code.BAD_ID, text.at, message, suggestion="list names only, such as OPENAI_API_KEY")
    return False


def _read_exit_codes(fields: Fields) -> tuple[int, ...]:
    value = fields.value("success")
    what = f"`success` of {fields.what}"
    success = None if value is None else open_table(fields.reading, value, _SUCCESS_KEYS, what)
    if success is None or not success.has("exit_codes"):
        return (0,)
    codes: list[int] = []
    for item in success.items("exit_codes", "a list of numbers"):
        number = number_of(item) if isinstance(item, Scalar) else None
        if isinstance(number, int) and 0 <= number <= 255:
            codes.append(number)
        else:
            fields.reading.wrong_type(item, f"an exit code of {fields.what}", "a number from 0 to 255")
    return tuple(codes)


def _read_rules(fields: Fields) -> ReadRules:
    value = fields.value("read")
    rules = (
        None if value is None else open_table(fields.reading, value, _READ_KEYS, f"`read` of {fields.what}")
    )
    if rules is None:
        return ReadRules()
    kind = rules.choice("format", OutputFormat) or OutputFormat.TEXT
    if kind is OutputFormat.TEXT:
        _check_regexes(rules, ("result", "error", "cost", "tokens", "session"))
    return ReadRules(
        format=kind,
        result=rules.optional_string("result"),
        error=rules.optional_string("error"),
        cost=rules.optional_string("cost"),
        tokens=rules.optional_string("tokens"),
        session=rules.optional_string("session"),
    )


def _check_regexes(rules: Fields, names: Sequence[str]) -> None:
    for name in names:
        text = rules.text(name)
        if text is None:
            continue
        try:
            if len(text.text) > _LONGEST_REGEX:
                raise re.error(f"is longer than {_LONGEST_REGEX} characters")
            re.compile(text.text, re.MULTILINE)
        except (re.error, RecursionError, OverflowError) as error:
            rules.reading.report(
                Code.BAD_VALUE,
                text.at,
                f"{rules.name_of(name)} is no regular expression: {error}",
                suggestion="use single quotes, which keep backslashes, or format: json for dotted paths",
            )


def _read_cost_class(fields: Fields, rules: ReadRules) -> CostClassName:
    """As it says; else a tool that tells its cost has a price, and every other has none that is known."""
    given = fields.choice("cost_class", _CostClass)
    names: tuple[CostClassName, ...] = get_args(CostClassName)
    known = next((name for name in names if given is not None and name == given.value), None)
    return known or ("priced" if rules.cost is not None else "unpriced")
