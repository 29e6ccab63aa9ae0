"""`config/tools.yaml`: the old file loads unchanged, and a command tool is described completely."""

from datetime import date

import pytest

from cli_multi_rapid.core.confinement import ToolTerms
from cli_multi_rapid.core.money import ZERO, parse_usd
from cli_multi_rapid.core.plan import Network, Sandbox
from cli_multi_rapid.core.prices import ModelPrice
from cli_multi_rapid.schema.problems import Code, Problem, Problems, Severity
from cli_multi_rapid.schema.tools import OutputFormat, ReadRules, ToolConfig, parse_tools
from tests.core.schema_reading import document, example

COMMAND = """\
tools:
  - name: My-Agent
    description: ours
    argv: [my-agent, --json, --model, "{model}", "--in={slot}", "{prompt}"]
    env: [MY_KEY]
    success: {exit_codes: [0, 3]}
    read: {format: json, result: a.b, error: e, cost: usage.usd, tokens: t, session: id}
    typical_cost_usd: $0.40
    expects_change: false
    sandbox: bwrap
    network: loopback
    sandbox_read: [~/.config/my-agent, /data]
    sandbox_write: [~/.my-agent]
"""


def tools_of(text: str) -> tuple[tuple[ToolConfig, ...] | None, list[Problem]]:
    problems = Problems()
    return parse_tools(document(text, "tools.yaml"), problems, known_tools=("claude", "aider")), list(
        problems
    )


def test_the_old_file_loads_unchanged() -> None:
    problems = Problems()
    tools = parse_tools(example("tools.yaml"), problems, known_tools=())
    assert len(problems) == 0
    assert tools is not None
    assert [tool.name for tool in tools] == ["claude", "aider", "cursor"]
    assert tools[0] == ToolConfig(
        name=tools[0].name,
        capabilities=("planning", "nlp", "testing"),
        version_cmd=("claude", "--version"),
        health_cmd=("claude", "--help"),
        cost_hint=1.0,
        fallback=(tools[1].name,),
    )


def test_a_command_tool_is_described_completely() -> None:
    tools, problems = tools_of(COMMAND)
    assert not problems
    assert tools is not None
    (tool,) = tools
    assert tool.name == "my-agent"
    assert tool.argv[-2:] == ("--in={slot}", "{prompt}")
    assert (tool.env, tool.success_exit_codes) == (("MY_KEY",), (0, 3))
    assert tool.read == ReadRules(
        format=OutputFormat.JSON, result="a.b", error="e", cost="usage.usd", tokens="t", session="id"
    )
    assert (tool.typical_cost, tool.expects_change) == (parse_usd("0.4"), False)
    assert tool.cost_class == "priced"
    assert tool.terms == ToolTerms(
        sandbox=Sandbox.BWRAP,
        network=Network.LOOPBACK,
        read=("~/.config/my-agent", "/data"),
        write=("~/.my-agent",),
    )


def test_a_tool_that_tells_no_cost_has_no_known_price() -> None:
    tools, _ = tools_of("tools: [{name: a}, {name: b, cost_class: free}, {name: c, read: {cost: 'x (.*)'}}]")
    assert tools is not None
    assert [tool.cost_class for tool in tools] == ["unpriced", "free", "priced"]
    assert tools[0].expects_change
    assert tools[0].success_exit_codes == (0,)


AGENT = """\
tools:
  - name: codex
    model: house-model
    args: [--profile, ci]
    prices:
      - {model: house-model, input: 0.5, cached_input: $0.05, output: 2, as_of: 2026-11-28, source: a letter}
      - {model: free-model, input: 0, output: 0}
"""


def test_an_agent_is_given_a_model_arguments_and_prices() -> None:
    tools, problems = tools_of(AGENT)
    assert not problems
    assert tools is not None
    assert (tools[0].model, tools[0].args) == ("house-model", ("--profile", "ci"))
    assert tools[0].prices == (
        ModelPrice(
            model="house-model",
            input=parse_usd("0.5"),
            cached_input=parse_usd("0.05"),
            output=parse_usd(2),
            as_of=date(2026, 11, 28),
            source="a letter",
        ),
        ModelPrice(model="free-model", input=ZERO, cached_input=ZERO, output=ZERO),
    )


BAD = {
    "price without a model": (
        "tools: [{name: a, prices: [{input: 1, output: 2}]}]",
        Code.MISSING_KEY,
        "my-model",
    ),
    "price without output": (
        "tools: [{name: a, prices: [{model: m, input: 1}]}]",
        Code.MISSING_KEY,
        "output",
    ),
    "price of a wrong kind": ("tools: [{name: a, prices: [1.5]}]", Code.WRONG_TYPE, "keys are: model"),
    "price that is none": (
        "tools: [{name: a, prices: [{model: m, input: cheap, output: 1}]}]",
        Code.BAD_AMOUNT,
        "4.50",
    ),
    "price of no date": (
        "tools: [{name: a, prices: [{model: m, input: 1, output: 1, as_of: May}]}]",
        Code.BAD_VALUE,
        "2026-11-28",
    ),
    "no tools": ("version: 1", Code.MISSING_KEY, "name: claude"),
    "tool as a text": ("tools: [claude]", Code.WRONG_TYPE, "keys are: name"),
    "no name": ("tools: [{argv: ['{prompt}']}]", Code.MISSING_KEY, "my-agent"),
    "bad name": ("tools: [{name: my agent}]", Code.BAD_ID, "short"),
    "twice": ("tools: [{name: claude-cli}, {name: Claude}]", Code.DUPLICATE_ID, "keep one"),
    "unknown key": ("tools: [{name: a, fallbak: []}]", Code.UNKNOWN_KEY, "`fallback`"),
    "unknown fallback": ("tools: [{name: a, fallback: [adier]}]", Code.UNKNOWN_TOOL, "`aider`"),
    "command as a text": ("tools: [{name: a, version_cmd: a --version}]", Code.WRONG_TYPE, "write ["),
    "deaf tool": ("tools: [{name: a, argv: [a]}]", Code.BAD_VALUE, '"{prompt}"'),
    "bad sandbox": ("tools: [{name: a, sandbox: bubblewrap}]", Code.BAD_VALUE, "`bwrap`"),
    "bad network": ("tools: [{name: a, network: local}]", Code.BAD_VALUE, "write none"),
    "network of no sandbox": ("tools: [{name: a, sandbox: none, network: none}]", Code.BAD_VALUE, "bwrap"),
    "whole home": ("tools: [{name: a, sandbox_read: ['~/']}]", Code.BAD_VALUE, "~/.config"),
    "whole machine": ("tools: [{name: a, sandbox_write: [//]}]", Code.BAD_VALUE, "~/.config"),
    "relative path": ("tools: [{name: a, sandbox_read: [data]}]", Code.BAD_VALUE, "~/.config"),
    "path upwards": ("tools: [{name: a, sandbox_read: [~/../b]}]", Code.BAD_VALUE, "~/.config"),
    "bad variable": ("tools: [{name: a, env: [A=1]}]", Code.BAD_ID, "names only"),
    "bad exit code": ("tools: [{name: a, success: {exit_codes: [256]}}]", Code.WRONG_TYPE, ""),
    "exit codes as a number": ("tools: [{name: a, success: {exit_codes: 0}}]", Code.WRONG_TYPE, ""),
    "bad format": ("tools: [{name: a, read: {format: xml}}]", Code.BAD_VALUE, "text"),
    "bad regex": ("tools: [{name: a, read: {cost: '('}}]", Code.BAD_VALUE, "single quotes"),
    "huge regex": (f"tools: [{{name: a, read: {{cost: {'a' * 1001}}}}}]", Code.BAD_VALUE, "json"),
    "bad cost class": ("tools: [{name: a, cost_class: cheap}]", Code.BAD_VALUE, "free"),
    "negative hint": ("tools: [{name: a, cost_hint: -1}]", Code.BAD_VALUE, "between 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_tool_is_refused_with_a_message_that_one_can_act_on(case: str) -> None:
    text, code, suggestion = BAD[case]
    found, problems = tools_of(text)
    assert found is None
    (problem,) = problems
    assert problem.code is code, problem.to_text()
    assert suggestion in problem.suggestion, problem.to_text()


def test_a_misspelled_placeholder_is_a_warning() -> None:
    tools, (warning,) = tools_of("tools: [{name: a, argv: [a, '{promt}', '{prompt}', '{}', '{X}']}]")
    assert tools is not None
    assert (warning.severity, warning.suggestion) == (Severity.WARNING, "did you mean `prompt`?")
