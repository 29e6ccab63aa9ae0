"""A review is of work that has landed; where none has, nobody is paid to look."""

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.intents import ExcuseNode, StartAttempt
from cli_multi_rapid.core.plan import Approval, Form, Node
from cli_multi_rapid.core.run_facts import facts_of
from cli_multi_rapid.core.scheduler import decide
from tests.fakes.failed_looks import AUTO, CLAUDE, HEALTHY, T, ended, landed, looks, started
from tests.fakes.sample_plans import START, node
from tests.fakes.small_runs import Story, bare

WORK = node("n", tool=T, est_cost=None)


def review(*deps: str) -> Node:
    return replace(looks("look", *deps, form=Form.REVIEW), tool=CLAUDE)


def excused(story: Story) -> str:
    """The review is not started; why."""
    (intent,) = decide(story.state, AUTO, START)
    assert isinstance(intent, ExcuseNode)
    story.tell(*facts_of(intent, story.state.ledger))
    assert story.state.ledger.reserved == 0
    return story.state.nodes[NodeId("look")].reason


@pytest.mark.parametrize("approval", [Approval.NONE, Approval.BEFORE])
def test_a_review_of_work_that_changed_nothing_is_neither_asked_about_nor_paid(approval: Approval) -> None:
    after = replace(bare("after", "look"), tool=T)
    story = Story(WORK, replace(review("n"), approval=approval), after).tell(HEALTHY).do("n", idle=True)
    assert excused(story).startswith("not started: nothing of the work before it has landed")
    assert started(story) == ["after"]
    story.do("after", idle=True)
    assert ended(story).exit_code == 0


def test_a_review_that_comes_after_no_work_is_not_started() -> None:
    story = Story(review()).tell(HEALTHY)
    assert "nothing to review" in excused(story)


def test_work_that_is_further_back_is_reviewed_too() -> None:
    story = landed(replace(bare("idle", "n"), tool=T), replace(review("idle"), id=NodeId("far")))
    story.start("look").succeed("look", idle=True).do("idle", idle=True)
    (intent,) = decide(story.state, AUTO, START)
    assert isinstance(intent, StartAttempt)
    assert intent.node_id == "far"
