"""What is read back of a run: exported event lines and the plain files, whatever became of them meanwhile."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from cli_multi_rapid.cli.summary import run_summary
from cli_multi_rapid.cli.transfer import rehearse
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.ports import EventLog
from cli_multi_rapid.reports.cost import CostBy, cost_document, cost_text, ledger_rows
from cli_multi_rapid.reports.events_text import event_document, event_lines
from cli_multi_rapid.reports.formats import ReportFormat, write_report
from cli_multi_rapid.reports.replay import diff_runs, diff_text, state_at
from cli_multi_rapid.reports.run_list import run_line, run_list_text
from cli_multi_rapid.reports.run_report import run_report
from cli_multi_rapid.reports.status import status_document, status_text
from cli_multi_rapid.reports.verification import verification_report
from cli_multi_rapid.store.export import export_run, import_run
from cli_multi_rapid.store.memory import MemoryEventLog
from cli_multi_rapid.store.plain_files import LEDGER, LEDGER_PLACE, QUEUE, write_plain_files
from tests.fakes.filled_logs import append_run
from tests.fakes.run_stories import STORIES
from tests.faults.conftest import Tell
from tests.faults.fuzz_bounds import storm
from tests.faults.fuzz_edits import Json, as_json, spoilt_bytes, spoilt_data
from tests.faults.rows import Part

RUN = RunId("r1003-oauth2")
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CASES: Final = 2500
UNSAFE: Final = frozenset(
    "\x00\x07\x08\x1b\x7f\x9b\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069"
)
"""What a terminal obeys."""


def exported(story: str) -> str:
    log = MemoryEventLog()
    append_run(log, STORIES[story](), RUN)
    return "".join(export_run(log, RUN))


def spoilt_lines(texts: list[str]) -> st.SearchStrategy[bytes]:
    """Exports spoilt as bytes, and event by event; their header says how many lines are left."""
    parsed: list[Json] = [[json.loads(line) for line in text.splitlines()] for text in texts]

    def lines(events: Json) -> bytes:
        found = events if isinstance(events, list) else [events]
        if found and isinstance(found[0], dict):
            found[0]["events"] = len(found) - 1
        return b"\n".join(map(as_json, found))

    return spoilt_bytes([text.encode() for text in texts]) | spoilt_data(parsed).map(lines)


def look_all_over(log: EventLog, run_id: RunId) -> None:
    """Every view of a run that was taken in."""
    state, events = RunState(run_id), log.read(run_id)
    for event in events:
        state.apply(event)
    report = run_report(state, events, now=NOW, artifacts=[])
    texts = [write_report(report, form) for form in ReportFormat if form is not ReportFormat.JSON]
    for text in texts:
        assert not UNSAFE & set(text), UNSAFE & set(text)
    texts.append(status_text(state, events, now=NOW, alive=False, width=80, everything=True))
    texts.append(run_list_text([run_line(state)], now=NOW))
    texts.append(run_summary(report, Path("r.json")))
    texts.append(event_lines(events))
    texts.append(diff_text(diff_runs(state_at(run_id, events, to_seq=len(events) // 2), state)))
    rows = ledger_rows(events)
    texts += [cost_text(rows, by) for by in CostBy]
    "".join(export_run(log, run_id))
    json.dumps([event_document(event) for event in events], allow_nan=False)
    json.dumps(status_document(state, events, now=NOW, alive=False), allow_nan=False)
    json.dumps(verification_report(state, events, now=NOW, verification_id="v"), allow_nan=False)
    json.dumps([cost_document(rows, by) for by in CostBy], allow_nan=False)
    json.dumps(report, allow_nan=False)


def test_event_lines(tell: Tell, short: bool, tmp_path: Path) -> None:
    taken = 0

    def strike(content: bytes) -> None:
        nonlocal taken
        lines = content.decode("utf-8", "surrogateescape").splitlines()
        try:
            run_id = rehearse(lines)
        except UserError:
            return
        taken += 1
        log = MemoryEventLog()
        import_run(log, lines)
        look_all_over(log, run_id)
        write_plain_files(log, tmp_path)

    count = storm(spoilt_lines([exported(story) for story in STORIES]), strike, CASES, short=short)
    tell(
        Part.TEXT,
        "exported event lines, spoilt byte by byte and value by value, then every report and list of them",
        f"{taken} taken and shown, the others refused with their line",
        cases=count,
    )


def test_plain_files(tell: Tell, short: bool, tmp_path: Path) -> None:
    log = MemoryEventLog()
    append_run(log, STORIES["success"](), RUN)
    write_plain_files(log, tmp_path)
    good = {name: (tmp_path / name).read_bytes() for name in (LEDGER, LEDGER_PLACE, QUEUE)}

    def strike(named: tuple[str, bytes]) -> None:
        for name, content in good.items():
            (tmp_path / name).write_bytes(content)
        (tmp_path / named[0]).write_bytes(named[1])
        write_plain_files(log, tmp_path)

    def spoilt(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
        values: list[Json] = [json.loads(line) for line in good[name].splitlines()] if name == LEDGER else []
        values = values or [json.loads(good[name])]
        texts = spoilt_bytes([good[name]]) | spoilt_data(values).map(as_json)
        return st.tuples(st.just(name), texts)

    count = storm(st.one_of(*map(spoilt, good)), strike, CASES // 4, short=short)
    tell(
        Part.TEXT,
        "cost_ledger.jsonl, its place and merge_queue.json, spoilt in every way",
        "made anew from the log",
        cases=count,
    )
