"""The keys about verification: `verification:` of a plan and of the configuration, `review:` of a node."""

from collections.abc import Collection
from typing import Final

from cli_multi_rapid.core.built_in_tools import BUILT_IN_TOOLS
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import FixMode, FixPolicy, Form
from cli_multi_rapid.core.routing import ANSWERERS, AUTO
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.names import did_you_mean, is_tool_name, tool_name
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.source import Place, quoted
from cli_multi_rapid.schema.values import Scalar, Table, Value, boolean_of, number_of
from cli_multi_rapid.schema.work import WORK_KEYS

FIX_KEYS: Final = keys("fix rounds tool")
MOST_ROUNDS: Final = 10


def read_fix(fields: Fields, key: str) -> FixMode | None:
    """`off`, `ask` or `auto`. YAML reads a bare `off` as false, and so do we."""
    value = fields.value(key)
    if isinstance(value, Scalar) and boolean_of(value) is False:
        return FixMode.OFF
    return fields.choice(key, FixMode)


def read_rounds(fields: Fields, key: str) -> int | None:
    """How often nodes may be added to one run. Never would be another word for `fix: off`.

    A run that says `auto`, or is asked for it by `--fix auto`, must not come to nothing for such a reason.
    """
    value = fields.value(key)
    if isinstance(value, Scalar) and number_of(value) == 0:
        fields.reading.report(
            Code.BAD_VALUE,
            value,
            "in 0 rounds nothing is ever put right, whatever `fix` or `--fix` says",
            suggestion=f"write fix: off and leave the key out, or a number from 1 to {MOST_ROUNDS}",
        )
        return None
    return fields.integer(key, low=1, high=MOST_ROUNDS)


def read_fixer(fields: Fields, key: str) -> ToolName | None:
    """The agent that does all fixes."""
    text = fields.text(key)
    if text is None:
        return None
    name = tool_name(text.text)
    if is_tool_name(name) and name not in BUILT_IN_TOOLS:
        return name
    fields.reading.report(
        Code.BAD_ID,
        text.at,
        f"{quoted(text.text)} cannot put anything right by being told so",
        suggestion="name an agent such as claude or aider, or leave the key out",
    )
    return None


def read_fix_policy(fields: Fields) -> FixPolicy | None:
    """The `verification` of a plan; None: as the configuration says. What is left out has its default."""
    value = fields.value("verification")
    table = None if value is None else open_table(fields.reading, value, FIX_KEYS, "`verification`")
    if table is None:
        return None
    rounds = read_rounds(table, "rounds")
    return FixPolicy(
        mode=read_fix(table, "fix") or FixPolicy().mode,
        rounds=FixPolicy().rounds if rounds is None else rounds,
        tool=read_fixer(table, "tool"),
    )


def check_plans_fixer(fields: Fields, policy: FixPolicy, known: Collection[str] | None) -> None:
    """The same of a plan or a streams file. `known` None: any tool goes."""
    if policy.tool is not None and known is not None:
        reading = fields.reading
        check_fixer(policy.tool, known, reading.place(_value_of(fields, "tool")), reading.problems)


def check_fixer(fixer: ToolName, known: Collection[str], place: Place, problems: Problems) -> None:
    """Note an agent for the fixes that is not among the known tools: it would show only when it is needed."""
    if fixer not in known:
        problems.report(
            Code.UNKNOWN_TOOL,
            place,
            f"`verification` names the unknown tool {quoted(fixer)}",
            suggestion=did_you_mean(fixer, known) or f"tools are: {', '.join(sorted(known))}",
        )


def check_verified(fields: Fields, policy: FixPolicy, *, verifies: bool) -> None:
    """Warn of fixes for what is never looked at."""
    if policy.mode is not FixMode.OFF and not verifies:
        fields.reading.report(
            Code.NO_EFFECT,
            _value_of(fields, "fix"),
            f"`fix: {policy.mode}` has no effect: no node verifies what has landed",
            suggestion="add a node like {id: checks, tool: verify, deps: [n1]}, or one with `review: true`",
            severity=Severity.WARNING,
        )


def _value_of(fields: Fields, key: str) -> Value:
    """Where a key of `verification` has its value, else the section."""
    section = fields.at("verification")
    entry = section.entries.get(key) if isinstance(section, Table) else None
    return section if entry is None else entry.value


def read_form(fields: Fields, tool: ToolName | None) -> Form | None:
    """`review: true`: the node reviews what has landed, by an agent that can answer by a schema."""
    if not fields.flag("review"):
        return None
    if tool is not None and tool not in (AUTO, *ANSWERERS):
        fields.reading.report(
            Code.BAD_VALUE,
            fields.key_at("review"),
            f"{fields.what} is a review, and {quoted(tool)} cannot answer in the form of one",
            suggestion=f"write tool: {' or '.join(ANSWERERS)}",
        )
    given = fields.text("role")
    if given is not None and given.text == "wt":
        fields.reading.report(
            Code.BAD_VALUE,
            given.at,
            f"{fields.what} is a review, which changes nothing",
            suggestion="write role: ipt, or leave it out",
        )
    for key in ("outputs", *WORK_KEYS):
        if fields.has(key):
            fields.reading.report(
                Code.WORK,
                fields.key_at(key),
                f"{fields.what} is a review and cannot have `{key}`",
                suggestion="make it a node of its own",
            )
    return Form.REVIEW
