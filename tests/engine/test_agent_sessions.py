"""Sessions that go on: agents that count all of a session are charged for what is new."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import MicroUsd
from tests.fakes.recorded_agents import AGENTS, RECORDINGS, brief_for, read, streams


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
        (Usage(input_tokens=2000, cached_tokens=400, output_tokens=200), 6075),
        (Usage(cost=MicroUsd(4050), input_tokens=2000, cached_tokens=400, output_tokens=200), 2025),
        (Usage(cost=MicroUsd(4075), input_tokens=2000, cached_tokens=400, output_tokens=200), 2000),
    ],
)
def test_what_was_paid_for_a_thread_also_what_was_assumed_is_paid_on_the_tokens_that_it_tells_later(
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
