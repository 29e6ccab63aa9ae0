"""Whole runs with agents that are missing, overloaded, refused or busy: real processes, real git."""

import json
import re
from datetime import datetime, timedelta

from cli_multi_rapid.core.facts import FailureClass, Payload, RunStatus
from cli_multi_rapid.core.merge_events import MergeConflicted
from cli_multi_rapid.core.node_events import (
    NodeAttemptFailed,
    NodeReworkScheduled,
    NodeStarted,
    NodeSucceeded,
)
from cli_multi_rapid.core.tool_events import BreakerOpened
from tests.fakes.agents import (
    ALWAYS_OVERLOADED,
    LEARNS,
    MENDS,
    OBEDIENT,
    OVERLOADED_ONCE,
    WRONG_KEY,
    Agent,
    hire,
)
from tests.fakes.command_line import type_in
from tests.fakes.worlds import Story, World

HEAD = "version: 1\nplan_id: p\nname: p\nmerge_policy: {checklist: []}\nnodes:\n"


def node(name: str, tool: str, *, path: str = "", words: str = "", more: str = "") -> str:
    """A node that has an agent write one file."""
    file = path or f"src/{name}.txt"
    claims = "" if path else f", path_claims: [{file}]"
    return (
        f'  - {{id: {name}, tool: {tool}, goal: "WRITE {file} {words or "work of " + name}"{claims}{more}}}\n'
    )


def choices(story: Story) -> dict[str, list[tuple[str, str]]]:
    """Tool and reason of each attempt, by node."""
    return {
        name: [(attempt.tool, attempt.reason) for attempt in state.attempts]
        for name, state in story.state.nodes.items()
    }


def test_four_nodes_on_three_tools_land_although_one_is_missing_and_one_overloaded(world: World) -> None:
    hire(
        world,
        Agent(name="cheap", body=None, hint=0.1, fallback="steady"),
        Agent(name="flaky", body=OVERLOADED_ONCE, hint=0.5),
        Agent(name="steady", hint=1.0),
    )
    plan = world.repository.path.parent / "plan.yaml"
    open_choice = node("open", "auto", more=", capabilities: [edit]")
    plan.write_text(
        HEAD + open_choice + node("gone", "cheap") + node("plain", "steady") + node("again", "flaky")
    )

    told = type_in(world.repository.path, "execute", plan, "--format", "json")

    assert told.status == 0, told.err
    report = told.document
    assert {n["node_id"]: n["merge_status"] for n in report["nodes"]} == dict.fromkeys(
        ("open", "gone", "plain", "again"), "MERGED"
    )
    tries = {n["node_id"]: [(a["tool"], a["tool_reason"]) for a in n["attempts"]] for n in report["nodes"]}
    tool, why = tries["open"][0]
    assert (tool, why.partition("; ")[0]) == ("flaky", "cheapest healthy of flaky, steady with `edit`")
    assert "cheap skipped: unhealthy (ping " in why
    assert re.search(r"cheap skipped: unhealthy \(ping \d+ s ago: the program ", why)
    assert tries["gone"][0][0] == "steady"
    assert tries["gone"][0][1].startswith("fallback of cheap; cheap skipped: unhealthy (ping ")
    assert tries["plain"] == [("steady", "named by the plan")]
    assert sum(len(found) for found in tries.values()) == 5, "the overloaded one is tried once more"
    assert "the tool cheap is unhealthy" in told.err
    page = type_in(world.repository.path, "report", "--format", "md").out
    assert "## Tools" in page
    assert "cheapest healthy of flaky, steady with" in page
    health = json.loads((world.repository.path / "state" / "tool_health.json").read_text())
    assert {name: entry["status"] for name, entry in health.items()} == {
        "cheap": "unhealthy",
        "flaky": "healthy",
        "steady": "healthy",
    }


def test_a_wrong_key_ends_at_once_with_the_tools_own_words(world: World) -> None:
    agents = hire(world, Agent(name="keyless", body=WRONG_KEY))
    plan = world.repository.path.parent / "plan.yaml"
    plan.write_text(HEAD + node("n", "keyless", more=", retries: 5"))
    told = type_in(world.repository.path, "execute", plan)
    assert told.status == 1
    assert "status 401, invalid api key" in told.err
    assert len(agents.prompts("keyless")) == 1
    events = type_in(world.repository.path, "events", "--format", "json").document["events"]
    times = {event["type"]: datetime.fromisoformat(event["time"]) for event in events}
    assert times["node.failed"] - times["node.attempt_failed"] < timedelta(seconds=1)
    assert "node.retry_scheduled" not in times


def test_with_a_fallback_a_wrong_key_costs_one_call(world: World) -> None:
    agents = hire(world, Agent(name="keyless", body=WRONG_KEY, fallback="steady"), Agent(name="steady"))
    story = world.execute(HEAD + node("n", "keyless"))
    assert story.finished.exit_code == 0
    ((_, first), (tool, why)) = choices(story)["n"]
    assert (first, tool) == ("named by the plan", "steady")
    assert why.startswith("fallback of keyless, after keyless failed: ")
    assert "401" in why
    failed, started = _times(story, NodeAttemptFailed), _times(story, NodeStarted)
    assert started[1] - failed[0] < timedelta(seconds=1), "somebody waited before the other tool was asked"
    assert len(agents.prompts("keyless")) == 1


def _times(story: Story, kind: type[Payload]) -> list[datetime]:
    return [event.time for event in story.events if isinstance(event.data, kind)]


def test_a_failed_check_comes_back_as_a_prompt_and_the_node_lands(world: World) -> None:
    agents = hire(world, Agent(name="learner", body=LEARNS))
    check = 'grep -rq bad src && { echo "FAILED: no good words"; exit 1; }; exit 0'
    story = world.execute(
        f"version: 1\nplan_id: p\nname: p\nchecks: {{words: {{run: '{check}'}}}}\n"
        "merge_policy: {checklist: [words]}\nnodes:\n" + node("n", "learner", words="bad")
    )
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.SUCCESS, 0)
    assert world.repository.show("main", "src/n.txt") == "good\n"
    (again,) = story.all_of(NodeReworkScheduled)
    assert isinstance(again, NodeReworkScheduled)
    assert again.reason.endswith("done again on the new base (1 of 2)")
    first, second = agents.prompts("learner")
    assert "FAILED" not in first
    assert "## The last attempt failed\nYour work was done, but it did not land" in second
    assert "FAILED: no good words" in second
    world.assert_nothing_left(story.run_id, kept=[])


def test_what_agents_cannot_put_right_ends_after_both_tools_with_what_to_do_next(world: World) -> None:
    agents = hire(world, Agent(name="stubborn", fallback="other"), Agent(name="other"))
    plan = world.repository.path.parent / "plan.yaml"
    check = "{words: {run: 'grep -rq bad src && exit 1; exit 0', inputs: ['src/**']}}"
    plan.write_text(
        f"version: 1\nplan_id: p\nname: p\nchecks: {check}\nmerge_policy: {{checklist: [words]}}\nnodes:\n"
        + node("n", "stubborn", words="bad", more=", retries: 1")
    )
    told = type_in(world.repository.path, "execute", plan, "--format", "json")
    assert told.status == 1
    assert (len(agents.prompts("stubborn")), len(agents.prompts("other"))) == (2, 2)
    (done,) = told.document["nodes"]
    outcomes = [attempt["outcome"] for attempt in done["attempts"]]
    assert (done["merge_status"], outcomes) == ("FAILED", ["refused"] * 3 + ["succeeded"])
    text = done["next"]["text"]
    assert "was refused by the queue 4 times (work of stubborn, other), its work is kept on lane/" in text
    assert "or have a remedy planned: cli-orchestrator plan --request" in text


def test_work_on_top_of_refused_work_that_was_not_queued_yet_is_done_again_and_lands(world: World) -> None:
    waits = 'while [ "$call" = 1 ] && [ ! -L "$(dirname "$0")/learner.call.2" ]; do sleep 0.02; done\n'
    hire(world, Agent(name="learner", body=LEARNS), Agent(name="late", body=waits + OBEDIENT))
    story = world.execute(
        "version: 1\nplan_id: p\nname: p\nchecks: {words: {run: '! grep -rq bad src || "
        '{ echo "FAILED: no good words"; exit 1; }\'}}\nmerge_policy: {checklist: [words]}\nnodes:\n'
        + node("a", "learner", words="bad")
        + node("b", "late", more=", deps: [a]")
    )
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.SUCCESS, 0)
    first, second = story.node("b").attempts
    assert (first.refused != "", first.branch != second.branch) == (True, True)
    assert world.repository.show("main", "src/b.txt") == "work of b\n"
    world.assert_nothing_left(story.run_id, kept=[])


def test_a_conflict_is_done_again_on_the_new_base_and_lands(world: World) -> None:
    agents = hire(world, Agent(name="one", body=MENDS), Agent(name="two", body=MENDS))
    story = world.execute(
        HEAD
        + node("a", "one", path="src/shared.txt", words="from a")
        + node("b", "two", path="src/shared.txt", words="from b")
    )
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.SUCCESS, 0)
    assert len(story.all_of(MergeConflicted)) == 1
    text = world.repository.show("main", "src/shared.txt")
    assert sorted(text.splitlines()) == ["from a", "from b"], "the second saw the work of the first"
    prompts = [*agents.prompts("one"), *agents.prompts("two")]
    (told,) = [prompt for prompt in prompts if "did not land" in prompt]
    assert "src/shared.txt" in told.partition("did not land")[2]
    world.assert_nothing_left(story.run_id, kept=[])


def test_four_ready_nodes_use_a_tool_with_a_cap_of_one_one_after_the_other(world: World) -> None:
    hire(world, Agent(name="single"), limits="{single: 1}")
    story = world.execute(HEAD + "".join(node(name, "single") for name in "abcd"), workers=4)
    assert story.finished.exit_code == 0
    in_use, most = 0, 0
    for event in story.events:
        in_use += isinstance(event.data, NodeStarted) - isinstance(event.data, NodeSucceeded)
        most = max(most, in_use)
    assert most == 1


def test_a_breaker_opens_and_the_other_tool_does_the_rest(world: World) -> None:
    agents = hire(world, Agent(name="down", body=ALWAYS_OVERLOADED, fallback="steady"), Agent(name="steady"))
    names = ("a", "b", "c", "d", "e")
    plan = HEAD + "".join(node(name, "down", more=", retries: 0") for name in names)
    story = world.execute(plan, workers=1)
    assert story.finished.exit_code == 0
    (opened,) = story.all_of(BreakerOpened)
    assert isinstance(opened, BreakerOpened)
    assert (opened.tool, opened.failures, opened.failure) == ("down", 3, FailureClass.TRANSIENT)
    assert len(agents.prompts("down")) == 3
    assert [found[0][0] for found in choices(story).values()].count("steady") == 2
    late = choices(story)["e"][0][1]
    assert late.startswith("fallback of down; down skipped: its breaker is open (3 failures, the last: ")
