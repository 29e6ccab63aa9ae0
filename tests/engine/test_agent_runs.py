"""Agents in whole runs, played by small programs of their names: money, sessions, denials, leftovers."""

import json
import os
import signal
from pathlib import Path

import pytest

from cli_multi_rapid.adapters.claude import ClaudeAdapter
from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.run_events import BudgetSettled
from cli_multi_rapid.reports.cost import CostBy, cost_document, cost_text, ledger_line, ledger_rows
from cli_multi_rapid.reports.run_report import run_report
from cli_multi_rapid.schema.published import schema_violations
from tests.engine.process.bench import linux_only
from tests.fakes.clock import START
from tests.fakes.moments import Moment, start_work
from tests.fakes.worlds import World

HEAD = "merge_policy: {checklist: []}\n"
ONCE = f"{HEAD}rollback_policy: {{max_retry_attempts: 0}}\n"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def play(programs: Path, name: str, script: str) -> Path:
    """Put a program on the PATH; the file that is returned tells its calls, one a line."""
    calls = programs / f"{name}.calls"
    program = programs / name
    program.write_text(f'#!/bin/sh\necho "$@" | tr "\\n" " " >>"{calls}"; echo >>"{calls}"\n{script}\n')
    program.chmod(0o755)
    return calls


def told(*records: object) -> str:
    """Shell lines that print records."""
    return "\n".join(f"cat <<'END'\n{json.dumps(record)}\nEND" for record in records)


def claude_result(*denials: str, cost: float = 0.25) -> str:
    denied = [{"tool_name": "Write", "tool_input": {"file_path": path}} for path in denials]
    record = {"type": "result", "subtype": "success", "is_error": False, "result": "done"}
    return told({**record, "session_id": "s-1", "total_cost_usd": cost, "permission_denials": denied})


def codex_turn(tokens: int, thread: str = "t-1") -> str:
    usage = {"input_tokens": 10 * tokens, "cached_input_tokens": 0, "output_tokens": tokens}
    return told({"type": "thread.started", "thread_id": thread}, {"type": "turn.completed", "usage": usage})


def test_a_plan_names_an_agent_and_its_work_lands_with_its_cost(world: World, programs: Path) -> None:
    calls = play(programs, "claude", f"echo hello > src/new.txt\n{claude_result()}")
    story = world.execute(f"{HEAD}nodes: [{{id: n1, tool: claude, goal: Greet, max_cost: 1.5}}]")
    assert story.node("n1").landed
    (attempt,) = story.node("n1").attempts
    assert (attempt.usage.cost, attempt.session_id) == (parse_usd("0.25"), "s-1")
    assert "--max-budget-usd 1.500000" in calls.read_text()


def test_a_retry_of_the_same_tool_goes_on_with_its_session_and_pays_for_the_new_tokens_only(
    world: World, programs: Path
) -> None:
    again = f"*resume*) echo hello > src/new.txt\n{codex_turn(300)}\n;;"
    calls = play(programs, "codex", f'case "$*" in {again}\n*) {codex_turn(100)}\n;; esac')
    plan = f"{HEAD}nodes: [{{id: n1, tool: codex, model: gpt-5-codex, goal: Greet, retries: 1}}]"
    story = world.execute(plan)
    first, second = story.node("n1").attempts
    assert first.failure is FailureClass.NO_CHANGE
    assert story.node("n1").landed
    assert "resume t-1" in calls.read_text().splitlines()[1]
    assert "nothing of its work is in it" in calls.read_text().splitlines()[1]
    assert [attempt.usage.output_tokens for attempt in (first, second)] == [100, 200]
    # $1.25 for a million sent and $10 for a million answered.
    assert [attempt.usage.cost for attempt in (first, second)] == [2250, 4500]


def test_a_retry_of_an_agent_that_was_stopped_pays_for_what_its_thread_cost_beyond_what_was_assumed(
    world: World, programs: Path
) -> None:
    begun = told({"type": "thread.started", "thread_id": "t-1"})
    again = f"*resume*) echo hello > src/new.txt\n{codex_turn(300)}\n;;"
    play(programs, "codex", f'case "$*" in {again}\n*) {begun}\nexec sleep 1000\n;; esac')
    node = "{id: n1, tool: codex, model: gpt-5-codex, goal: Greet, est_cost: 0.001, timeout_s: 1, retries: 1}"
    story = world.execute(f"{HEAD}nodes: [{node}]")
    assert story.node("n1").landed
    first, second = (attempt.usage for attempt in story.node("n1").attempts)
    assert (first.source, first.cost, first.tokens) == ("assumed", 1000, 0)
    # The thread's tokens, those of the first attempt among them, cost 6750.
    assert (second.source, second.cost, second.output_tokens) == ("prices", 5750, 300)
    assert story.state.ledger.spent == 6750


def test_a_resumed_thread_is_charged_for_its_new_tokens_also_when_the_orchestrator_dies(
    world: World, programs: Path
) -> None:
    count = f'echo >> "{programs}/n"; case $(wc -l < "{programs}/n") in'
    turns = f"1) {codex_turn(100)}\n;;\n2) {codex_turn(300)}\n;;\n*) {codex_turn(400)}\n;;"
    calls = play(programs, "codex", f"{count} {turns} esac; echo hello > src/new.txt")
    node = "{id: n1, tool: codex, model: gpt-5-codex, goal: Greet, outputs: [src/gone.txt], retries: 1}"
    run_id = world.accept(f"{HEAD}nodes: [{node}]")
    second_settlement = Moment(type="budget.settled", before=True, at=2)
    assert start_work(world.repository.path, "run", second_settlement) == -signal.SIGKILL
    story = world.drive(run_id)
    attempts = story.node("n1").attempts
    assert [attempt.usage.output_tokens for attempt in attempts] == [100, 200, 100]
    assert [attempt.usage.cost for attempt in attempts] == [2250, 4500, 2250]
    assert "resume t-1" in calls.read_text().splitlines()[2]


@linux_only
def test_what_copilot_wrote_before_the_orchestrator_died_is_charged_and_not_what_was_set_aside(
    world: World, programs: Path
) -> None:
    used = json.dumps({"modelMetrics": {"gpt-4.1": {"usage": {"inputTokens": 1000, "outputTokens": 100}}}})
    ended = told({"type": "result", "sessionId": "s-1", "exitCode": 0})
    file = 'for word; do case $word in --usage-output-file=*) file="${word#*=}";; esac; done'
    # Its parent is the warden, whose parent is the orchestrator.
    kill = "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); exec sleep 1000"
    once = f'[ -e "{programs}/dead" ] || {{ touch "{programs}/dead"; {kill}; }}'
    write = f"echo '{used}' > \"$file\"; echo hello > src/new.txt"
    play(programs, "copilot", f"{file}\n{write}\n{ended}\n{once}")
    node = "{id: n1, tool: copilot, model: gpt-4.1, goal: Greet, est_cost: 1}"
    run_id = world.accept(f"{HEAD}nodes: [{node}]")
    assert start_work(world.repository.path, "run", Moment(at=99)) == -signal.SIGKILL
    story = world.drive(run_id)
    first = story.node("n1").attempts[0]
    assert first.failure is FailureClass.INTERRUPTED
    # $2 for a million sent and $8 for a million answered.
    assert (first.usage.source, first.usage.tokens, first.usage.cost) == ("prices", 1100, 2800)


def test_another_tool_begins_a_session_of_its_own(world: World, programs: Path) -> None:
    (world.repository.path / "config").mkdir()
    (world.repository.path / "config/tools.yaml").write_text("tools: [{name: codex, fallback: [copilot]}]")
    play(programs, "codex", codex_turn(100))
    ended = told({"type": "result", "sessionId": "s-2", "exitCode": 0})
    calls = play(programs, "copilot", f"echo hello > src/new.txt\n{ended}")
    plan = f"{HEAD}nodes: [{{id: n1, tool: codex, model: gpt-5-codex, goal: Greet, retries: 0}}]"
    assert world.execute(plan).node("n1").landed
    assert "--session-id=" in calls.read_text()
    assert "t-1" not in calls.read_text()
    assert "--model" not in calls.read_text()  # the plan's model is one of codex


def test_an_agent_that_was_not_allowed_to_work_is_not_tried_again(world: World, programs: Path) -> None:
    calls = play(programs, "claude", claude_result("src/new.txt"))
    story = world.execute(f"{HEAD}nodes: [{{id: n1, tool: claude, goal: Greet}}]")
    (attempt,) = story.node("n1").attempts
    assert attempt.failure is FailureClass.REFUSED
    assert attempt.outcome == "claude changed nothing; it was not allowed Write: src/new.txt"
    assert len(calls.read_text().splitlines()) == 1


def test_a_denial_that_the_agent_found_a_way_around_is_told_as_a_warning(
    world: World, programs: Path
) -> None:
    play(programs, "claude", f"echo hello > src/new.txt\n{claude_result('/etc/hosts')}")
    success = world.execute(f"{HEAD}nodes: [{{id: n1, tool: claude, goal: Greet}}]").node("n1").success
    assert success is not None
    assert success.warnings == ("claude was not allowed Write: /etc/hosts",)


AIDER = "echo 'Tokens: 1.0k sent, 100 received. Cost: $0.0035 message, $0.0035 session.'"
OUTPUTS = "nodes: [{id: n1, tool: aider, goal: Greet, outputs: [src/one.txt, src/two.txt]}]"


def test_the_empty_files_that_aider_makes_first_are_no_work(world: World, programs: Path) -> None:
    play(programs, "aider", f"touch src/one.txt src/two.txt\n{AIDER}")
    (attempt,) = world.execute(ONCE + OUTPUTS).node("n1").attempts
    assert (attempt.failure, attempt.outcome) == (FailureClass.NO_CHANGE, "aider changed nothing")


def test_beside_real_work_an_output_may_be_empty(world: World, programs: Path) -> None:
    play(programs, "aider", f"touch src/one.txt src/two.txt; echo x > src/one.txt\n{AIDER}")
    assert world.execute(ONCE + OUTPUTS).node("n1").landed
    assert world.repository.files("main") == ["README.md", "src/a.txt", "src/one.txt", "src/two.txt"]


def test_an_agent_that_was_stopped_is_charged_what_was_set_aside(world: World, programs: Path) -> None:
    play(programs, "claude", "exec sleep 1000")
    node = "{id: n1, tool: claude, goal: Greet, est_cost: 0.75, timeout_s: 0.3, retries: 0}"
    story = world.execute(f"{ONCE}nodes: [{node}]")
    (settled,) = story.all_of(BudgetSettled)
    assert isinstance(settled, BudgetSettled)
    assert (settled.usage.cost, settled.usage.source) == (parse_usd("0.75"), "assumed")


def test_an_agent_whose_account_we_fail_to_read_is_charged_what_was_set_aside(
    world: World, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    play(programs, "claude", claude_result())
    monkeypatch.setattr(ClaudeAdapter, "read", fail)
    story = world.execute(f"{ONCE}nodes: [{{id: n1, tool: claude, goal: Greet, est_cost: 0.75}}]")
    (settled,) = story.all_of(BudgetSettled)
    assert isinstance(settled, BudgetSettled)
    assert (settled.usage.cost, settled.usage.source) == (parse_usd("0.75"), "assumed")
    assert story.node("n1").attempts[0].usage == settled.usage


UNPRICED = "global_budget_usd: 5\nnodes: [{id: n1, tool: codex, model: house-model, goal: Greet}]"


def test_a_price_that_nobody_knows_stops_the_node_before_it_starts(world: World, programs: Path) -> None:
    calls = play(programs, "codex", codex_turn(100))
    story = world.execute(HEAD + UNPRICED)
    assert story.finished.exit_code == 3
    assert story.node("n1").reason.endswith(
        "the price of its model house-model is unknown, so no limit can be kept: "
        "add it to `prices:` of codex in config/tools.yaml; --allow-unpriced runs it anyway"
    )
    assert not calls.exists()


def test_a_price_in_the_configuration_lets_it_start(world: World, programs: Path) -> None:
    (world.repository.path / "config").mkdir()
    price = "{model: house-model, input: 1, output: 2}"
    (world.repository.path / "config/tools.yaml").write_text(f"tools: [{{name: codex, prices: [{price}]}}]")
    play(programs, "codex", f"echo hello > src/new.txt\n{codex_turn(100)}")
    story = world.execute(HEAD + UNPRICED)
    assert story.node("n1").landed
    assert story.state.ledger.spent == 1200


def test_an_unknown_cost_that_was_allowed_is_nowhere_shown_as_nothing(world: World, programs: Path) -> None:
    play(programs, "codex", f"echo hello > src/new.txt\n{codex_turn(100)}")
    story = world.execute(HEAD + UNPRICED, budget=BudgetRules(allow_unpriced=True))
    assert story.node("n1").landed
    report = run_report(story.state, story.events, now=START, artifacts=())
    assert schema_violations(json.loads(json.dumps(report)), "report") == []
    assert report["cost_summary"]["unknown_attempts"] == 1
    assert report["cost_summary"]["breakdown"] == {"codex": None}
    (node,) = report["nodes"]
    assert (node["cost_usd"], node["attempts"][0]["cost_usd"], node["tokens_used"]) == (None, None, 1100)
    assert node["attempts"][0]["session_id"] == "t-1"
    rows = ledger_rows(story.events)
    assert cost_document(rows, CostBy.TOOL)["groups"][0]["unknown_attempts"] == 1
    assert "unknown" in cost_text(rows, CostBy.TOOL)
    assert "1 attempt has a cost that is not known" in cost_text(rows, CostBy.TOOL)
    assert ledger_line(rows[0])["amount"] is None
