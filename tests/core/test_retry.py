"""What follows a failed attempt: never endless, never unfair to a tool that was not at fault."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.node_state import Attempt, NodeState
from cli_multi_rapid.core.retry import (
    MAX_INTERRUPTIONS,
    MOST_REPAIRS,
    NEVER_AGAIN,
    TOOL_AT_FAULT,
    GiveUp,
    TryAgain,
    after_failure,
    backoff_s,
    is_waiting,
)
from tests.fakes.sample_plans import START, node

AIDER, CLAUDE = ToolName("aider"), ToolName("claude")
F = FailureClass
Past = list[tuple[ToolName, FailureClass]]
ORDINARY = sorted(set(F) - NEVER_AGAIN - {F.INTERRUPTED, F.BAD_ANSWER})


def after(
    past: Past, retries: int, fallback: ToolName | None = None, *, before: Past | None = None
) -> TryAgain | GiveUp:
    """What follows these attempts; `before`: those before somebody reset the node."""
    attempts = [
        Attempt(
            number=number,
            tool=tool,
            started_at=START,
            slot="",
            log="",
            reason="",
            failure=failure,
            outcome=failure,
        )
        for number, (tool, failure) in enumerate([*(before or []), *past], 1)
    ]
    state = NodeState(node=node("n"), attempts=attempts, tries=len(past))
    return after_failure(state, retries, fallback, START)


@given(st.integers(0, 5), st.sampled_from(ORDINARY))
def test_a_node_is_tried_once_and_as_often_again_as_it_may(retries: int, failure: FailureClass) -> None:
    past: Past = [(AIDER, failure)]
    while isinstance(after(past, retries), TryAgain):
        past.append((AIDER, failure))
    assert len(past) == retries + 1


@given(st.integers(0, 5), st.integers(0, 5))
def test_an_answer_is_repaired_three_times_at_once_and_beside_the_retries(retries: int, crashes: int) -> None:
    past: Past = [(CLAUDE, F.TOOL_FAILED)] * min(crashes, retries)
    past.append((CLAUDE, F.BAD_ANSWER))
    for number in range(1, MOST_REPAIRS + 1):
        again = after(past, retries)
        assert isinstance(again, TryAgain)
        assert again.not_before == START
        assert again.reason == f"repair {number} of {MOST_REPAIRS}: bad_answer"
        past.append((CLAUDE, F.BAD_ANSWER))
    assert isinstance(after(past, retries), GiveUp)
    other = after(past, retries, AIDER)
    assert isinstance(other, TryAgain)
    assert other.tool == AIDER


def test_repairs_do_not_use_up_the_retries() -> None:
    again = after([(CLAUDE, F.BAD_ANSWER), (CLAUDE, F.BAD_ANSWER), (CLAUDE, F.TOOL_FAILED)], 1)
    assert isinstance(again, TryAgain)
    assert again.reason == "retry 1 of 1: tool_failed"


@pytest.mark.parametrize("failure", sorted(NEVER_AGAIN))
def test_what_the_same_tool_would_repeat_is_not_tried_again(failure: FailureClass) -> None:
    assert after([(AIDER, failure)], 5) == GiveUp(reason=failure)


@pytest.mark.parametrize("failure", sorted(TOOL_AT_FAULT))
def test_a_missing_or_refused_tool_is_replaced_at_once(failure: FailureClass) -> None:
    found = after([(AIDER, failure)], 5, CLAUDE)
    assert found == TryAgain(not_before=START, reason=f"aider: {failure}", tool=CLAUDE)


@pytest.mark.parametrize("failure", sorted(NEVER_AGAIN - TOOL_AT_FAULT))
def test_no_other_tool_is_tried_when_the_plan_is_at_fault(failure: FailureClass) -> None:
    assert isinstance(after([(AIDER, failure)], 5, CLAUDE), GiveUp)


def test_another_tool_takes_over_when_the_first_has_used_up_its_tries() -> None:
    assert after([(AIDER, F.NO_CHANGE)] * 2, 1, CLAUDE) == TryAgain(
        not_before=START, reason="aider failed 2 times", tool=CLAUDE
    )
    assert after([(AIDER, F.NO_CHANGE)] * 2 + [(CLAUDE, F.TIMED_OUT)], 1) == TryAgain(
        not_before=START + timedelta(seconds=0.2), reason="retry 1 of 1: timed_out"
    )
    assert after([(AIDER, F.NO_CHANGE)] * 2 + [(CLAUDE, F.TIMED_OUT)] * 2, 1) == GiveUp(
        reason="timed_out (2 attempts)"
    )


@given(st.integers(0, 4))
def test_interruptions_are_free_up_to_a_bound_and_count_beyond_it(retries: int) -> None:
    past: Past = [(AIDER, F.INTERRUPTED)]
    while isinstance(after(past, retries), TryAgain):
        past.append((AIDER, F.INTERRUPTED))
        assert len(past) < 100, "an attempt that kills us is tried for ever"
    assert len(past) == MAX_INTERRUPTIONS + 1 + retries


def test_the_interruptions_of_one_tool_do_not_excuse_the_failures_of_another() -> None:
    past: Past = [(AIDER, F.INTERRUPTED)] * 3 + [(AIDER, F.REFUSED), (CLAUDE, F.NO_CHANGE)]
    assert after(past, 1) == TryAgain(
        not_before=START + timedelta(seconds=0.2), reason="retry 1 of 1: no_change"
    )
    assert isinstance(after([*past, (CLAUDE, F.NO_CHANGE)], 1), GiveUp)


@given(
    st.lists(st.tuples(st.sampled_from([AIDER, CLAUDE]), st.sampled_from(F)), min_size=1, max_size=40),
    st.integers(0, 3),
)
def test_attempts_before_a_reset_do_not_count(past: Past, retries: int) -> None:
    now = [past[-1]]
    assert after(now, retries, before=past) == after(now, retries)


@given(st.lists(st.sampled_from(F), min_size=80, max_size=80), st.integers(0, 5))
def test_no_history_of_failures_goes_on_for_ever(failures: list[FailureClass], retries: int) -> None:
    past: Past = []
    tool = AIDER
    for failure in failures:
        past.append((tool, failure))
        found = after(past, retries, CLAUDE if tool == AIDER else None)
        if isinstance(found, GiveUp):
            assert found.reason
            break
        assert found.not_before >= START
        tool = found.tool or tool
    else:
        pytest.fail("tried 80 times")
    assert len(past) <= 2 * (MAX_INTERRUPTIONS + 1 + retries)


@given(st.integers(1, 10**6), st.booleans())
def test_the_wait_grows_and_stays_within_a_minute(attempt: int, transient: bool) -> None:
    wait = backoff_s(attempt, transient=transient)
    assert 0.2 <= wait <= 60.0
    assert wait <= backoff_s(attempt + 1, transient=transient)
    assert backoff_s(attempt, transient=False) <= backoff_s(attempt, transient=True)


def test_an_overloaded_service_is_given_time() -> None:
    assert [backoff_s(n, transient=True) for n in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]
    assert [backoff_s(n, transient=False) for n in range(1, 4)] == [0.2, 0.4, 0.8]


def test_a_pause_ends_in_time_and_does_not_grow_by_as_much_as_the_clock_goes_back() -> None:
    state = NodeState(node=node("n1"), not_before=START)
    assert is_waiting(state, START - timedelta(seconds=59))
    assert not is_waiting(state, START)
    assert not is_waiting(state, START - timedelta(hours=6))
