"""Large runs and long ones: a thousand nodes at random, and small runs again and again."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.json import decode
from msgspec.structs import replace

from tests.fakes.command_line import PACKAGE_ROOT
from tests.fakes.random_plans import large_plan, random_limits
from tests.fakes.run_world import RunWorld
from tests.fakes.weather import RunWeather
from tests.faults.conftest import Tell
from tests.faults.rows import Part
from tests.faults.soak import Sample

_MOST_MEMORY_KB = 4096
"""What the second half of a soak may take more than its first half: the allocator keeps what it once had."""


@pytest.mark.parametrize(
    "trouble",
    ["tools fail", "people interfere", "the orchestrator crashes"],
    ids=["tools", "people", "crashes"],
)
def test_a_thousand_nodes_with_random_outcomes_keep_every_rule(tell: Tell, short: bool, trouble: str) -> None:
    """`tests/fakes/run_rules.py` looks at every start and every end."""
    size, examples = (200, 2) if short else (1000, 5)
    ends, events = Counter[str](), 0

    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def live(seed: int) -> None:
        nonlocal events
        world = _large_world(Random(seed), size, trouble)
        world.live(finishes=6)
        ends.update(str(node.shown_status) for node in world.state.nodes.values())
        events += len(world.events)

    live()
    told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    runs = sum(ends.values()) // size
    fault = f"{runs} made-up runs of {size} nodes, where {trouble}"
    tell(Part.TIME, fault, f"every rule held at every step of {events} events: {told}", cases=runs)


def _large_world(random: Random, size: int, trouble: str) -> RunWorld:
    weather = RunWeather(
        fails=random.choice([0.02, 0.1]),
        idle=0.05,
        dear=0.02,
        people=0.005 if trouble == "people interfere" else 0.0,
        crashes=0.01 if trouble == "the orchestrator crashes" else 0.0,
        flake=0.01,
        broken=0.002,
        moves=0.002,
        culprits=frozenset(f"n{random.randint(1, size)}#1" for _ in range(size // 50)),
    )
    limits = replace(random_limits(random), workers=random.choice([4, 16, 64]), fail_fast=False)
    return RunWorld(plan=large_plan(random, size), limits=limits, weather=weather, random=random)


def test_a_soak_of_small_runs_takes_no_more_and_more(
    tell: Tell, short: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    seconds = 10.0 if short else request.config.getoption("--soak-minutes") * 60
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak", str(tmp_path), str(seconds)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    samples = [decode(line, type=Sample) for line in done.stdout.splitlines()]
    settled = samples[2:]  # the first runs load modules and fill the pool of worktrees
    first, second = settled[: len(settled) // 2], settled[len(settled) // 2 :]
    for name in ("descriptors", "threads", "children", "slots", "refs", "temporary"):
        before, after = _all(first, name), _all(second, name)
        # The least of it: a thread may be about to end, and a folder about to go, when we look.
        assert min(after) <= max(before), f"{name} grew: {before} then {after}"
    memory = median(_all(second, "memory_kb")) - median(_all(first, "memory_kb"))
    assert memory <= _MOST_MEMORY_KB, f"{memory} kB more memory: {_all(samples, 'memory_kb')}"
    paces = [(half[-1].disk_kb - half[0].disk_kb) / max(1, len(half) - 1) for half in (first, second)]
    assert paces[1] <= paces[0] * 1.5, f"kB a run: {paces}"
    held = {name: min(_all(second, name)) for name in Sample.__struct_fields__}
    seen = (
        f"{held['memory_kb'] // 1024} MB of memory ({memory:+.0f} kB from the first half to the second), "
        f"{held['descriptors']} descriptors, {held['threads']} threads, {held['children']} children, "
        f"{held['slots']} worktrees pooled, {held['temporary']} temporary files, {held['refs']} refs beside "
        f"landing markers and kept branches; {paces[1]:.0f} kB of record for each run"
    )
    tell(Part.TIME, f"a soak: small runs in one process for {seconds / 60:g} min", seen, cases=len(samples))


def _all(samples: Sequence[Sample], name: str) -> list[int]:
    return [getattr(sample, name) for sample in samples]
