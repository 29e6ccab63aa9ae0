"""The parts of `make bench` that count and judge: a wrong figure would be believed."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.suite import page, peers
from benchmarks.suite.command import TABLES, main
from benchmarks.suite.ground import layers
from benchmarks.suite.pairs import PATIENCE_S, Absent, Median, in_turn
from benchmarks.suite.price import DidNotRun, Price, environment, price_of
from benchmarks.suite.results import seconds, text_table
from benchmarks.suite.rows import Measured, Row, Scale, row_of
from benchmarks.tables.ready import waits_ms
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import EventId, NodeId, RunId, ToolName
from cli_multi_rapid.core.node_events import NodeStarted, NodeSucceeded

BURN = "import time\nwhile time.process_time() < 0.3: pass"


def a_price(cpu_s: float, *, wall_s: float = 1.0) -> Price:
    return Price(cpu_s=cpu_s, wall_s=wall_s, peak_kb=2048, code=0)


def test_the_price_counts_a_daemon_that_outlives_its_command(tmp_path: Path) -> None:
    daemon = f"setsid '{sys.executable}' -I -S -c '{BURN}' >/dev/null 2>&1 &"
    price = price_of(["sh", "-c", f"( {daemon} ); exit 0"], cwd=tmp_path, env=environment(tmp_path))
    assert price.cpu_s >= 0.3
    assert (price.code, price.left) == (0, 0)


def test_a_daemon_that_never_ends_is_killed_and_told(tmp_path: Path) -> None:
    price = price_of(
        ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 &"], cwd=tmp_path, env=environment(tmp_path)
    )
    assert price.left == 1


def test_a_program_that_fails_has_no_price(tmp_path: Path) -> None:
    with pytest.raises(DidNotRun, match="sh ended with 3: no luck"):
        price_of(["sh", "-c", "echo no luck; exit 3"], cwd=tmp_path, env=environment(tmp_path))
    with pytest.raises(DidNotRun, match="could not be started"):
        price_of(["no-such-program"], cwd=tmp_path, env=environment(tmp_path))


def test_contenders_take_turns_and_one_that_fails_does_not_stop_the_others() -> None:
    told: list[str] = []

    def contender(name: str, *costs: float) -> Price:
        told.append(name)
        return a_price(costs[told.count(name) - 1])

    def broken() -> Price:
        raise DidNotRun("it is not here")

    found = in_turn(
        {"a": lambda: contender("a", 3.0, 1.0, 2.0), "b": lambda: contender("b", 5.0, 5.0, 4.0), "c": broken},
        3,
    )
    assert told == ["a", "b", "b", "a", "a", "b"]
    assert found["c"] == Absent(reason="it is not here")
    assert found["a"] == Median(cpu_s=2.0, wall_s=1.0, peak_mb=2.0, rounds=3, spread=3.0)
    assert isinstance(found["b"], Median)
    assert found["b"].cpu_s == 5.0


def test_a_contender_that_takes_too_long_gets_fewer_rounds() -> None:
    found = in_turn({"slow": lambda: a_price(1.0, wall_s=PATIENCE_S)}, 5)["slow"]
    assert isinstance(found, Median)
    assert found.rounds == 1


def test_a_goal_in_seconds_is_judged_by_the_pace_of_the_machine() -> None:
    found = in_turn({"it": lambda: a_price(0.15)}, 1)["it"]
    assert not Scale(rounds=1, quick=True).meets(found, 0.1)
    assert Scale(rounds=1, quick=True, pace=2.0).meets(found, 0.1)
    assert not Scale(rounds=1, quick=True, pace=9.0).meets(Absent(reason="gone"), 0.1)


def test_what_is_missing_says_why_in_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    found = peers.find_peers(install=False)
    assert found["doit"].missing == "it is not installed"
    row = row_of("doit", Absent(reason=found["doit"].missing), goal="CPU <= 1 s", reached=False)
    assert (row.note, row.reached) == ("not measured: it is not installed", None)


def test_every_peer_has_a_lock_with_hashes_that_names_no_host() -> None:
    for recipe in peers.RECIPES.values():
        lock = (peers.LOCKS / recipe.package / "requirements.lock").read_text()
        assert f"{recipe.package}==" in lock
        assert "://" not in lock
        assert lock.count("--hash=sha256:") >= lock.count("==")


def test_layers_are_a_dag_whose_nodes_come_after_their_dependencies() -> None:
    graph = layers(12, 4)
    names = list(graph)
    assert len(names) == 12
    assert all(names.index(dep) < place for place, deps in enumerate(graph.values()) for dep in deps)
    assert [len(deps) for deps in graph.values()] == [0] * 4 + [2] * 8


def test_a_wait_begins_with_the_end_of_the_last_dependency() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def at(ms: int, fact: Payload) -> Event:
        time = start + timedelta(milliseconds=ms)
        return Event(id=EventId(str(ms)), seq=1, run_id=RunId("r"), time=time, source="", data=fact)

    def begun(name: str) -> NodeStarted:
        tool = ToolName("shell")
        return NodeStarted(node_id=NodeId(name), attempt=1, tool=tool, reason="", slot="", log="")

    def ended(name: str) -> NodeSucceeded:
        return NodeSucceeded(node_id=NodeId(name), attempt=1)

    events = [at(0, begun("a")), at(10, ended("a")), at(40, ended("b")), at(52, begun("c"))]
    assert waits_ms(events, {"a": (), "b": (), "c": ("a", "b")}) == [12.0]


def test_the_page_names_what_was_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    rows = (
        Row(what="ours | theirs", cpu_s=0.25, goal="CPU <= 0.1 s", reached=False),
        Row(what="floor", cpu_s=0.05, floor=True),
    )
    measured = Measured(
        name="start_up",
        title="Start",
        about="About.",
        growth="",
        across="",
        unit="CPU seconds",
        rows=rows,
        quick=False,
        load=(1.0, 2.0),
        pace=1.5,
        took_s=3.0,
        machine="2 cores",
        commit="abc",
    )
    assert page.write_page([measured], {"matplotlib": peers.Peer(missing="it is not installed")})
    text = (tmp_path / "performance.md").read_text()
    assert "| [start_up](#start_up) | ours \\| theirs | CPU <= 0.1 s | 250 ms |  |  | **MISSED** |" in text
    assert "| floor | 50 ms |" in text
    assert "MISSED" in text_table(measured)


def test_durations_have_three_digits() -> None:
    assert [seconds(value) for value in (None, 0.00123, 0.25, 1.5, 61.2)] == [
        "",
        "1.23 ms",
        "250 ms",
        "1.5 s",
        "61.2 s",
    ]


def test_every_table_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [*TABLES]
