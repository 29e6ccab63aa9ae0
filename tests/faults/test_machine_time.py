"""The clock jumps in the middle of a run: nothing waits for hours or is done twice, the report holds."""

from pathlib import Path

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.faults.conftest import Tell
from tests.faults.rows import Part
from tests.faults.struck_runs import end_of, make_scene

_DAY_S = 86_400

_PLAN = """\
plan_id: struck
nodes:
  - {{id: one, tool: shell, run: "echo 1 > src/one", path_claims: [src/one]}}
  - id: two
    tool: shell
    run: "echo {jump} > {clock}; [ -e {started} ] || {{ touch {started}; exit 1; }}; echo 2 > src/two"
    retries: 1
    deps: [one]
    path_claims: [src/two]
  - id: three
    tool: shell
    run: "echo 0 > {clock}; echo 3 > src/three"
    deps: [two]
    path_claims: [src/three]
checks: {{ok: {{run: "! grep -rq BAD src"}}}}
merge_policy: {{checklist: [ok]}}
rollback_policy: {{max_retry_attempts: 0}}
"""


@pytest.mark.parametrize("jump", [_DAY_S, -_DAY_S], ids=["ahead", "back"])
def test_a_run_ends_well_although_the_clock_jumps_a_day_and_back_again(
    tmp_path: Path, tell: Tell, jump: int
) -> None:
    scene = make_scene(tmp_path)
    clock = tmp_path / "clock"
    plan = scene.plan(_PLAN.format(jump=jump, clock=clock, started=scene.started))
    unlucky: list[str | Path] = ["tests.faults.unlucky_program", "clock", clock]
    with scene.typing("execute", plan, "--format", "json", instead=unlucky) as program:
        ended = end_of(program)
    assert ended.status == 0, ended.err
    assert schema_violations(ended.document, "report") == []
    assert all(node["duration_min"] >= 0 for node in ended.document["nodes"])
    scene.assert_whole()
    tell(
        Part.MACHINE,
        f"the clock jumps a day {'ahead' if jump > 0 else 'back'} during an attempt, and back again later",
        "exit 0, the retry waited no longer, no duration below zero "
        "(injected as the Clock port of a real process)",
        cases=2,
    )


@pytest.mark.parametrize("jump", [_DAY_S, -_DAY_S], ids=["ahead", "back"])
def test_a_run_is_resumed_although_the_clock_is_off_by_a_day(tmp_path: Path, tell: Tell, jump: int) -> None:
    scene = make_scene(tmp_path)
    with scene.at_work() as program:
        program.kill()
        program.wait()
    scene.go.touch()
    clock = tmp_path / "clock"
    clock.write_text(str(jump))
    ended = scene.type("resume", instead=["tests.faults.unlucky_program", "clock", clock])
    assert ended.status == 0, ended.err
    scene.assert_whole()
    tell(
        Part.MACHINE,
        f"resume with a clock that is a day {'ahead' if jump > 0 else 'back'}",
        "exit 0, every node landed once (injected as the Clock port of a real process)",
    )
