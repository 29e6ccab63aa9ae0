"""Tools that are described in `config/tools.yaml`: the command line, and what is read from the output."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.adapters.command import CommandAdapter
from cli_multi_rapid.adapters.template import fill_template
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.ports import Brief, ToolReading
from cli_multi_rapid.schema.tools import OutputFormat, ReadRules, ToolConfig
from tests.contract.adapter_world import AdapterWorld, with_model


@pytest.fixture
def world(tmp_path: Path) -> AdapterWorld:
    for name in ("slot", "temp"):
        (tmp_path / name).mkdir()
    return AdapterWorld(tmp_path / "slot", tmp_path / "temp")


def fill(world: AdapterWorld, *template: str, prompt: str = "do it", model: str | None = None) -> list[str]:
    brief = world.brief(prompt=prompt)
    return list(fill_template(template, with_model(brief, model) if model else brief))


def test_placeholders_are_filled_inside_their_arguments(world: AdapterWorld) -> None:
    filled = fill(
        world, "a", "{prompt}", "-C{slot}", "--tmp={temp}/x", "-m", "{model}", prompt="p q", model="m1"
    )
    assert filled == ["a", "p q", f"-C{world.slot}", f"--tmp={world.temp}/x", "-m", "m1"]


def test_other_braces_stay_and_what_was_put_in_is_not_filled_again(world: AdapterWorld) -> None:
    assert fill(world, "a", '{"k": "{prompt}"}', "{other}", "{}", prompt="{temp}") == [
        "a",
        '{"k": "{temp}"}',
        "{other}",
        "{}",
    ]


def test_the_prompt_file_holds_the_prompt_for_nobody_else(world: AdapterWorld) -> None:
    _, path = fill(world, "a", "{prompt_file}", prompt="line\n\0 ☃")
    assert Path(path).read_text(encoding="utf-8") == "line\n\0 ☃"
    assert Path(path).stat().st_mode & 0o077 == 0
    assert Path(path).is_relative_to(world.temp)


@given(prompt=st.text(max_size=20))
def test_no_prompt_becomes_an_option_or_a_second_argument(
    prompt: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = AdapterWorld(Path("/slot"), Path("/temp"))
    bare, long = fill(world, "{prompt}", "--prompt={prompt}", prompt=prompt)
    assert not bare.startswith("-")
    assert bare.removeprefix(" ") == prompt.replace("\0", "\ufffd").removeprefix(" ")
    assert long.startswith("--prompt=")
    assert fill(world, "a", "--", "{prompt}", prompt="-x") == ["a", "--", "-x"]


def test_without_a_model_the_argument_and_its_option_are_left_out(world: AdapterWorld) -> None:
    assert fill(world, "a", "--model", "{model}", "x") == ["a", "x"]
    assert fill(world, "a", "--model={model}", "x") == ["a", "x"]
    assert fill(world, "a", "run", "{model}", "x") == ["a", "run", "x"]


def test_a_model_of_the_configuration_is_used_where_the_node_names_none(world: AdapterWorld) -> None:
    adapter = CommandAdapter(ToolConfig(name=ToolName("two"), argv=("two", "-m{model}"), model="two-model"))
    assert adapter.prepare(world.brief()).argv == ("two", "-mtwo-model")
    assert adapter.read(b"done", 0, world.brief()).usage.model == "two-model"
    assert adapter.prepare(with_model(world.brief(), "mine")).argv == ("two", "-mmine")


def test_a_model_cannot_be_an_option(world: AdapterWorld) -> None:
    with pytest.raises(UserError, match=r"n1.*--yolo"):
        fill(world, "a", "{model}", model="--yolo")


def test_a_tool_gets_the_variables_that_it_declares_and_the_nodes_own_win(world: AdapterWorld) -> None:
    config = ToolConfig(name=ToolName("agent"), argv=("a", "{prompt}"), env=("KEY", "URL", "ABSENT"))
    adapter = CommandAdapter(config, {"KEY": "k", "URL": "u", "OTHER": "secret"})
    brief = world.brief()
    env = adapter.prepare(replace(brief, environment={**brief.environment, "URL": "of the node"})).env
    assert (env["KEY"], env["URL"]) == ("k", "of the node")
    assert not {"OTHER", "ABSENT"} & env.keys()


def test_a_prompt_that_is_too_long_for_an_argument_is_refused_with_a_way_out(world: AdapterWorld) -> None:
    adapter = CommandAdapter(ToolConfig(name=ToolName("agent"), argv=("a", "{prompt}")))
    with pytest.raises(UserError, match=r"n1.*longer than") as error:
        adapter.prepare(world.brief(prompt="x" * 140_000))
    assert "file" in error.value.hint


def test_a_tool_that_is_not_installed_is_named_with_how_to_check_it() -> None:
    config = ToolConfig(name=ToolName("agent"), argv=("no-such-agent",), version_cmd=("no-such-agent", "-V"))
    assert CommandAdapter(config).missing({"PATH": "/bin"}) == (
        "the program no-such-agent of the tool agent was not found: "
        "install it, and check it with `no-such-agent -V`"
    )
    assert CommandAdapter(replace(config, argv=("tools/agent.sh",))).missing({"PATH": "/bin"}) is None
    assert "add `argv:`" in str(CommandAdapter(replace(config, argv=())).missing({"PATH": "/bin"}))


def reading(rules: ReadRules, output: str, exit_code: int | None = 0, **config: object) -> ToolReading:
    tool = replace(ToolConfig(name=ToolName("agent"), argv=("a",), read=rules), **config)
    brief: Brief = AdapterWorld(Path("/slot"), Path("/temp")).brief()
    return CommandAdapter(tool).read(output.encode(), exit_code, brief)


JSON = ReadRules(format=OutputFormat.JSON, result="result", error="is_error", cost="total_cost_usd")


def test_json_is_found_after_noise_and_over_several_lines() -> None:
    answer = reading(
        JSON, 'warming up {"not": this}\n{\n "result": "fine",\n "total_cost_usd": 0.5\n}\nbye\n'
    )
    assert (answer.ok, answer.summary, answer.usage.cost, answer.usage.source) == (
        True,
        "fine",
        500_000,
        "tool",
    )


def test_true_as_an_error_takes_its_words_from_the_result() -> None:
    answer = reading(JSON, '{"result": "API Error: status 429", "is_error": true, "total_cost_usd": 0.1}')
    assert (answer.ok, answer.reason) == (False, "API Error: status 429")
    assert answer.failure is FailureClass.TRANSIENT
    assert answer.usage.cost == 100_000


@pytest.mark.parametrize(
    "output", ["", "no json here", '{"result": null}', '{"other": 1}', '{"result": "cut o']
)
def test_a_missing_result_is_a_failure_whatever_the_exit_code_says(output: str) -> None:
    answer = reading(JSON, output)
    assert (answer.ok, answer.reason) == (False, "ended without a result (exit code 0)")


def test_json_without_a_rule_for_the_result_must_at_least_be_there() -> None:
    rules = ReadRules(format=OutputFormat.JSONL, tokens="usage", cost="usd")
    assert reading(rules, '{"usage": {"odd": 1}, "usd": [1]}\ndone\n').summary.endswith("done")
    assert reading(rules, "no json").reason == "ended without any JSON (exit code 0)"


def test_an_error_may_be_a_list_or_an_object() -> None:
    rules = ReadRules(format=OutputFormat.JSON, error="errors")
    assert reading(rules, '{"errors": ["a", "b"]}').reason == "a; b"
    assert reading(rules, '{"errors": {"code": 7}}').reason == '{"code": 7}'
    assert reading(rules, '{"errors": true}').reason == "the tool reports an error"
    assert reading(rules, '{"errors": []}').ok


def test_json_lines_take_the_last_line_that_has_the_path_and_add_sums() -> None:
    rules = ReadRules(
        format=OutputFormat.JSONL,
        result="item.text",
        tokens="usage.input_tokens + usage.output_tokens",
        session="thread_id",
    )
    answer = reading(
        rules,
        '{"thread_id": "t-1"}\nnoise\n{"item": {"text": "first"}}\n{"item": {"text": "last"}}\n'
        '{"usage": {"input_tokens": 1000, "output_tokens": 30}}\n',
    )
    assert (answer.summary, answer.usage.tokens, answer.session_id) == ("last", 1030, "t-1")
    assert answer.usage.source == "unknown"


def test_text_is_read_by_regexes() -> None:
    rules = ReadRules(
        format=OutputFormat.TEXT,
        error=r"litellm\.\w*(?:Error|Timeout).*",
        cost=r"Cost: \$([0-9.]+) message",
        tokens=r"Tokens: ([0-9.]+k?) sent, ([0-9.]+k?) received",
    )
    fine = reading(rules, "done\nTokens: 1.0k sent, 100 received. Cost: $0.0035 message, $0.0035 session.\n")
    assert (fine.ok, fine.usage.tokens, fine.usage.cost) == (True, 1100, 3500)
    refused = reading(rules, "litellm.AuthenticationError: Incorrect API key provided\n")
    assert (refused.ok, refused.failure) == (False, FailureClass.REFUSED)


def test_a_list_place_can_be_named() -> None:
    rules = ReadRules(format=OutputFormat.JSON, result="choices.-1.text")
    assert reading(rules, '{"choices": [{"text": "a"}, {"text": "b"}]}').summary == "b"
    assert not reading(rules, '{"choices": []}').ok


def test_other_exit_codes_can_mean_success() -> None:
    assert reading(ReadRules(), "fixed", 1, success_exit_codes=(0, 1)).ok
    assert reading(ReadRules(), "broken", 2, success_exit_codes=(0, 1)).reason == "exit code 2: broken"


@pytest.mark.parametrize(
    ("cost", "micros"),
    [("0.25", 250_000), ('"$1,000.50"', 1_000_500_000), ("true", 0), ('"much"', 0), ("-1", 0)],
)
def test_only_an_amount_is_a_cost(cost: str, micros: int) -> None:
    answer = reading(JSON, f'{{"result": "x", "total_cost_usd": {cost}}}')
    assert answer.usage.cost == micros
    assert answer.usage.source == ("tool" if micros else "unknown")


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("status 503: Service Unavailable", FailureClass.TRANSIENT),
        ("Error code: 429 - rate limit reached", FailureClass.TRANSIENT),
        ("connection refused", FailureClass.TRANSIENT),
        ("HTTP 401 Unauthorized", FailureClass.REFUSED),
        ("error: invalid x-api-key", FailureClass.REFUSED),
        ("500 tests failed", FailureClass.TOOL_FAILED),
        ("401 files were read", FailureClass.TOOL_FAILED),
    ],
)
def test_errors_say_whether_trying_again_makes_sense(text: str, failure: FailureClass) -> None:
    assert reading(ReadRules(), text, 1).failure is failure
