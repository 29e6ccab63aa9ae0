"""The read models answer what people ask."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import Branch, CorrelationId, NodeId, RunId, ToolName
from cli_multi_rapid.core.merge_events import MergeApproved, MergeEnqueued, MergeEntry, MergeLanded
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.run_events import (
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRequested,
    CommandGiven,
    RunFinished,
    RunStarted,
)
from cli_multi_rapid.store.queries import (
    AuditLine,
    CostKey,
    ToolHealth,
    audit,
    cost_by,
    ledger,
    list_workstreams,
    merge_history,
    record_tool_health,
    tool_health,
)
from tests.fakes.filled_logs import QUEUE, append_facts, append_run
from tests.fakes.model_worlds import World, make_world
from tests.fakes.run_stories import STORIES, conflict, failed_check, running, success, timeout, waiting
from tests.fakes.sample_plans import MAIN, START, commit_id, tree_id

ONE, TWO = RunId("r-one"), RunId("r-two")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    yield world
    world.database.close()


def test_workstreams_tell_of_runs_and_nodes_as_people_see_them(world: World) -> None:
    append_run(world.log, failed_check(), ONE)
    found = list_workstreams(world.models)
    assert [(item.node_id, item.name, item.status) for item in found] == [
        (None, "OAuth2 Implementation", "PARTIAL"),
        ("n1", "Implement OAuth2 Middleware", "completed"),
        ("n2", "Add Comprehensive Tests", "completed"),
        ("n3", "Update Documentation", "completed"),
        ("n4", "Final Verification", "blocked"),
    ]
    assert {item.run_id for item in found} == {ONE}
    run, first = found[:2]
    assert run.created_at == START
    assert first.created_at == START < first.updated_at < run.updated_at


def test_workstreams_can_be_found_by_status_day_and_correlation(world: World) -> None:
    append_run(world.log, running(), ONE, correlation_id=CorrelationId("coord-7"))
    later = running()
    later.events[:] = [replace(event, time=event.time + timedelta(days=2)) for event in later.events]
    append_run(world.log, later, TWO)
    assert [item.run_id for item in list_workstreams(world.models)] == [TWO] * 5 + [ONE] * 5
    day = START.date() + timedelta(days=2)
    assert {item.run_id for item in list_workstreams(world.models, day=day)} == {TWO}
    assert list_workstreams(world.models, day=date(2020, 1, 1)) == []
    found = list_workstreams(world.models, correlation_id=CorrelationId("coord-7"), status="running")
    assert [(item.run_id, item.node_id) for item in found] == [(ONE, "n2")]
    [same] = {item.correlation_id for item in list_workstreams(world.models, day=day)}
    assert same == CorrelationId(TWO)


def test_a_run_that_is_taken_up_again_is_shown_as_running(world: World) -> None:
    history = waiting()
    append_run(world.log, history, ONE)
    assert {item.status for item in list_workstreams(world.models, status="WAITING")} == {"WAITING"}
    started = next(event.data for event in history.events if isinstance(event.data, RunStarted))
    append_facts(
        world.log,
        ONE,
        [started, ApprovalGranted(node_id=NodeId("n2"), what="before", by="ann")],
    )
    found = {item.node_id: item.status for item in list_workstreams(world.models)}
    assert found == {None: "RUNNING", "n1": "completed", "n2": "pending", "n3": "completed", "n4": "pending"}


def test_a_stream_that_makes_no_sense_can_still_be_found(world: World) -> None:
    append_run(world.log, running(), ONE)
    nonsense = ApprovalGranted(node_id=NodeId("no-such-node"), what="before", by="ann")
    append_facts(world.log, ONE, [nonsense, RunFinished(status=RunStatus.FAILED, exit_code=1, reason="")])
    assert list_workstreams(world.models)[0].status == "FAILED"


def test_costs_are_summed_to_the_micro_by_everything(world: World) -> None:
    append_run(world.log, success(), ONE)
    append_run(world.log, timeout(), TWO)
    lines = ledger(world.models)
    total = sum(line.amount for line in lines)
    assert total == parse_usd("0.247") + parse_usd("0.189") + parse_usd("0.084") + parse_usd("0.10")
    for key in CostKey:
        assert sum(line.amount for line in cost_by(world.models, key)) == total
        assert sum(line.attempts for line in cost_by(world.models, key)) == len(lines) == 5
    by_tool = {line.key: line for line in cost_by(world.models, CostKey.TOOL)}
    assert list(by_tool) == ["aider", "cursor", "claude"]
    assert by_tool["aider"].amount == parse_usd("0.536")
    assert by_tool["aider"].tokens == 8243 + 8000 + 2000
    assert [line.key for line in cost_by(world.models, CostKey.RUN)] == [ONE, TWO]
    assert [line.key for line in cost_by(world.models, CostKey.DAY)] == ["2025-10-03"]
    assert {line.key for line in cost_by(world.models, CostKey.MODEL)} == {
        "gpt-5-mini", "auto", "claude-sonnet-4-5",
    }  # fmt: skip
    [n1] = cost_by(world.models, CostKey.NODE, run_id=TWO)
    assert (n1.key, n1.amount) == ("n1", parse_usd("0.10"))
    assert [line.run_id for line in ledger(world.models, run_id=TWO)] == [TWO]


def test_a_cost_without_a_model_has_an_empty_key(world: World) -> None:
    append_run(world.log, STORIES["parallel"](), ONE)
    assert cost_by(world.models, CostKey.MODEL)[-1].key == ""


def test_merge_history_tells_how_each_entry_ended(world: World) -> None:
    append_run(world.log, failed_check(), ONE)
    found = {record.node_id: record for record in merge_history(world.models, MAIN)}
    n1, n2, n3 = (found[NodeId(name)] for name in ("n1", "n2", "n3"))
    assert n1.status is MergeStatus.MERGED
    assert n1.checks_passed == ("lint", "tests")
    assert n1.landed_commit == commit_id("candidate", "n1")
    assert n1.check_s == 33
    assert n1.duration_s == pytest.approx(33, abs=0.1)
    assert n1.head == commit_id("n1", 1)
    assert n2.status is MergeStatus.FAILED
    assert n2.reason == "tests failed on its own"
    assert n2.checks_passed == ("lint",)
    assert n3.status is MergeStatus.MERGED
    assert merge_history(world.models) == list(found.values())
    assert merge_history(world.models, Branch("other")) == []


def test_conflicts_and_held_landings_say_what_is_in_the_way(world: World) -> None:
    append_run(world.log, conflict(), ONE)
    [record] = [r for r in merge_history(world.models) if r.status is MergeStatus.CONFLICTED]
    assert record.files == ("src/app.py", "README.md")


def test_an_entry_waits_until_its_dependency_has_landed_and_a_person_agreed(world: World) -> None:
    def entry(name: str, *deps: str, needs_approval: bool = False) -> MergeEnqueued:
        return MergeEnqueued(
            entry=MergeEntry(
                id=type(first.entry.id)(name),
                branch=Branch(name),
                head=commit_id(name),
                base=commit_id("base"),
                target=MAIN,
                deps=tuple(type(first.entry.id)(dep) for dep in deps),
                needs_approval=needs_approval,
            )
        )

    history = STORIES["held"]()
    append_run(world.log, history, ONE)
    first = next(event.data for event in history.events if isinstance(event.data, MergeEnqueued))
    append_facts(world.log, QUEUE, [entry("a"), entry("b", "a"), entry("c", needs_approval=True)])

    def statuses() -> dict[str, str]:
        return {r.id: r.status.value for r in merge_history(world.models) if r.run_id is None}

    assert statuses() == {"a": "QUEUED", "b": "BLOCKED", "c": "BLOCKED"}
    landed = MergeLanded(
        entries=(type(first.entry.id)("a"),), commit=commit_id("a"), tree=tree_id("a"), recovered=True
    )
    append_facts(world.log, QUEUE, [landed, MergeApproved(entry_id=type(first.entry.id)("c"), by="ann")])
    assert statuses() == {"a": "MERGED", "b": "QUEUED", "c": "QUEUED"}
    [stuck] = [r for r in merge_history(world.models) if r.command]
    assert stuck.status is MergeStatus.BLOCKED
    assert stuck.reason == "README.md has edits that are not committed"
    [line] = audit(world.models, run_id=QUEUE)
    assert (line.who, line.action, line.subject) == ("ann", "merge.approved", "c")


def test_the_audit_names_who_did_what(world: World) -> None:
    append_run(world.log, waiting(), ONE)
    n2 = NodeId("n2")
    append_facts(
        world.log,
        ONE,
        [
            CommandGiven(command="budget", by="ann", amount=parse_usd(5), text="it is worth it"),
            CommandGiven(command="approve", by="bob", node_id=n2),
            ApprovalGranted(node_id=n2, what="before", by="bob"),
            ApprovalRequested(node_id=n2, what="landing"),
            ApprovalRejected(node_id=n2, what="landing", by="eve", reason="no tests"),
        ],
    )
    assert [(a.stream, a.who, a.action, a.subject, a.detail) for a in audit(world.models)] == [
        (ONE, "ann", "budget", "", "it is worth it $5.00"),
        (ONE, "bob", "approve", "n2", ""),
        (ONE, "bob", "approval.granted", "n2", "before"),
        (ONE, "eve", "approval.rejected", "n2", "landing: no tests"),
    ]
    assert isinstance(audit(world.models, run_id=ONE)[0], AuditLine)
    assert audit(world.models, run_id=TWO) == []


def test_the_latest_look_at_a_tool_counts_and_survives_a_rebuild(world: World) -> None:
    old = ToolHealth(
        tool=ToolName("aider"), status="degraded", version="0.1", last_check=START, response_time_ms=890,
        warning="High latency detected",
    )  # fmt: skip
    new = ToolHealth(
        tool=ToolName("aider"), status="healthy", version="0.2", last_check=START, response_time_ms=None
    )
    for look in (old, new):
        record_tool_health(world.models, look)
        assert tool_health(world.models) == [look]
    world.models.rebuild()
    assert tool_health(world.models) == [new]
