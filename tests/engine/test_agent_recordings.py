"""What is read from 182 recorded runs of real agents: outcome, cost, tokens, session, denials."""

import json
import re
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.adapters.registry import adapters
from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.ports import Adapter, Brief, ToolReading
from tests.conftest import REPOSITORY
from tests.contract.adapter_world import AdapterWorld, with_model

RECORDINGS = REPOSITORY / "tests" / "data" / "agents"
AGENTS: dict[ToolName, Adapter] = dict(adapters())
MODELS = {"codex": "gpt-5-codex", "gemini": "gemini-2.5-flash"}
"""The models that were asked for in the runs of tools that tell no cost."""


class Expected(Struct, frozen=True):
    """A row of `expected.txt`."""

    tool: str
    case: str
    exit: str
    outcome: str
    cost: str
    tokens: str
    session: str
    denied: str
    words: str

    @property
    def exit_code(self) -> int:
        return int(self.exit)

    def told(self, reading: ToolReading) -> "Expected":
        """The same row, as a reading has it."""
        usage = reading.usage
        words = re.sub(r"\s", " ", reading.summary or reading.reason)
        return Expected(
            tool=self.tool,
            case=self.case,
            exit=self.exit,
            outcome="ok" if reading.ok else str(reading.failure),
            cost=f"{usage.cost} {usage.source}",
            tokens=f"{usage.input_tokens}/{usage.cached_tokens}/{usage.output_tokens}",
            session=(reading.session_id or "-")[: len(self.session)],
            denied=" ; ".join(reading.denied) or "-",
            words=words[: len(self.words)].strip(),
        )


@cache
def expected() -> dict[tuple[str, str], Expected]:
    lines = (RECORDINGS / "expected.txt").read_text(encoding="utf-8").splitlines()[4:]
    rows = (Expected(*(cell.strip() for cell in line.split(" | ", 8))) for line in lines)
    return {(row.tool, row.case): row for row in rows}


def streams(tool: str, case: str) -> tuple[bytes, bytes]:
    folder = RECORDINGS / tool / case
    errors = folder / "stderr.txt"
    return (folder / "stdout.txt").read_bytes(), errors.read_bytes() if errors.exists() else b""


def brief_for(tool: str) -> Brief:
    brief = AdapterWorld(Path("/w/wt"), Path("/nowhere")).brief()
    return with_model(brief, MODELS[tool]) if tool in MODELS else brief


def read(tool: str, output: bytes, exit_code: int | None) -> ToolReading:
    return AGENTS[ToolName(tool)].read(output, exit_code, brief_for(tool))


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


def test_codex_counts_a_thread_and_only_the_new_tokens_are_charged() -> None:
    output = b"".join(streams("codex", "sess2_resume"))
    first = read("codex", b"".join(streams("codex", "sess1")), 0)
    brief = replace(brief_for("codex"), session_id=first.session_id, session_usage=first.usage)
    second = AGENTS[ToolName("codex")].read(output, 0, brief)
    assert second.session_id == first.session_id
    assert (second.usage.input_tokens, second.usage.cached_tokens, second.usage.output_tokens) == (
        1000,
        200,
        100,
    )
    assert (first.usage.cost, second.usage.cost) == (4050, 2025)


@pytest.mark.parametrize(
    ("booked", "cost"),
    [
        (Usage(), 6075),
        (Usage(cost=MicroUsd(1000), source="assumed"), 5075),
        (Usage(cost=MicroUsd(9000), source="assumed"), 0),
        (Usage(input_tokens=2000, cached_tokens=400, output_tokens=200), 2025),
        (Usage(cost=MicroUsd(1000), input_tokens=2000, cached_tokens=400, output_tokens=200), 2025),
        (
            Usage(
                cost=MicroUsd(25), input_tokens=2000, cached_tokens=400, output_tokens=200, source="assumed"
            ),
            2000,
        ),
    ],
)
def test_what_was_assumed_for_a_thread_is_an_advance_on_the_tokens_that_it_tells_later(
    booked: Usage, cost: int
) -> None:
    output = b"".join(streams("codex", "sess2_resume"))
    thread = read("codex", output, 0).session_id
    brief = replace(brief_for("codex"), session_id=thread, session_usage=booked)
    assert AGENTS[ToolName("codex")].read(output, 0, brief).usage.cost == cost


def test_a_thread_that_was_begun_anew_is_charged_in_full() -> None:
    output = b"".join(streams("codex", "sess2_resume"))
    booked = Usage(cost=MicroUsd(9000), input_tokens=2000, source="assumed")
    brief = replace(brief_for("codex"), session_id="another-thread", session_usage=booked)
    assert AGENTS[ToolName("codex")].read(output, 0, brief).usage == read("codex", output, 0).usage


def test_copilot_counts_a_session_in_its_file_and_only_the_new_tokens_are_charged(tmp_path: Path) -> None:
    output, _ = streams("copilot", "ok_json")
    brief = replace(brief_for("copilot"), temp=tmp_path)
    (tmp_path / "copilot-usage.json").write_bytes((RECORDINGS / "copilot_usage/first.json").read_bytes())
    first = AGENTS[ToolName("copilot")].read(output, 0, brief)
    (tmp_path / "copilot-usage.json").write_bytes((RECORDINGS / "copilot_usage/resumed.json").read_bytes())
    resumed = replace(brief, session_id=first.session_id, session_usage=first.usage)
    second = AGENTS[ToolName("copilot")].read(output, 0, resumed)
    # gpt-4.1: 800 fresh at $2, 200 cached at $0.50, 100 answered at $8 for a million.
    told = Usage(
        cost=first.usage.cost,
        input_tokens=1000,
        cached_tokens=200,
        output_tokens=100,
        model="gpt-4.1",
        source="prices",
    )
    assert first.usage == second.usage == told
    assert first.usage.cost == 2500


def test_tokens_of_a_model_without_a_price_have_an_unknown_cost() -> None:
    output, _ = streams("codex", "ok_json")
    reading = AGENTS[ToolName("codex")].read(output, 0, with_model(brief_for("codex"), "gpt-oss-home"))
    assert reading.ok
    assert reading.usage.unknown
    assert reading.usage.tokens == 2200


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


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=150, deadline=None)
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
