"""A planner that hangs, floods, leaks or cannot be paid: ended, bounded, redacted, charged."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_multi_rapid.adapters.registry import answerer
from cli_multi_rapid.bus.memory import MemoryBus
from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.errors import ToolFault
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import RunId, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd, Price
from cli_multi_rapid.core.prices import PriceTable
from cli_multi_rapid.core.run_events import BudgetReserved, BudgetSettled, PlanDrafted
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine import plan_drafts
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.plan_drafts import Drafting, OverBudget
from cli_multi_rapid.process import find_marked
from cli_multi_rapid.process_terms import CancelToken
from cli_multi_rapid.redaction import Redactor
from cli_multi_rapid.store.memory import MemoryEventLog
from tests.fakes.clock import CountingIds, FakeClock
from tests.fakes.meanwhile import wait_until

RUN = RunId("20261128-100000-plan")
SECRET = "sk-" + "a1b2c3d4" * 5
DETACHED = "setsid -f sleep 3600 </dev/null >/dev/null 2>&1"


class World:
    """A planning whose `claude` is a shell script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = MemoryEventLog()
        self.observers: list[Callable[[Event], None]] = []

    def drafting(self, script: str, **terms: object) -> Drafting:
        program = self.folder / "claude"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        adapter = answerer(ToolName("claude"), ())
        assert adapter is not None
        given: dict[str, object] = {
            "adapter": adapter,
            "price": Price(),
            "rules": BudgetRules(),
            "limit": MicroUsd(1_000_000),
            "tools": ("claude",),
            "default_base": "main",
            "home": Home(root=self.folder / "home"),
            "redactor": Redactor({SECRET}),
            "journal": self.journal(),
            **terms,
        }
        return Drafting(**given)  # type: ignore[arg-type]  # a test names what it changes

    def journal(self) -> Journal[RunState]:
        return Journal(
            stream=RUN,
            state=RunState(RUN),
            log=self.log,
            bus=MemoryBus(),
            clock=FakeClock(),
            ids=CountingIds(),
            source="test",
        )

    @property
    def facts(self) -> list[Payload]:
        return [event.data for event in self.log.read(RUN)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return World(tmp_path)


def ask(drafting: Drafting) -> None:
    with CancelToken() as cancel:
        drafting.ask("a question", cancel)


def test_a_planner_that_hangs_is_ended_with_its_children_and_charged_what_was_set_aside(world: World) -> None:
    drafting = world.drafting(f"{DETACHED}; sleep 3600", timeout_s=0.3)

    with pytest.raises(ToolFault, match=r"claude made no plan: it did not end within 0\.3 s"):
        ask(drafting)

    assert find_marked(RUN) == ()
    reserved, settled, drafted = world.facts
    assert isinstance(reserved, BudgetReserved)
    assert isinstance(settled, BudgetSettled)
    assert isinstance(drafted, PlanDrafted)
    assert reserved.amount == settled.usage.cost == 1_000_000
    assert settled.usage.source == "assumed"
    assert drafted.reason.startswith("it did not end")


def test_a_planner_that_is_cancelled_ends_at_once(world: World) -> None:
    drafting = world.drafting(f"echo > {world.folder}/begun; sleep 3600")

    with CancelToken() as cancel:

        def cancel_when_begun() -> None:
            wait_until((world.folder / "begun").exists, "the start of the planner")
            cancel.cancel("a person said stop")

        person = threading.Thread(target=cancel_when_begun)
        person.start()
        with pytest.raises(ToolFault, match="a person said stop"):
            drafting.ask("a question", cancel)
        person.join()

    assert find_marked(RUN) == ()


def test_a_fault_of_this_program_between_reservation_and_answer_is_charged(world: World) -> None:
    drafting = world.drafting("exit 0", home=Home(root=Path("/dev/null/nowhere")))

    with pytest.raises(OSError, match="nowhere"):
        ask(drafting)

    settled = world.facts[-1]
    assert isinstance(settled, BudgetSettled)
    assert (settled.usage.cost, settled.usage.source) == (1_000_000, "assumed")


def test_what_a_planner_writes_is_bounded_and_has_no_secrets(world: World) -> None:
    flood = f"{sys.executable} -IS -c \"print('x' * 20_000_000)\""
    drafting = world.drafting(f"echo {SECRET}; {flood}; echo 'API key {SECRET} refused' >&2; exit 3")

    with pytest.raises(ToolFault) as raised:
        ask(drafting)

    (log,) = (world.folder / "home").rglob("*.log")
    assert log.stat().st_size < 17 * 1024 * 1024
    drafted = world.facts[-1]
    assert isinstance(drafted, PlanDrafted)
    assert log == Path(drafted.log)
    for text in (log.read_text(), drafted.reason, raised.value.message):
        assert SECRET not in text


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"limit": ZERO}, "nothing of the budget is left"),
        ({"price": Price(models=PriceTable(()))}, "price is unknown"),
        ({"rules": BudgetRules(day_limit=MicroUsd(500_000))}, r"\$0\.50 of the day's \$0\.50 is left"),
    ],
)
def test_a_planner_that_cannot_be_paid_is_never_started(
    world: World, terms: dict[str, object], says: str
) -> None:
    with pytest.raises(OverBudget, match=says):
        ask(world.drafting(f"echo > {world.folder}/begun", **terms))

    assert world.facts == []
    assert not (world.folder / "begun").exists()


def test_the_next_draft_has_only_what_the_last_one_left(world: World) -> None:
    answer = '{"type":"result","subtype":"success","is_error":false,"result":"no","total_cost_usd":0.6}'
    drafting = world.drafting(f"echo '{answer}'")

    with pytest.raises(OverBudget, match="nothing of the budget is left"):
        ask(drafting)

    reserved = [fact.amount for fact in world.facts if isinstance(fact, BudgetReserved)]
    assert reserved == [1_000_000, 400_000]


def codex_that_answers(nodes: int, tool: str) -> str:
    """A script that writes a plan with so many bad nodes into its answer file."""
    node = f'{{"id": "n", "label": "l", "goal": "g", "tool": "{tool}"}}'
    answer = f'{{"name": "p", "nodes": [{", ".join([node] * nodes)}]}}'
    options = 'for word; do [ "$before" = -o ] && file=$word; before=$word; done'
    return f'{options}; echo \'{answer}\' > "$file"; echo \'{{"type": "turn.completed"}}\''


def test_a_secret_in_an_answer_is_shown_to_nobody_and_a_repair_names_twenty_problems(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = answerer(ToolName("codex"), ())
    asked: list[list[str]] = []

    def ask_for_repair(prompt: str, answer: str, problems: list[str]) -> str:
        asked.append(problems)
        assert SECRET not in answer
        return prompt

    monkeypatch.setattr(plan_drafts, "repair_prompt", ask_for_repair)
    drafting = world.drafting(codex_that_answers(30, SECRET), adapter=adapter)
    (world.folder / "claude").rename(world.folder / "codex")

    with pytest.raises(ToolFault, match="after 3 repairs") as raised:
        ask(drafting)

    drafted = [fact for fact in world.facts if isinstance(fact, PlanDrafted)]
    assert len(drafted) == 4
    assert SECRET not in f"{raised.value.message}{drafted}{asked}"
    assert [len(problems) for problems in asked] == [20] * 4


def test_a_planner_that_cannot_be_given_its_prompt_is_not_charged_and_leaves_it_to_others(
    world: World,
) -> None:
    drafting = world.drafting(f"echo > {world.folder}/begun")

    with CancelToken() as cancel, pytest.raises(ToolFault, match=r"claude cannot be asked: .* longer than"):
        drafting.ask("x" * 200_000, cancel)

    assert world.facts == []
    assert not (world.folder / "begun").exists()


def test_a_draft_that_is_longer_than_an_argument_may_be_is_repaired_like_any_other(world: World) -> None:
    answer = (
        '{"type":"result","subtype":"success","is_error":false,"result":"%0200000d","total_cost_usd":0.1}'
    )
    drafting = world.drafting(f"printf '{answer}' 1")

    with pytest.raises(ToolFault, match="also after 3 repairs"):
        ask(drafting)

    assert [fact.attempt for fact in world.facts if isinstance(fact, BudgetReserved)] == [1, 2, 3, 4]
