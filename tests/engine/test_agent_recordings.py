"""What is read from 182 recorded runs of real agents: outcome, cost, tokens, session, denials."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import ToolName
from tests.contract.adapter_world import AdapterWorld, with_model
from tests.examples import examples
from tests.fakes.recorded_agents import AGENTS, RECORDINGS, brief_for, expected, read, streams


def test_every_recording_has_its_row() -> None:
    recorded = {(path.parent.parent.name, path.parent.name) for path in RECORDINGS.glob("*/*/stdout.txt")}
    assert recorded == expected().keys()
    assert len(recorded) == 182


@pytest.mark.parametrize(("tool", "case"), expected())
def test_a_recorded_run_is_read_for_what_it_was(tool: str, case: str) -> None:
    row = expected()[tool, case]
    out, errors = streams(tool, case)
    assert row.told(read(tool, out + errors, row.exit_code)) == row
    # Both streams come through one pipe: what was said first must not matter.
    swapped = row.told(read(tool, errors + out, row.exit_code))
    assert replace(swapped, words=row.words) == row


@pytest.mark.parametrize(("tool", "case"), [key for key, row in expected().items() if row.outcome == "ok"])
def test_a_run_that_was_stopped_or_failed_is_no_success_whatever_it_printed(tool: str, case: str) -> None:
    for exit_code in (1, 143, -9, None):
        assert not read(tool, b"".join(streams(tool, case)), exit_code).ok


@pytest.mark.parametrize(
    ("tool", "case", "answer"),
    [
        ("claude", "json_schema", '{\n  "nodes": ['),
        ("claude", "json_schema_bad", ""),
        ("claude", "e401", None),
        ("codex", "schema", '{\n  "nodes": ['),
        ("codex", "schema_bad", "Sorry, no JSON from me."),
        ("codex", "e401", None),
    ],
)
def test_what_came_where_an_answer_was_wanted_is_told_from_nothing(
    tool: str, case: str, answer: str | None
) -> None:
    brief = replace(brief_for(tool), answer_schema="{}")
    row = expected()[tool, case]
    reading = AGENTS[ToolName(tool)].read(b"".join(streams(tool, case)), row.exit_code, brief)
    found = reading.answer
    assert found == answer or (found is not None and answer and found.startswith(answer))


def test_tokens_of_a_model_without_a_price_have_an_unknown_cost() -> None:
    output, _ = streams("codex", "ok_json")
    reading = AGENTS[ToolName("codex")].read(output, 0, with_model(brief_for("codex"), "gpt-oss-home"))
    assert reading.ok
    assert reading.usage.unknown
    assert reading.usage.tokens == 2200


def lines_of(*records: object) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


def test_claude_that_was_stopped_is_charged_for_each_of_its_messages_once_and_for_what_it_cached() -> None:
    used = {"input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 3000}
    first = {"type": "assistant", "message": {"id": "m1", "usage": {**used, "output_tokens": 1}}}
    told_again = {"type": "assistant", "message": {"id": "m1", "usage": {**used, "output_tokens": 7}}}
    second = {"type": "assistant", "message": {"id": "m2", "usage": {"input_tokens": 5, "output_tokens": 2}}}
    usage = read("claude", lines_of(first, told_again, second), -9).usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (3215, 200, 9)


def test_what_claude_wrote_into_its_cache_is_input() -> None:
    used = {"inputTokens": 10, "cacheReadInputTokens": 200, "cacheCreationInputTokens": 3000, "costUSD": 0.5}
    end = {"type": "result", "subtype": "success", "is_error": False, "total_cost_usd": 0.5}
    usage = read("claude", lines_of({**end, "modelUsage": {"m": used}}), 0).usage
    assert (usage.cost, usage.input_tokens, usage.cached_tokens) == (500_000, 3210, 200)


def test_a_session_that_claude_does_not_have_is_not_asked_for_again() -> None:
    begun = lines_of({"type": "system", "session_id": "01a1f82c-de28"})
    reading = read("claude", begun + b"Error: No conversation found with session ID: 01a1f82c-de28\n", 1)
    assert (reading.failure, reading.session_id) == (FailureClass.TRANSIENT, None)


@pytest.mark.parametrize("words", ["\ud800", " \n", "\x1b[0m"])
def test_a_failure_has_a_reason_also_when_the_words_of_the_tool_cannot_be_shown(words: str) -> None:
    fault = {"type": "error", "error": {"data": {"message": words, "statusCode": 401}}}
    reading = read("opencode", json.dumps(fault).encode(), 0)
    assert not reading.ok
    assert reading.reason


def test_a_model_that_a_tool_names_is_shown_as_a_terminal_may_show_it() -> None:
    name = "gpt\x1b[2J-5\0" + "x" * 5000
    final = {"type": "result", "subtype": "success", "is_error": False, "modelUsage": {name: {"costUSD": 1}}}
    model = read("claude", lines_of(final), 0).usage.model
    assert model is not None
    assert (model[:6], len(model)) == ("gpt-5x", 200)


@pytest.mark.parametrize(
    ("item", "denied"),
    [
        ({"status": "declined", "exit_code": None, "aggregated_output": ""}, ("rm x",)),
        ({"status": "failed", "exit_code": 1, "aggregated_output": "x: Permission denied"}, ("rm x",)),
        ({"status": "failed", "exit_code": 1, "aggregated_output": "no such file"}, ()),
        ({"status": "completed", "exit_code": 0, "aggregated_output": "docs: Permission denied"}, ()),
    ],
)
def test_codex_was_denied_what_was_declined_or_failed_at_its_sandbox(
    item: dict[str, object], denied: tuple[str, ...]
) -> None:
    command = {"type": "command_execution", "command": "rm x", **item}
    records = ({"type": "item.completed", "item": command}, {"type": "turn.completed"})
    reading = read("codex", lines_of(*records), 0)
    assert (reading.ok, reading.denied) == (True, denied)


PAID = "Tokens: 1k sent, 100 received. Cost: $0.01 message, $0.03 session.\n"
UNPAID = "Tokens: 2k sent, 100 received.\n"


@pytest.mark.parametrize(
    ("output", "ok", "usage"),
    [
        (PAID, True, "30000 tool"),
        (UNPAID + PAID, True, "0 unknown"),
        ("Model: gpt-4o with diff\n" + UNPAID + PAID, True, "9500 prices"),
        ("litellm.RateLimitError: slow down\nRetrying in 0.2 seconds...\n" + PAID, True, "30000 tool"),
        (PAID + "litellm.RateLimitError: slow down\n", False, "30000 tool"),
        (PAID + "Only 3 reflections allowed, stopping.\n", False, "30000 tool"),
        ("Model gpt-4o has hit a token limit!\n" + PAID, False, "30000 tool"),
    ],
)
def test_aider_is_believed_when_its_last_word_is_an_account(output: str, ok: bool, usage: str) -> None:
    reading = read("aider", output.encode(), 0)
    assert (reading.ok, f"{reading.usage.cost} {reading.usage.source}") == (ok, usage)


def test_copilot_that_ends_its_session_with_an_error_has_not_succeeded() -> None:
    answer = {"type": "assistant.message", "data": {"content": "Done"}}
    assert read("copilot", lines_of(answer, {"type": "result", "exitCode": 0}), 0).ok
    assert not read("copilot", lines_of(answer, {"type": "result", "exitCode": 1}), 0).ok
    assert not read("copilot", lines_of(answer, {"type": "result"}), 0).ok


def test_gemini_that_used_one_model_without_a_price_has_an_unknown_cost() -> None:
    def tokens(**counts: int) -> dict[str, object]:
        return {"tokens": counts}

    models = {"gemini-2.5-flash": tokens(prompt=1000, candidates=100), "home-made": tokens(prompt=5)}
    brief = AdapterWorld(Path("/w/wt"), Path("/nowhere")).brief()

    def usage(*names: str) -> Usage:
        stats = {"models": {name: models[name] for name in names}}
        end = {"session_id": "s", "response": "Done", "stats": stats}
        return AGENTS[ToolName("gemini")].read(json.dumps(end).encode(), 0, brief).usage

    # $0.30 and $2.50 for a million.
    assert (usage("gemini-2.5-flash").cost, usage("gemini-2.5-flash").source) == (550, "prices")
    assert (usage(*models).input_tokens, usage(*models).source) == (1005, "unknown")


@pytest.mark.parametrize(
    ("words", "denied"),
    [
        ("Path not in workspace: /etc/x", True),
        ("Tool execution Denied by policy.", True),
        ("File not found.", False),
    ],
)
def test_gemini_tells_what_its_rules_denied_and_not_what_merely_failed(words: str, denied: bool) -> None:
    said = f"Error executing tool write_file: {words}\n".encode()
    reading = read("gemini", said + b'{"session_id": "s", "response": "Done"}', 0)
    assert (reading.ok, reading.denied) == (True, (f"write_file: {words}",) if denied else ())


def test_a_stream_of_gemini_that_was_cut_off_may_be_tried_again() -> None:
    error = {"type": "INVALID_STREAM", "message": "no more of it", "code": 1}
    reading = read("gemini", json.dumps({"session_id": "s", "error": error}).encode(), 0)
    assert (reading.ok, reading.failure) == (False, FailureClass.TRANSIENT)


def test_a_step_of_opencode_that_is_told_twice_is_paid_once() -> None:
    def step(name: str, reason: str) -> dict[str, object]:
        return {"type": "step_finish", "part": {"id": name, "reason": reason, "cost": 0.01}}

    reading = read("opencode", lines_of(step("a", "tool-calls"), step("b", "stop"), step("b", "stop")), 0)
    assert (reading.ok, reading.usage.cost) == (True, 20_000)


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        ({"isRetryable": True}, FailureClass.TRANSIENT),
        ({"isRetryable": False}, FailureClass.TOOL_FAILED),
        ({"isRetryable": True, "statusCode": 401}, FailureClass.REFUSED),
    ],
)
def test_opencode_says_itself_what_may_be_tried_again_where_no_status_tells(
    data: dict[str, object], failure: FailureClass
) -> None:
    fault = {"type": "error", "error": {"data": {"message": "something odd", **data}}}
    assert read("opencode", lines_of(fault), 0).failure is failure


@pytest.mark.parametrize(("reason", "ok"), [("stop", True), ("tool-calls", False)])
def test_opencode_that_found_a_way_around_a_denial_has_succeeded(reason: str, ok: bool) -> None:
    state = {"error": "The user rejected permission to use it", "input": {"filePath": "/etc/x"}}
    asked = {"type": "tool_use", "part": {"tool": "write", "state": state}}
    reading = read("opencode", lines_of(asked, {"type": "step_finish", "part": {"reason": reason}}), 0)
    assert (reading.ok, reading.denied) == (ok, ("write: /etc/x",))
    assert ok or reading.failure is FailureClass.REFUSED


def test_a_cursor_run_is_judged_by_its_documented_record() -> None:
    record = b'{"type":"result","subtype":"success","is_error":false,"result":"Done","session_id":"c-1"}\n'
    reading = read("cursor", record, 0)
    assert (reading.ok, reading.summary, reading.session_id, reading.usage.source) == (
        True,
        "Done",
        "c-1",
        "unknown",
    )
    assert not read("cursor", record.replace(b"false", b"true"), 0).ok
    assert read("cursor", b"Error: not logged in\n", 1).reason.endswith("Error: not logged in")


cases = st.sampled_from(sorted(expected()))
exit_codes = st.one_of(st.none(), st.integers(-70, 300))


def check(tool: str, output: bytes, exit_code: int | None) -> None:
    reading = read(tool, output, exit_code)
    assert reading.ok is (reading.failure is None)
    assert reading.ok or reading.reason
    assert exit_code == 0 or not reading.ok
    assert min(reading.usage.cost, reading.usage.input_tokens, reading.usage.output_tokens) >= 0
    for text in (reading.summary, reading.reason, reading.session_id or "", *reading.denied):
        assert len(text) <= 2000
        text.encode("utf-8")


@settings(max_examples=examples(75), deadline=None)
@given(key=cases, exit_code=exit_codes, data=st.data())
def test_output_that_is_cut_off_or_damaged_can_be_read(
    key: tuple[str, str], exit_code: int | None, data: st.DataObject
) -> None:
    output = b"".join(streams(*key))
    place = data.draw(st.integers(0, len(output)))
    rest = data.draw(st.integers(place, len(output)))
    rubbish = data.draw(st.binary(max_size=40))
    check(key[0], output[:place] + rubbish + output[rest:], exit_code)


ODD: st.SearchStrategy[object] = st.sampled_from(
    [None, True, -1, 10**400, 1e308, "NaN", [], {}, [[]], {"a": [None]}, "x" * 5000, "\ud800"]
)


@settings(max_examples=examples(75), deadline=None)
@given(key=cases, odd=ODD, data=st.data())
def test_records_whose_values_are_of_another_kind_can_be_read(
    key: tuple[str, str], odd: object, data: st.DataObject
) -> None:
    out, errors = streams(*key)
    text = out.decode()
    values = [*re.finditer(r'(?<=":)(?:"[^"\\]{0,200}"|[0-9.]+|true|false|null)(?=[,}])', text)]
    if not values:
        return
    match = data.draw(st.sampled_from(values))
    changed = text[: match.start()] + json.dumps(odd) + text[match.end() :]
    check(key[0], changed.encode("utf-8", "surrogatepass") + errors, 0)


@pytest.mark.parametrize(
    "tool", sorted(AGENTS.keys() & {"claude", "aider", "codex", "cursor", "gemini", "opencode", "copilot"})
)
@pytest.mark.parametrize(
    "piece",
    [
        b"x",
        b'{"type":',
        b'{"a":\n',
        b"{",
        b"[",
        b"Tokens: 1k sent, ",
        b"litellm.Error\n",
        b"Attempt 1 failed {",
        b"\xff\x00",
    ],
)
def test_a_megabyte_of_nonsense_is_read_in_time(tool: str, piece: bytes) -> None:
    began = time.process_time()
    check(tool, piece * (1024 * 1024 // len(piece)), 0)
    assert time.process_time() - began < 5
