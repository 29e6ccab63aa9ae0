"""What the tests of processes share: a bench that insists on a clean end, and the ways to find survivors."""

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_multi_rapid import process_table
from cli_multi_rapid.process import become_subreaper, find_marked
from tests.engine.process.bench import Bench, children


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    before = children() if sys.platform == "linux" else set()
    bench = Bench(tmp_path)
    yield bench
    bench.cancel.close()
    if sys.platform == "linux":
        assert find_marked(bench.marker) == ()
        assert children() - before == set(), "zombies are left"


@pytest.fixture
def subreaper() -> Iterator[None]:
    """This process adopts orphans, until the end of the test."""
    assert become_subreaper()
    yield
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


@pytest.fixture(params=["adopting", "by marker", "after a long time", "below a warden"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways in which survivors are found."""
    if request.param == "adopting":
        request.getfixturevalue("subreaper")
    if request.param == "after a long time":
        monkeypatch.setattr(process_table, "_TRUSTED_AGE_S", 0.0)
    if request.param == "below a warden":
        request.getfixturevalue("subreaper")
        monkeypatch.setattr(Bench, "guarded", True)
