"""The day's limit holds for all runs together, also for those that began before the others spent."""

from pathlib import Path

from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.engine.day_spending import DaySpending
from tests.fakes.clock import FakeClock
from tests.fakes.drivers import driving
from tests.fakes.meanwhile import meanwhile, shell_wait, wait_for
from tests.fakes.worlds import World

NO_CHECKS = "merge_policy: {checklist: []}\nrollback_policy: {max_retry_attempts: 0}\n"
PAID = "tool: scripted, est_cost: 0.02, script: [{write: src/p.txt, text: p}, {cost: 0.02}]"


def test_a_run_stops_at_the_days_limit_though_another_run_spent_the_money_after_it_began(
    world: World, tmp_path: Path
) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    run_id = world.accept(
        f"""{NO_CHECKS}
nodes:
  - {{id: free, tool: shell, run: "touch {started}; {shell_wait(go)}"}}
  - {{id: paid, deps: [free], {PAID}}}
"""
    )
    rival = world.accept(f"{NO_CHECKS}nodes: [{{id: paid, {PAID}}}]")

    def spend() -> None:
        wait_for(started)
        with driving(world, rival) as driver:
            assert driver.end() == 0
        go.touch()

    with meanwhile(spend):
        story = world.drive(run_id, budget=BudgetRules(day_limit=MicroUsd(30_000)))
    assert story.finished.exit_code == 3
    assert story.state.ledger.spent == ZERO
    assert "day" in story.node("paid").reason


def test_others_are_asked_again_when_they_may_have_spent() -> None:
    clock, sums = FakeClock(), iter(map(MicroUsd, (1, 2, 3)))
    spending = DaySpending(lambda: next(sums), clock)
    assert [spending.now(), spending.now()] == [1, 1]
    spending.heard()
    assert spending.now() == 2
    clock.advance(1)
    assert spending.now() == 3
