"""Collects the rows that the tests tell, also from several workers."""

from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from msgspec.structs import replace

from tests.faults.rows import Part, Row

_RESULTS = "--fault-results"
_SHORT = "--short"
_PROPERTY = "row"


class Tell(Protocol):
    """Put a line into the table of `part`."""

    def __call__(
        self, part: Part, fault: str, seen: str, *, naive: str = "", cases: int = 1, kept: bool = True
    ) -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options of `make faults`."""
    parser.addoption(_RESULTS, type=Path, help="write the rows of this session there, as JSON")
    parser.addoption(_SHORT, action="store_true", help="strike at fewer moments: the form for every change")


@pytest.fixture
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
    """The rows of all workers, written when the session ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[Row] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            told = [value for name, value in report.user_properties if name == _PROPERTY]
            rows = [msgspec.json.decode(str(value), type=Row) for value in told]
            self._rows += [replace(row, seconds=round(report.duration, 1)) for row in rows]

    def pytest_sessionfinish(self) -> None:
        order = list(Part)
        rows = sorted(self._rows, key=lambda row: (order.index(row.part), row.test))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")


def pytest_configure(config: pytest.Config) -> None:
    """Only the session that the user started writes; its workers report to it."""
    path = config.getoption(_RESULTS, default=None)
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Rows(path), "fault-rows")
