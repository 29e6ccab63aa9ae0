"""Collects the rows that the tests tell, also from several workers, and makes the page of a whole session."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from msgspec.structs import replace

from tests.faults.page import PAGE, render, summary
from tests.faults.rows import Part, Results, Row

_RESULTS = "--fault-results"
_SHORT = "--short"
_SOAK = "--soak-minutes"
_PAGE = "--page"
_PROPERTY = "row"
_FOLDER = Path(__file__).parent


class Tell(Protocol):
    """Put a line into the table of `part`."""

    def __call__(
        self, part: Part, fault: str, seen: str, *, naive: str = "", cases: int = 1, kept: bool = True
    ) -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `make faults`."""
    parser.addoption(_RESULTS, type=Path, help="write the rows of this session there, as JSON")
    parser.addoption(_SHORT, action="store_true", help="strike at fewer moments: the form for every change")
    parser.addoption(_PAGE, action="store_true", help="write docs/reliability.md also of the short form")
    parser.addoption(_SOAK, type=float, default=2.0, help="how long to soak (default: %(default)s)")


@pytest.fixture(scope="session")
def short(request: pytest.FixtureRequest) -> bool:
    """Whether the form for every change is asked for."""
    return bool(request.config.getoption(_SHORT))


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Tell a row. A test may tell several; one that fails is told as broken by pytest, not by a row."""

    def told(
        part: Part, fault: str, seen: str, *, naive: str = "", cases: int = 1, kept: bool = True
    ) -> None:
        row = Row(
            part=part, fault=fault, seen=seen, naive=naive, cases=cases, kept=kept, test=request.node.name
        )
        request.node.user_properties.append((_PROPERTY, msgspec.json.encode(row).decode()))

    return told


class _Rows:
    """The rows of all workers, written when the session ends; the page, when nothing was left out."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._path = path
        self._began = time.monotonic()
        self._rows: list[Row] = []
        self._skipped: list[str] = []
        self._results: Results | None = None
        self._whole = not _selects(config)
        self._short = bool(config.getoption(_SHORT))
        self._page_wanted = not self._short or bool(config.getoption(_PAGE))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            told = [value for name, value in report.user_properties if name == _PROPERTY]
            rows = [msgspec.json.decode(str(value), type=Row) for value in told]
            self._rows += [replace(row, seconds=round(report.duration, 1)) for row in rows]
        self._whole &= not report.failed
        if report.skipped:
            self._skipped.append(report.nodeid.rpartition("::")[2])

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        order = list(Part)
        self._results = Results(
            rows=tuple(sorted(self._rows, key=lambda row: (order.index(row.part), row.test))),
            day=f"{datetime.now(UTC):%Y-%m-%d}",
            seconds=round(time.monotonic() - self._began),
            whole=self._whole and exitstatus == 0,
            short=self._short,
            skipped=tuple(sorted(self._skipped)),
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_bytes(msgspec.json.format(msgspec.json.encode(self._results), indent=1) + b"\n")
        if self._results.whole and self._page_wanted:
            PAGE.write_text(render(self._results), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._results is None:
            return
        terminalreporter.section("faults")
        for line in summary(self._results):
            terminalreporter.write_line(line)
        if self._results.whole and self._page_wanted:
            terminalreporter.write_line(f"docs/{PAGE.name} is written")


def _selects(config: pytest.Config) -> bool:
    """Whether some tests of the folder are left out by what was typed."""
    chosen = [Path(argument).resolve() for argument in config.args]
    return bool(config.option.keyword or config.option.deselect) or chosen != [_FOLDER]


def pytest_configure(config: pytest.Config) -> None:
    """Only the session that the user started writes; its workers report to it."""
    path = config.getoption(_RESULTS, default=None)
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Rows(config, path), "fault-rows")
