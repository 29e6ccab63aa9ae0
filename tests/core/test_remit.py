"""What a fix may change: what the plan has given to those whose work was looked at, and nothing beyond."""

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.intents import AmendPlan
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.scheduler import decide
from cli_multi_rapid.core.verification_events import Finding, PlanProposed
from tests.fakes.failed_looks import (
    AUTO,
    HEALTHY,
    HOLE,
    LEAK,
    LINT,
    T,
    amended,
    ended,
    looks,
    planned,
    verdict,
)
from tests.fakes.sample_plans import START, node
from tests.fakes.small_runs import Story, bare

STRAY = replace(HOLE, file="docs/a.md", summary="a stray word")
NOBODY = Finding(summary="it is slow", severity=HOLE.severity)


def work(name: str, *paths: str, mode: ClaimMode = ClaimMode.EXCLUSIVE) -> Node:
    claims = tuple(PathClaim(path=path, mode=mode) for path in paths)
    return node(name, tool=T, est_cost=None, path_claims=claims)


def looked_at(*nodes: Node, found: tuple[Finding, ...], beside: Node | None = None) -> Story:
    """All of these have landed, and `look` has found something in their work."""
    more = [beside] if beside else []
    story = Story(*nodes, *more, looks("look", *(each.id for each in nodes))).tell(HEALTHY)
    for each in (*nodes, *more):
        story.do(each.id).land(each.id)
    return verdict(story.start("look"), *found)


def claimed(story: Story) -> list[list[str]]:
    return [[claim.path for claim in fix.path_claims] for fix in amended(story).nodes]


N, M = work("n", "src/n/**"), work("m", "docs/**", "lib/a[[]1].py")


def test_the_file_of_another_node_that_was_looked_at_may_be_changed_too() -> None:
    strange = replace(STRAY, file="lib/a[1].py")
    assert claimed(looked_at(N, M, found=(STRAY, strange))) == [
        ["src/n/**", "docs/a.md"],
        ["src/n/**", "lib/a[[]1].py"],
    ]


def test_what_nobody_may_change_is_for_a_person() -> None:
    end = ended(looked_at(N, found=(STRAY,), beside=M))
    assert (end.status, end.exit_code) == (RunStatus.WAITING, 4)
    assert "no node of the plan may change it, so a person must: docs/a.md:3: a stray word" in end.reason


def test_the_rest_is_put_right_and_the_reason_says_what_is_left_for_a_person() -> None:
    story = looked_at(N, found=(STRAY, HOLE))
    added = amended(story)
    assert [fix.path_claims for fix in added.nodes] == [N.path_claims]
    assert "a stray word" not in added.nodes[0].goal
    assert "so a person must: docs/a.md:3: a stray word" in added.reason
    assert added.fixes[0].findings[0].number == 2
    story.do("fix-1-1").land("fix-1-1")
    assert ended(verdict(story.start("look"), STRAY)).exit_code == 4


def test_without_a_file_and_a_node_all_may_be_changed_that_was_looked_at() -> None:
    assert claimed(looked_at(N, M, found=(NOBODY, LINT))) == [["src/n/**", "docs/**", "lib/a[[]1].py"]] * 2


def test_a_node_that_claims_nothing_may_change_everything_and_so_may_its_fix() -> None:
    assert claimed(looked_at(bare("n"), M, found=(STRAY, LINT))) == [[], []]
    stray = replace(STRAY, file="elsewhere.txt", node=NodeId("m"))
    assert claimed(looked_at(bare("n"), M, found=(stray,))) == [["docs/**", "lib/a[[]1].py", "elsewhere.txt"]]


def test_what_may_only_be_read_is_nobodys_to_change() -> None:
    reader = work("n", "src/**", mode=ClaimMode.READ)
    assert ended(looked_at(reader, found=(HOLE, LINT))).exit_code == 4


@pytest.mark.parametrize("name", ["src/n/a\\b.py", "src/n/{a,b}.py", "src/n/a\x07.py"])
def test_a_file_that_no_claim_can_name_is_put_right_within_the_claims_of_its_node(name: str) -> None:
    assert claimed(looked_at(N, found=(replace(HOLE, file=name),))) == [["src/n/**"]]


def test_a_later_round_may_change_no_more_than_the_first() -> None:
    story = looked_at(N, found=(LINT,))
    (fix,) = amended(story).nodes
    story.do(fix.id).land(fix.id)
    verdict(story.start("look"), replace(STRAY, node=fix.id), replace(LEAK, node=fix.id))
    assert claimed(story) == [["src/n/**"]]


def test_a_fix_of_an_earlier_release_that_claims_nothing_gives_nothing_to_the_next() -> None:
    story = looked_at(N, found=(LINT,))
    (intent,) = decide(story.state, AUTO, START)
    assert isinstance(intent, AmendPlan)
    free = [replace(each, path_claims=()) for each in intent.amended.nodes]
    story.tell(replace(intent.amended, nodes=tuple(free))).do(free[0].id).land(free[0].id)
    verdict(story.start("look"), replace(NOBODY, node=free[0].id))
    assert claimed(story) == [["src/n/**"]]


def test_who_plans_is_told_what_may_be_claimed_and_held_to_it() -> None:
    story = looked_at(N, found=(HOLE, LEAK, NOBODY, STRAY))
    (plan,) = amended(story).nodes
    assert "The claims of every node lie inside: src/n/**" in plan.goal
    assert "a stray word" not in plan.goal
    more = replace(work("a", "src/n/x.py", "src/**"), tool=T)
    story.start(plan.id).tell(PlanProposed(node_id=plan.id, attempt=1, nodes=(more, work("b", "src/n/y.py"))))
    assert claimed(story.succeed(plan.id, idle=True)) == [["src/n/**"], ["src/n/y.py"]]


def test_a_plan_within_the_claims_is_added_as_it_is() -> None:
    story = looked_at(work("n", "src/**"), found=(HOLE, LEAK, NOBODY))
    amended(story)
    assert claimed(planned(story)) == [["src/a/**"], ["src/b/**"]]
