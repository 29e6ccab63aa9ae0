"""The circuit breaker of a tool: it opens after so many failures, lets one trial through, and closes."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.breaker import (
    ANSWERS,
    FAULTS,
    Breaker,
    BreakerRules,
    Closes,
    Opens,
    Phase,
    next_step,
)
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.tool_events import BreakerOpened
from tests.fakes.sample_plans import START

RULES = BreakerRules()
NODES = [NodeId(f"n{number}") for number in range(6)]
F = FailureClass


def settle(breaker: Breaker, now: datetime) -> None:
    """Record what the decision asks for, as the loop does before it starts anything."""
    step = next_step(breaker, RULES, now)
    if isinstance(step, Opens):
        breaker.open(
            BreakerOpened(
                tool=ToolName("t"),
                until=step.until,
                failures=breaker.failures,
                failed_trials=step.failed_trials,
                failure=breaker.last,
                reason=step.reason,
            )
        )
    elif isinstance(step, Closes):
        breaker.close()
    assert next_step(breaker, RULES, now) is None, "a recorded step asks for itself again"


def failed(failure: FailureClass, *nodes: NodeId, breaker: Breaker | None = None) -> Breaker:
    found = breaker or Breaker()
    for node_id in nodes:
        found.begin(node_id)
        found.end(node_id, failure, f"{failure} of {node_id}")
        settle(found, START)
    return found


@pytest.mark.parametrize("failure", sorted(FAULTS))
def test_it_opens_after_three_failures_in_a_row_and_not_before(failure: FailureClass) -> None:
    assert failed(failure, *NODES[:2]).phase(START) is Phase.CLOSED
    breaker = failed(failure, *NODES[:3])
    assert breaker.phase(START) is Phase.OPEN
    assert breaker.opened is not None
    assert breaker.opened.reason == f"3 failures, the last: {failure} of n2"
    assert breaker.phase(START + timedelta(seconds=29)) is Phase.OPEN
    assert breaker.phase(START + timedelta(seconds=30)) is Phase.HALF_OPEN


def test_it_does_not_stay_open_for_as_long_as_a_clock_that_goes_back_would_have_it() -> None:
    breaker = failed(F.TOOL_FAILED, *NODES[:3])
    assert breaker.phase(START - timedelta(hours=6)) is Phase.HALF_OPEN


@pytest.mark.parametrize("answer", [None, *sorted(ANSWERS)])
def test_an_answer_in_between_begins_the_count_anew(answer: FailureClass | None) -> None:
    breaker = failed(F.TRANSIENT, *NODES[:2])
    breaker.begin(NODES[2])
    breaker.end(NODES[2], answer, "")
    assert failed(F.TRANSIENT, *NODES[:2], breaker=breaker).phase(START) is Phase.CLOSED


def test_after_an_answer_the_nodes_that_failed_before_count_again() -> None:
    breaker = failed(F.TOOL_FAILED, *NODES[:2])
    breaker.begin(NODES[2])
    breaker.end(NODES[2], None, "")
    assert failed(F.TOOL_FAILED, *NODES[:3], breaker=breaker).phase(START) is Phase.OPEN


def test_work_that_was_done_badly_or_not_at_all_is_an_answer_of_the_tool() -> None:
    assert {
        F.NO_CHANGE,
        F.MISSING_OUTPUT,
        F.OUTSIDE_CLAIMS,
        F.UNSAFE_TREE,
        F.REJECTED,
        F.BAD_ANSWER,
    } == ANSWERS
    assert {F.TRANSIENT, F.TIMED_OUT, F.TOOL_FAILED, F.TOOL_MISSING, F.REFUSED} == FAULTS


@pytest.mark.parametrize("failure", sorted(set(F) - FAULTS - ANSWERS))
def test_what_is_no_fault_of_the_tool_does_not_count(failure: FailureClass) -> None:
    breaker = failed(failure, *NODES, *NODES)
    assert breaker.phase(START) is Phase.CLOSED
    assert breaker == Breaker()


def test_one_node_that_cannot_be_done_does_not_take_the_tool_from_the_others() -> None:
    assert failed(F.TOOL_FAILED, *[NODES[0]] * 9).phase(START) is Phase.CLOSED
    assert failed(F.TRANSIENT, *[NODES[0]] * 3).phase(START) is Phase.OPEN


def test_the_wait_doubles_with_every_failed_trial_up_to_five_minutes() -> None:
    breaker, now, waits = failed(F.TRANSIENT, *NODES[:3]), START, []
    for _ in range(6):
        assert breaker.ready_at is not None
        waits.append((breaker.ready_at - now).total_seconds())
        now = breaker.ready_at
        breaker.begin(NODES[0])
        breaker.end(NODES[0], F.TRANSIENT, "still overloaded")
        settle(breaker, now)
    assert waits == [30, 60, 120, 240, 300, 300]


def test_nobody_waits_for_a_wrong_key_or_for_a_tool_that_failed_three_trials() -> None:
    assert failed(F.REFUSED, *NODES[:3]).is_hopeless(RULES)
    breaker = failed(F.TRANSIENT, *NODES[:3])
    for _ in range(RULES.trials):
        assert not breaker.is_hopeless(RULES)
        failed(F.TRANSIENT, NODES[0], breaker=breaker)
    assert breaker.is_hopeless(RULES)


def test_attempts_that_began_before_it_opened_do_not_count_against_it_any_more() -> None:
    breaker = failed(F.TRANSIENT, *NODES[:3])
    breaker.end(NODES[4], F.TRANSIENT, "an old attempt")
    assert (breaker.failures, breaker.last_reason) == (3, "transient of n2")
    breaker.begin(NODES[0])
    breaker.end(NODES[0], F.TRANSIENT, "the trial")
    breaker.end(NODES[5], F.TRANSIENT, "an old attempt")
    assert isinstance(next_step(breaker, RULES, START), Opens), "a straggler hides that the trial failed"


def test_a_trial_that_is_cut_short_says_nothing_and_the_next_may_come() -> None:
    breaker = failed(F.TRANSIENT, *NODES[:3])
    later = START + timedelta(seconds=31)
    breaker.begin(NODES[0])
    breaker.end(NODES[0], F.INTERRUPTED, "kill -9")
    settle(breaker, later)
    assert (breaker.phase(later), breaker.trial) == (Phase.HALF_OPEN, None)


Turn = Callable[[Breaker, dict[NodeId, bool], datetime], None]
turns = st.lists(
    st.tuples(
        st.sampled_from(["start", "end", "wait"]),
        st.sampled_from(NODES),
        st.one_of(st.none(), st.sampled_from(F)),
        st.integers(0, 400),
    ),
    max_size=80,
)


@given(turns)
def test_whatever_happens_an_open_breaker_lets_one_trial_through_at_a_time(
    story: list[tuple[str, NodeId, FailureClass | None, int]],
) -> None:
    """Attempts of six nodes start, end and overlap in any way; the model counts failures by itself."""
    breaker, now, running = Breaker(), START, set[NodeId]()
    trials: set[NodeId] = set()
    for what, node_id, failure, seconds in story:
        if what == "wait":
            now += timedelta(seconds=seconds)
        elif what == "start" and node_id not in running:
            phase = breaker.phase(now)
            if phase is Phase.OPEN or (phase is Phase.HALF_OPEN and breaker.trial is not None):
                continue
            breaker.begin(node_id)
            running.add(node_id)
            if phase is Phase.HALF_OPEN:
                trials.add(node_id)
        elif what == "end" and node_id in running:
            running.discard(node_id)
            trials.discard(node_id)
            was_open = breaker.opened
            breaker.end(node_id, failure, "because")
            settle(breaker, now)
            if failure is None or failure in ANSWERS:
                assert breaker.opened is None, "it answered and is still kept from work"
                trials.clear()  # an attempt that was the trial is one like any other now
            elif was_open is None and breaker.opened is not None:
                assert breaker.failures >= RULES.failures
        assert len(trials) <= 1
        assert breaker.trial is None or breaker.trial in running
