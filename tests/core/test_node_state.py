"""The table of a node's life, and what follows from where a node stands."""

from itertools import product

import pytest

from cli_multi_rapid.core.events import CATALOGUE
from cli_multi_rapid.core.ids import Commit, NodeId
from cli_multi_rapid.core.node_events import NodeReset, NodeReworkScheduled
from cli_multi_rapid.core.node_state import MERGE_DEAD, TRANSITIONS, MergeStatus, NodeState, NodeStatus
from cli_multi_rapid.core.verification_events import FindingRestored, NodeExcused, PlanAmended
from tests.fakes.sample_plans import node

FINAL = {NodeStatus.COMPLETED, NodeStatus.FAILED, NodeStatus.SKIPPED, NodeStatus.CANCELLED}


def test_only_a_person_a_fix_or_work_that_cannot_land_leads_out_of_a_final_status() -> None:
    leaving = {
        kind for (status, kind), after in TRANSITIONS.items() if status in FINAL and after is not status
    }
    assert leaving == {NodeReset, NodeReworkScheduled, PlanAmended, NodeExcused, FindingRestored}
    assert {status for status, kind in TRANSITIONS if kind is NodeReworkScheduled} == {NodeStatus.COMPLETED}


def test_every_status_but_the_derived_one_can_be_reached_from_pending() -> None:
    reached, before = {NodeStatus.PENDING}, set[NodeStatus]()
    while reached != before:
        before = set(reached)
        reached |= {after for (status, _), after in TRANSITIONS.items() if status in before}
    assert reached == set(NodeStatus) - {NodeStatus.BLOCKED}


def test_a_final_status_can_be_reached_from_everywhere() -> None:
    good = set(FINAL)
    for _ in NodeStatus:
        good |= {status for (status, _), after in TRANSITIONS.items() if after in good}
    assert good == set(NodeStatus) - {NodeStatus.BLOCKED}


def test_the_table_speaks_of_events_in_the_catalogue() -> None:
    assert {kind for _, kind in TRANSITIONS} <= set(CATALOGUE.values())


STANDINGS = list(product(NodeStatus, [None, *MergeStatus], [None, NodeId("dep")], [None, Commit("c")]))


@pytest.mark.parametrize(("status", "merged", "blocker", "head"), STANDINGS)
def test_what_follows_from_a_standing(
    status: NodeStatus, merged: MergeStatus | None, blocker: NodeId | None, head: Commit | None
) -> None:
    state = NodeState(node=node("n"), status=status, merge_status=merged, blocked_by=blocker, head=head)
    lost = status in (NodeStatus.FAILED, NodeStatus.SKIPPED, NodeStatus.CANCELLED)
    assert state.dead == (lost or blocker is not None or merged in MERGE_DEAD)
    assert state.landed == (status is NodeStatus.COMPLETED and (not head or merged is MergeStatus.MERGED))
    assert state.settled == (state.landed or (state.dead and status is not NodeStatus.RUNNING))
    hidden = blocker is not None and status in (NodeStatus.PENDING, NodeStatus.WAITING)
    assert state.shown_status is (NodeStatus.BLOCKED if hidden else status)
