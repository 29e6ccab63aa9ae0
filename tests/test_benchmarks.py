"""The parts of the benchmarks that judge: a wrong figure would be believed."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.fold.figures import Cost, Row, median_of
from benchmarks.fold.figures import table as fold_table
from benchmarks.generated_repository import make_repository
from benchmarks.queue_real.burst import check_script
from benchmarks.queue_real.latency import Latency, latency_of, span_s
from benchmarks.queue_real.play import RealRun
from benchmarks.queue_real.results import Comparison, document, simulate_beside, table
from benchmarks.queue_sim.workloads import Workload
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId, EventId, Tree, queue_stream
from cli_multi_rapid.core.merge_events import CheckFinished, CheckStarted, MergeChecking, MergeLanded

BURST = Workload(name="burst", changes=12, workers=2, failure_rate=0.05)
TREE = Tree("t")


def story(*facts: tuple[float, Payload]) -> list[Event]:
    """Events at these seconds."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Event(
            id=EventId(str(seq)),
            seq=seq,
            run_id=queue_stream(Branch("main")),
            time=start + timedelta(seconds=second),
            source="test",
            data=fact,
        )
        for seq, (second, fact) in enumerate(facts, 1)
    ]


def begin(key: str) -> CheckStarted:
    return CheckStarted(check=CheckId("v"), tree=TREE, key=key, entries=())


def end(key: str, duration_s: float, *, reused: bool = False) -> CheckFinished:
    return CheckFinished(
        check=CheckId("v"),
        tree=TREE,
        key=key,
        verdict=Verdict.PASSED,
        duration_s=duration_s,
        reused=reused,
        entries=(),
    )


CANDIDATE = MergeChecking(entries=(EntryId("e"),), tip=Commit("c0"), commit=Commit("c1"), tree=TREE)
LANDED = MergeLanded(entries=(EntryId("e"),), commit=Commit("c1"), tree=TREE)


def test_the_time_beside_the_checks_is_told_apart() -> None:
    events = story(
        (0.0, CANDIDATE),
        (0.25, begin("a")),
        (0.25, begin("b")),
        (2.5, end("a", 2.0)),
        (2.75, LANDED),
        (3.0, begin("c")),
        (3.0, end("known", 9.0, reused=True)),
        (3.25, end("b", 2.5)),
        (6.0, end("c", 2.625)),
    )
    assert span_s(events) == 6.0
    assert latency_of(events, 7.5) == Latency(
        around_check=375.0, to_next_check=500.0, outside=1500.0, trains=1
    )


@pytest.mark.parametrize(("content", "code"), [("good\n", 0), ("broken\n", 1), (None, 0)])
def test_the_check_of_a_burst_fails_only_with_a_broken_file(
    tmp_path: Path, content: str | None, code: int
) -> None:
    if content is not None:
        (tmp_path / "changes").mkdir()
        (tmp_path / "changes/c1.txt").write_text(content)
    script = check_script(0.0, 0.1)
    assert subprocess.run(["sh", "-c", script], cwd=tmp_path, check=False).returncode == code


def test_branches_of_a_generated_repository_stand_beside_each_other(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "r", {"a": "1\n"}, [("one", {"b/c": "2\n"}), ("two", {"d": "3\n"})])
    assert made.git("ls-tree", "-r", "--name-only", "one").split() == ["a", "b/c"]
    assert made.git("merge-base", "one", "two") == made.git("rev-parse", "main")
    assert made.heads(["two"]) == [made.git("rev-parse", "two")]
    assert made.git("status", "--porcelain") == ""


def test_a_real_run_is_held_against_the_mean_of_its_simulations() -> None:
    simulated = simulate_beside(BURST, 1)
    assert simulated.shortest < simulated.makespan < simulated.longest
    real = RealRun(
        makespan=simulated.makespan * 1.5,
        command=simulated.makespan * 2,
        add_s=1.0,
        runs_per_change=0.5,
        landed=11,
        ejected=1,
        cpu_per_change_s=0.05,
        machine_load=0.5,
        latency=Latency(around_check=1.0, to_next_check=2.0, outside=3.0, trains=4),
        wrong=(),
    )
    comparison = Comparison(real=real, simulated=simulated, seed=1)
    assert comparison.ratio == pytest.approx(1.5)
    assert [word for word in table([comparison]).splitlines()[1].split() if word in {"1.50", "2.00"}]
    written = json.loads(json.dumps(document([comparison], 2.0)))
    assert written["runs"][0]["ratio"] == pytest.approx(1.5)


def test_the_median_is_taken_of_each_figure_by_itself() -> None:
    costs = [Cost(wall_s=wall, cpu_s=cpu) for wall, cpu in ((1.0, 9.0), (2.0, 8.0), (9.0, 1.0))]
    assert median_of(costs) == Cost(wall_s=2.0, cpu_s=8.0)
    lines = fold_table([Row(what="x", cost=costs[0], goal="wall < 1 s", reached=False)]).splitlines()
    assert lines[1].split() == ["x", "1000.0", "9000.0", "wall", "<", "1", "s", "MISSED"]
