"""A run whose work has landed and did not pass: what was found, and what is added because of it."""

from msgspec.structs import replace

from cli_multi_rapid.core.facts import FailureClass, Verdict
from cli_multi_rapid.core.ids import CheckId, NodeId, ToolName
from cli_multi_rapid.core.intents import AmendPlan, FinishRun, StartAttempt
from cli_multi_rapid.core.money import Price, parse_usd
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeFailed
from cli_multi_rapid.core.plan import FixMode, FixPolicy, Form, Node, Role
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.scheduler import Limits, decide
from cli_multi_rapid.core.tool_events import HealthStatus, ToolPinged
from cli_multi_rapid.core.verification_events import (
    Finding,
    NodeVerified,
    PlanAmended,
    PlanProposed,
    Severity,
)
from tests.fakes.sample_plans import START, commit_id, node, tree_id
from tests.fakes.small_runs import Story, bare

T, CLAUDE = ToolName("t"), ToolName("claude")
TOOLS = {
    T: ToolFacts(price=Price(free=True), agent=True),
    CLAUDE: ToolFacts(price=Price(typical=parse_usd(1)), agent=True, answers=True),
}
AUTO = Limits(tools=TOOLS, fix=FixPolicy(mode=FixMode.AUTO))
HEALTHY = ToolPinged(tool=CLAUDE, status=HealthStatus.HEALTHY, checked_at=START)

LINT = Finding(summary="E501", severity=Severity.BLOCKER, check=CheckId("lint"), evidence="a.py:1: E501")
TESTS = Finding(summary="1 failed", severity=Severity.BLOCKER, check=CheckId("tests"))
HOLE = Finding(summary="a hole", severity=Severity.MAJOR, file="src/n/a.py", line=3, node=NodeId("n"))
LEAK = Finding(summary="a leak", severity=Severity.BLOCKER, node=NodeId("n"))
TASTE = Finding(summary="a long name", severity=Severity.MINOR)


def looks(name: str, *deps: str, form: Form | None = None) -> Node:
    return replace(bare(name, *deps), role=Role.IPT, form=form)


def landed(*nodes: Node, form: Form | None = None) -> Story:
    """`n` has landed, and `look` verifies it, before the other nodes."""
    work = node("n", tool=T, est_cost=None)
    return Story(work, looks("look", "n", form=form), *nodes).tell(HEALTHY).do("n").land("n")


def verdict(story: Story, *findings: Finding, name: str = "look") -> Story:
    """The running verification comes to its end."""
    number = len(story.state.nodes[NodeId(name)].attempts)
    bad = any(finding.blocks for finding in findings)
    story.tell(
        NodeVerified(
            node_id=NodeId(name),
            attempt=number,
            commit=commit_id(number),
            tree=tree_id(number),
            verdict=Verdict.FAILED if bad else Verdict.PASSED,
            findings=findings,
        )
    )
    if not bad:
        return story.succeed(name, idle=True)
    failure = FailureClass.REJECTED
    return story.tell(
        NodeAttemptFailed(node_id=NodeId(name), attempt=number, failure=failure, reason="no"),
        NodeFailed(node_id=NodeId(name), failure=failure, reason="no"),
    )


def rejected(*findings: Finding) -> Story:
    return verdict(landed().start("look"), *findings)


def amended(story: Story, limits: Limits = AUTO) -> PlanAmended:
    """What is added now, and is."""
    (intent,) = decide(story.state, limits, START)
    assert isinstance(intent, AmendPlan)
    story.tell(intent.amended)
    return intent.amended


def ended(story: Story, limits: Limits = AUTO) -> FinishRun:
    (intent,) = decide(story.state, limits, START)
    assert isinstance(intent, FinishRun)
    return intent


def started(story: Story, limits: Limits = AUTO) -> list[str]:
    return [i.node_id for i in decide(story.state, limits, START) if isinstance(i, StartAttempt)]


PLANNED = (node("a", tool=T, est_cost=None), node("b", "a", tool=T, est_cost=None))


def planned(story: Story) -> Story:
    """The planning node makes a plan."""
    story.start("remedy-1").tell(PlanProposed(node_id=NodeId("remedy-1"), attempt=1, nodes=PLANNED))
    return story.succeed("remedy-1", idle=True)
