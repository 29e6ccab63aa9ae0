"""What tools print is read to the end whatever it is: a reading, and never a crash, a hang or a trick."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import pytest
from hypothesis import strategies as st

from cli_multi_rapid.adapters.command import CommandAdapter
from cli_multi_rapid.adapters.final_record import find_record
from cli_multi_rapid.adapters.registry import BUILT_IN
from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.ports import ToolReading
from cli_multi_rapid.redaction import RedactingStream, Redactor, printable
from cli_multi_rapid.schema.tools import OutputFormat, ReadRules, ToolConfig
from tests.fakes.recorded_agents import AGENTS, RECORDINGS, brief_for, expected
from tests.faults.conftest import Tell
from tests.faults.fuzz_bounds import Hang, storm, within_bounds
from tests.faults.fuzz_edits import Json, as_json, spoilt_bytes, spoilt_data
from tests.faults.rows import Part

CASES: Final = 1000
UNSAFE: Final = frozenset(
    "\x00\x07\x08\x1b\x7f\x9b\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069"
)
LONGEST: Final = 2000
EXITS: Final = st.sampled_from((0, 1, 2, 127, 130, 137, -9, -15, None))


def recordings(tool: str) -> list[bytes]:
    return [
        (RECORDINGS / name / case / "stdout.txt").read_bytes() for name, case in expected() if name == tool
    ]


def lines_of(texts: Sequence[bytes]) -> list[Json]:
    """The records of JSON lines, a list for each text; other lines stay texts."""
    found: list[Json] = []
    for text in texts:
        records: list[Json] = []
        for line in text.decode("utf-8", "replace").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                records.append(line)
        found.append(records)
    return found


def written(records: Json) -> bytes:
    lines = records if isinstance(records, list) else [records]
    return b"\n".join(
        line.encode("utf-8", "replace") if isinstance(line, str) else as_json(line) for line in lines
    )


def check(reading: ToolReading) -> None:
    """What the rest of the program relies on, whatever was read."""
    assert reading.ok == (reading.failure is None)
    texts = (reading.summary, reading.reason, reading.session_id or "", *reading.denied)
    assert not UNSAFE & set("".join(texts)), texts
    assert max(map(len, texts)) <= LONGEST, "an event would hold all that a tool says"
    usage = reading.usage
    assert all(
        0 <= number < 2**63
        for number in (usage.cost, usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    )
    assert len(usage.model or "") <= LONGEST
    assert not UNSAFE & set(usage.model or "")
    assert usage == Usage(**{name: getattr(usage, name) for name in usage.__struct_fields__})
    printable(reading.answer or "")


@pytest.mark.parametrize("tool", sorted({tool for tool, _ in expected()} - {"copilot_usage"}))
def test_agents(tool: str, tell: Tell, short: bool) -> None:
    seeds = recordings(tool)
    adapter, brief = AGENTS[ToolName(tool)], brief_for(tool)

    def strike(case: tuple[bytes, int | None]) -> None:
        check(adapter.read(*case, brief))

    spoilt = spoilt_bytes(seeds) | spoilt_data(lines_of(seeds)).map(written)
    count = storm(st.tuples(spoilt, EXITS), strike, CASES, short=short)
    tell(
        Part.TEXT,
        f"the output of {tool}: {len(seeds)} recordings spoilt byte by byte and record by record",
        "always a reading, with texts that a terminal may show",
        cases=count,
    )


RULES: Final[Mapping[OutputFormat, ReadRules]] = {
    OutputFormat.TEXT: ReadRules(
        result="^done: (.*)$",
        error="^error: (.*)$",
        cost=r"cost \$([0-9.]+)",
        tokens="([0-9.k]+) in, ([0-9.k]+) out",
        session="session (.*)",
    ),
    OutputFormat.JSON: ReadRules(
        format=OutputFormat.JSON,
        result="result",
        error="error.message",
        cost="usage.cost + usage.more",
        tokens="usage.in + usage.out",
        session="id",
    ),
    OutputFormat.JSONL: ReadRules(
        format=OutputFormat.JSONL,
        result="items.-1.text",
        error="is_error",
        cost="usage.cost",
        tokens="usage.in",
        session="id",
    ),
}
SAID: Final = b"session s-1\nworking\n1.2k in, 300 out\ncost $0.25\ndone: all of it\n"
RECORD: Final[Json] = {
    "result": "all of it", "error": {"message": ""}, "is_error": False, "items": [{"text": "a"}],
    "id": "s-1",
    "usage": {"cost": 0.25, "more": "0.10", "in": 1200, "out": "1.2k"},
}  # fmt: skip


@pytest.mark.parametrize("form", OutputFormat)
def test_configured_tools(form: OutputFormat, tell: Tell, short: bool) -> None:
    adapter = CommandAdapter(ToolConfig(name=ToolName("mine"), argv=("mine", "{prompt}"), read=RULES[form]))
    brief = brief_for("mine")
    seeds = (
        [SAID]
        if form is OutputFormat.TEXT
        else [as_json(RECORD), b"noise\n" + as_json(RECORD) + b"\nnoise\n"]
    )
    values: list[Json] = [["noise", RECORD, RECORD]]

    def strike(case: tuple[bytes, int | None]) -> None:
        check(adapter.read(*case, brief))

    spoilt = spoilt_bytes(seeds) | spoilt_data(values).map(written)
    count = storm(st.tuples(spoilt, EXITS), strike, CASES, short=short)
    tell(
        Part.TEXT,
        f"the output of a tool that tools.yaml describes, read as {form}",
        "always a reading",
        cases=count,
    )


def test_our_own_programs(tell: Tell, short: bool) -> None:
    record: Json = {
        "type": "result",
        "result": "x",
        "error": "no",
        "failure": "transient",
        "cost": 250000,
        "tokens": 5,
        "session_id": "s",
    }
    brief = brief_for("shell")

    def strike(case: tuple[bytes, int | None]) -> None:
        found = find_record(case[0])
        assert found is None or (found.cost >= 0 and found.tokens >= 0)
        for name in BUILT_IN:
            check(AGENTS[name].read(*case, brief))

    spoilt = spoilt_bytes([b"working\n" + as_json(record) + b"\n"]) | spoilt_data([["working", record]]).map(
        written
    )
    count = storm(st.tuples(spoilt, EXITS), strike, CASES, short=short)
    tell(
        Part.TEXT,
        "the output of shell, python, actions and scripted, spoilt in every way",
        "always a reading",
        cases=count,
    )


def test_redaction_of_anything(tell: Tell, short: bool) -> None:
    """Cut anywhere, whatever stands around it, a secret never comes through, and nothing else is lost."""
    secret = "correct-horse-battery"
    redactor = Redactor([secret])
    seeds = [b"token: " + secret.encode() + b"\nnext\n", *recordings("claude")[:3]]

    def strike(case: tuple[bytes, bytes, list[int]]) -> None:
        before, after, sizes = case
        data = before + secret.encode() + after
        stream, out, at = RedactingStream(redactor), b"", 0
        for size in [*sizes, len(data)]:
            out += stream.feed(data[at : at + size])
            at += size
        out += stream.finish()
        assert secret.encode() not in out

    spoilt = spoilt_bytes(seeds)
    count = storm(
        st.tuples(spoilt, spoilt, st.lists(st.integers(1, 90_000), max_size=6)), strike, CASES, short=short
    )
    tell(
        Part.TEXT,
        "a secret in output that is spoilt and comes in pieces",
        "masked wherever it is cut",
        cases=count,
    )


def test_a_rule_that_never_ends(tell: Tell) -> None:
    rules = ReadRules(result="^(a+)+$")
    adapter = CommandAdapter(ToolConfig(name=ToolName("mine"), argv=("mine", "{prompt}"), read=rules))
    with pytest.raises(Hang), within_bounds(cpu_s=1):
        adapter.read(b"a" * 64 + b"!", 0, brief_for("mine"))
    tell(
        Part.TEXT,
        "a regular expression in tools.yaml that backtracks without end",
        "not bounded: Python knows no limit for it. The file is the person's own; no plan can set one",
        kept=False,
    )
