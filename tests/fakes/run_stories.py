"""Whole runs with a name: what happened is the function's name, and its `History` tells it event by event."""

from collections.abc import Callable, Mapping

from cli_multi_rapid.core.facts import ChangedFile, FailureClass, RunStatus, Verdict
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.node_events import NodeCancelled, NodeReset, NodeSkipped
from cli_multi_rapid.core.plan import Approval, MergePolicy, Plan
from cli_multi_rapid.core.run_events import (
    ApprovalRequested,
    BudgetHalted,
    BudgetRefused,
    BudgetWarned,
    CommandGiven,
    RunCancelling,
)
from tests.fakes.histories import History
from tests.fakes.sample_plans import MAIN, OAUTH_IMPLIED, node, oauth_plan

PYTEST_FAILURE = "FAILED tests/test_oauth.py::test_expired_token\n\x1b[31m1 failed\x1b[0m, 41 passed in 3.20s"
COVERAGE = "src/auth.py  120  7  94%\nTOTAL        120  7  94%\n42 passed in 3.10s"

_SOURCE = (
    ChangedFile(path="src/n1/oauth.py", status="A", added=412, removed=0),
    ChangedFile(path="src/n1/base.py", status="M", added=20, removed=11),
)
_TESTS = (
    ChangedFile(path="tests/test_oauth.py", status="A", added=230, removed=0),
    ChangedFile(path="tests/test_middleware.py", status="A", added=160, removed=0),
)
_PAGES = (ChangedFile(path="docs/authentication.md", status="A", added=80, removed=0),)


def begun(approval: Approval = Approval.NONE) -> History:
    """The first node is written, checked and landed."""
    implied = OAUTH_IMPLIED if approval is Approval.NONE else ()
    history = History(oauth_plan(approval=approval)).begin(implied)
    history.wait(0.2).start("n1").wait(minutes=14).succeed("n1", files=_SOURCE, cost="0.247", tokens=8243)
    return history.merge("n1")


def running() -> History:
    """The second node is at work, and the fourth waits for it."""
    return begun().wait(1).start("n2").wait(minutes=2)


def wide(count: int) -> History:
    """A run of many independent nodes that has just begun."""
    plan = Plan(
        plan_id="wide",
        name=f"{count} at once",
        nodes=tuple(node(f"w{place}", est_cost=None) for place in range(count)),
        merge_policy=MergePolicy(target=MAIN),
        branch_base=MAIN,
    )
    return History(plan).begin()


def parallel() -> History:
    """Three independent nodes run side by side on three workers and land as one train."""
    nodes = (
        node("api"),
        node("web", tool=ToolName("cursor")),
        node("docs", tool=ToolName("shell"), est_cost=None),
    )
    plan = Plan(
        plan_id="wide",
        name="Three at once",
        nodes=nodes,
        merge_policy=MergePolicy(target=MAIN),
        branch_base=MAIN,
    )
    history = History(plan).begin(workers=3).start("api").start("web").start("docs").wait(60)
    history.succeed("docs", cost="0").wait(60).succeed("api").wait(60).succeed("web")
    return history.merge("api", "web", "docs", seconds=10).finish(RunStatus.SUCCESS, 0, "3 of 3 nodes done")


def success() -> History:
    """All four nodes are done and landed, two of them as one train with a reused verdict."""
    history = begun().wait(0.5).start("n2").wait(minutes=8).succeed("n2", files=_TESTS, cost="0.189")
    history.start("n3").wait(minutes=5).succeed("n3", files=_PAGES, cost="0.084", tokens=2100)
    history.enqueue("n2", "n3").candidate("n2", "n3").check("lint", "n2", "n3", reused=True)
    history.check("tests", "n2", "n3", seconds=45, evidence=COVERAGE)
    history.check("security", "n2", "n3", seconds=6)
    history.land("n2", "n3").start("n4").wait(minutes=3).succeed(
        "n4", cost="0", tokens=1200, summary="all good"
    )
    return history.finish(RunStatus.SUCCESS, 0, "4 of 4 nodes done")


def failed_check() -> History:
    """The tests refuse the second node's work; the verification behind it is blocked."""
    history = begun().start("n2").wait(minutes=8).succeed("n2", files=_TESTS)
    history.start("n3").wait(minutes=5).succeed("n3", files=_PAGES).enqueue("n2", "n3")
    history.candidate("n2", "n3").check("lint", "n2", "n3", seconds=3)
    history.check("tests", "n2", "n3", verdict=Verdict.FAILED, evidence=PYTEST_FAILURE)
    history.candidate("n2").check("tests", "n2", verdict=Verdict.FAILED, evidence=PYTEST_FAILURE)
    history.eject("n2", "tests", evidence=PYTEST_FAILURE)
    history.candidate("n3").check("lint", "n3", reused=True).check("tests", "n3").land("n3")
    return history.finish(RunStatus.PARTIAL, 1, "2 of 4 nodes done; not done: n2")


def conflict() -> History:
    """The second node's work does not merge."""
    history = begun().start("n2").wait(minutes=8).succeed("n2", files=_TESTS).enqueue("n2").wait(1)
    history.conflict("n2", "src/app.py", "README.md").start("n3").wait(minutes=1).succeed("n3", files=_PAGES)
    return history.merge("n3").finish(RunStatus.PARTIAL, 1, "2 of 4 nodes done; not done: n2")


def held() -> History:
    """The second node is verified, and the user's checkout is in the way."""
    history = begun().start("n2").wait(minutes=8).succeed("n2", files=_TESTS).enqueue("n2").candidate("n2")
    command = "git -C /home/ada/shop merge --ff-only 1234567"
    history.check("tests", "n2").hold(
        "n2", reason="README.md has edits that are not committed", command=command
    )
    return history.finish(RunStatus.PARTIAL, 1, "1 of 4 nodes done; not done: n2")


def timeout() -> History:
    """The first node never comes to an end; everything behind it is blocked."""
    history = History(oauth_plan()).begin(OAUTH_IMPLIED).wait(0.2).start("n1").wait(minutes=15)
    history.fail(
        "n1", "timed out after 15 min", failure=FailureClass.TIMED_OUT, evidence="still thinking ..."
    )
    return history.finish(RunStatus.FAILED, 1, "0 of 4 nodes done; not done: n1")


def retried() -> History:
    """The first node fails twice, once of a passing fault, and then succeeds with another tool."""
    history = History(oauth_plan()).begin(OAUTH_IMPLIED).wait(0.2).start("n1").wait(minutes=1)
    history.fail("n1", "the service is overloaded", failure=FailureClass.TRANSIENT, retry_in=30)
    history.wait(31).start("n1").wait(minutes=2)
    history.fail("n1", "no change was made", failure=FailureClass.NO_CHANGE, retry_in=60)
    history.wait(60).start("n1", tool="claude").wait(minutes=4).succeed("n1", files=_SOURCE)
    history.merge("n1").start("n2").wait(minutes=1).succeed("n2", files=_TESTS).merge("n2")
    history.start("n3").wait(minutes=1).succeed("n3", files=_PAGES).merge("n3")
    history.start("n4").wait(minutes=1).succeed("n4", cost="0")
    return history.finish(RunStatus.SUCCESS, 0, "4 of 4 nodes done")


def budget_stop() -> History:
    """The first node costs most of the money; no other fits."""
    history = History(oauth_plan(parse_usd(5))).begin(OAUTH_IMPLIED).wait(0.2).start("n1").wait(minutes=14)
    history.succeed("n1", files=_SOURCE, cost="4.90").merge("n1")
    spent, limit = parse_usd("4.90"), parse_usd(5)
    history.add(BudgetWarned(spent=spent, limit=limit, percent=98))
    history.add(BudgetHalted(spent=spent, limit=limit, percent=98))
    for name in ("n2", "n3"):
        history.add(
            BudgetRefused(
                node_id=NodeId(name), needed=parse_usd(1), available=parse_usd("0.10"), limit_name="run"
            )
        )
        reason = "needs $1.00, $0.10 of the run's budget is left"
        history.add(NodeSkipped(node_id=NodeId(name), reason=reason, by_budget=True))
    return history.finish(RunStatus.BUDGET_STOPPED, 3, "1 of 4 nodes done; the budget stopped the rest")


def cancelled() -> History:
    """A person called the run off while the second node was at work."""
    history = running()
    asked = history.add(CommandGiven(command="cancel", by="ada", text="wrong branch"), source="cli")
    history.add(RunCancelling(reason="cancelled by ada: wrong branch"), cause=asked.id)
    history.fail("n2", "cancelled by ada", failure=FailureClass.INTERRUPTED, final=False)
    for name in ("n2", "n3", "n4"):
        history.add(NodeCancelled(node_id=NodeId(name), reason="cancelled by ada: wrong branch"))
    return history.finish(RunStatus.CANCELLED, 1, "cancelled by ada: wrong branch")


def waiting() -> History:
    """The second node asks for approval before it starts; nothing else can go on."""
    history = begun(Approval.BEFORE)
    history.add(ApprovalRequested(node_id=NodeId("n2"), what="before"))
    history.start("n3").wait(minutes=2).succeed("n3", files=_PAGES).merge("n3")
    return history.finish(RunStatus.WAITING, 4, "2 of 4 nodes done; the rest waits for a person")


def crashed_and_resumed() -> History:
    """The process died while the second node was at work; hours later the run was taken up again."""
    history = running().wait(minutes=180).take_up(resumed=True)
    history.fail("n2", "the orchestrator died", failure=FailureClass.INTERRUPTED, cost="0", final=False)
    history.start("n2").wait(minutes=3).succeed("n2", files=_TESTS).merge("n2")
    history.start("n3").wait(minutes=2).succeed("n3", files=_PAGES).merge("n3")
    history.start("n4").wait(minutes=1).succeed("n4", cost="0")
    return history.finish(RunStatus.SUCCESS, 0, "4 of 4 nodes done")


def done_again() -> History:
    """After a refused landing a person had the node done again, and it landed."""
    history = failed_check().wait(minutes=30).take_up(resumed=True)
    asked = history.add(CommandGiven(command="retry", by="ada", node_id=NodeId("n2")), source="cli")
    history.add(NodeReset(node_id=NodeId("n2"), reason="retry asked by ada"), cause=asked.id)
    history.start("n2").wait(minutes=4).succeed("n2", files=_TESTS)
    history.merge("n2").start("n4").wait(minutes=1).succeed("n4", cost="0")
    return history.finish(RunStatus.SUCCESS, 0, "4 of 4 nodes done")


STORIES: Mapping[str, Callable[[], History]] = {
    story.__name__: story
    for story in (
        running, parallel, success, failed_check, conflict, held, timeout, retried, budget_stop, cancelled,
        waiting, crashed_and_resumed, done_again,
    )
}  # fmt: skip
"""Every story by its name."""
