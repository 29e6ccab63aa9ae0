"""The tool for the next attempt, and the reason: the plan's, a stand-in, or the cheapest healthy one."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from hypothesis import given
from msgspec.structs import replace

from cli_multi_rapid.core.breaker import Breaker
from cli_multi_rapid.core.capabilities import capabilities
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.node_state import Attempt, NodeState
from cli_multi_rapid.core.plan import ShellLine
from cli_multi_rapid.core.retry import worn_out
from cli_multi_rapid.core.routing import AUTO, ToolFacts, chain
from cli_multi_rapid.core.selection import Choice, Later, Nobody, Scene, choose, next_fallback
from cli_multi_rapid.core.tool_book import ToolBook
from cli_multi_rapid.core.tool_events import BreakerOpened, HealthStatus, ToolPinged
from tests.core.test_routing import names, table, tables
from tests.fakes.sample_plans import START, node

CLAUDE, AIDER, CODEX = map(ToolName, ("claude", "aider", "codex"))


def agent(hint: float | None = None, *can: str, limit: int | None = None, fallback: str = "") -> ToolFacts:
    return ToolFacts(
        price=Price(),
        agent=True,
        described=True,
        cost_hint=hint,
        capabilities=capabilities(can),
        limit=limit,
        fallback=tuple(map(ToolName, fallback.split())),
    )


AGENTS = {CLAUDE: agent(1.0, "edit"), AIDER: agent(0.6, "edit"), CODEX: agent(0.1, "edit")}


def scene(
    tools: Mapping[ToolName, ToolFacts] = AGENTS,
    *pings: ToolPinged,
    in_use: Mapping[ToolName, int] | None = None,
    breakers: Mapping[ToolName, Breaker] | None = None,
) -> Scene:
    book = ToolBook(
        pings={ping.tool: ping for ping in pings},
        breakers=dict(breakers or {}),
    )
    return Scene(tools=tools, book=book, in_use=Counter(in_use or {}), now=START)


def ping(
    tool: ToolName,
    status: HealthStatus = HealthStatus.HEALTHY,
    ms: int | None = None,
    reason: str = "",
    age: float = 3,
) -> ToolPinged:
    return ToolPinged(
        tool=tool,
        status=status,
        checked_at=START - timedelta(seconds=age),
        response_time_ms=ms,
        reason=reason,
    )


def opened(seconds: float, failure: FailureClass = FailureClass.TRANSIENT, *, trial: str = "") -> Breaker:
    """A breaker that lets a trial through so many seconds from now."""
    breaker = Breaker(last=failure)
    until = START + timedelta(seconds=seconds)
    breaker.open(
        BreakerOpened(tool=AIDER, until=until, failures=3, failure=failure, reason="3 failures, the last: x")
    )
    breaker.trial = NodeId(trial) if trial else None
    return breaker


def open_choice(*can: str) -> NodeState:
    return NodeState(node=node("n", tool=AUTO, capabilities=can or ("edit",)))


def tried(*tools: str, first: str = "a", failure: FailureClass | None = None, **more: object) -> NodeState:
    attempts = [
        Attempt(
            number=number,
            tool=ToolName(tool),
            started_at=START,
            slot="",
            log="",
            reason="",
            failure=failure,
            outcome="no",
        )
        for number, tool in enumerate(tools, 1)
    ]
    return NodeState(node=node("n", tool=ToolName(first), **more), attempts=attempts, tries=len(attempts))


# --- the plan names the tool --------------------------------------------------------------------------------


def test_the_plans_tool_is_taken_until_the_chain_moves_on() -> None:
    state, around = tried("a"), scene(table(a="b"))
    assert choose(state, around) == Choice(tool=ToolName("a"), reason="named by the plan")
    state.next_tool = ToolName("b")
    found = choose(state, around, worn={ToolName("a")})
    assert found == Choice(tool=ToolName("b"), reason="fallback of a, after a failed: no")
    state.next_tool = ToolName("a")
    assert choose(state, around) == Choice(tool=ToolName("a"), reason="named by the plan")


@given(tables, names)
def test_every_tool_of_the_chain_has_its_turn_once(
    tools: Mapping[ToolName, ToolFacts], first: ToolName
) -> None:
    turns = [first]
    while True:
        state = tried(*turns, first=first, failure=FailureClass.REFUSED)
        following = next_fallback(state, scene(tools), worn_out(state, 2))
        if following is None:
            break
        turns.append(following)
    assert tuple(turns) == chain(first, tools)


def test_a_node_that_was_reset_goes_through_the_chain_again() -> None:
    state = tried("a", "b", "a", failure=FailureClass.REFUSED)
    assert next_fallback(state, scene(table(a="b")), worn_out(state, 2)) is None
    state.tries = 1
    assert next_fallback(state, scene(table(a="b")), worn_out(state, 2)) == "b"


def test_a_command_has_no_stand_in_and_no_breaker() -> None:
    work = tried("shell", first="shell", work=ShellLine(run="true"))
    tools = {ToolName("shell"): ToolFacts(price=Price(free=True), fallback=(AIDER,), limit=1)}
    around = scene(tools, breakers={ToolName("shell"): opened(9)})
    assert next_fallback(work, around) is None
    assert choose(work, around) == Choice(tool=ToolName("shell"), reason="named by the plan")
    assert choose(work, scene(tools, in_use={ToolName("shell"): 1})) == Later()


def test_an_unhealthy_tool_is_replaced_by_its_fallback_and_the_reason_tells_the_ping() -> None:
    tools = {CLAUDE: agent(fallback="aider"), AIDER: agent()}
    state = NodeState(node=node("n", tool=CLAUDE))
    found = choose(state, scene(tools, ping(CLAUDE, HealthStatus.UNHEALTHY, reason="not found")))
    why = "fallback of claude; claude skipped: unhealthy (ping 3 s ago: not found)"
    assert found == Choice(tool=AIDER, reason=why)


def test_a_ping_of_ten_minutes_ago_says_nothing_any_more() -> None:
    tools = {CLAUDE: agent(fallback="aider"), AIDER: agent()}
    old = ping(CLAUDE, HealthStatus.UNHEALTHY, age=601)
    assert choose(NodeState(node=node("n", tool=CLAUDE)), scene(tools, old)) == Choice(
        tool=CLAUDE, reason="named by the plan"
    )


def test_the_only_tool_is_asked_although_it_did_not_answer_a_ping() -> None:
    found = choose(
        NodeState(node=node("n", tool=CLAUDE)),
        scene({CLAUDE: agent()}, ping(CLAUDE, HealthStatus.UNHEALTHY, reason="not found")),
    )
    assert isinstance(found, Choice)
    assert found.reason.startswith("nothing better is left; claude skipped: unhealthy")


def test_a_named_tool_that_is_busy_is_waited_for() -> None:
    tools = {CLAUDE: agent(limit=1, fallback="aider"), AIDER: agent()}
    assert choose(NodeState(node=node("n", tool=CLAUDE)), scene(tools, in_use={CLAUDE: 1})) == Later()


# --- the choice is open -------------------------------------------------------------------------------------


def test_the_cheapest_healthy_tool_with_the_capability_is_taken_and_the_reason_names_all() -> None:
    tools = {**AGENTS, ToolName("writer"): agent(0.0, "docs")}
    found = choose(open_choice(), scene(tools, ping(CODEX, HealthStatus.UNHEALTHY, reason="not found")))
    assert found == Choice(
        tool=AIDER,
        reason="cheapest healthy of aider, claude with `edit`; "
        "codex skipped: unhealthy (ping 3 s ago: not found)",
    )


def test_of_two_at_one_price_the_quicker_answers_and_a_degraded_one_comes_last() -> None:
    tools = {CLAUDE: agent(1.0, "edit"), AIDER: agent(1.0, "edit")}
    quick = choose(open_choice(), scene(tools, ping(CLAUDE, ms=45), ping(AIDER, ms=120)))
    assert isinstance(quick, Choice)
    assert quick.tool == CLAUDE
    slow = ping(CLAUDE, HealthStatus.DEGRADED, ms=45, reason="high latency")
    healthy = choose(open_choice(), scene({**tools, AIDER: agent(9.0, "edit")}, slow))
    assert isinstance(healthy, Choice)
    assert healthy.tool == AIDER
    degraded = choose(open_choice(), scene({CLAUDE: agent(1.0, "edit")}, slow))
    assert degraded == Choice(tool=CLAUDE, reason="the only tool with `edit`, degraded: high latency")


def test_an_unknown_price_is_the_dearest_and_a_free_tool_the_cheapest() -> None:
    free = replace(agent(None, "edit"), price=Price(free=True))
    for tools, wins in (
        ({CLAUDE: agent(None, "edit"), AIDER: agent(50.0, "edit")}, AIDER),
        ({CLAUDE: free, AIDER: agent(0.1, "edit")}, CLAUDE),
    ):
        found = choose(open_choice(), scene(tools))
        assert isinstance(found, Choice)
        assert found.tool == wins


def test_a_busy_tool_makes_way_for_the_next_best_when_the_plan_names_none() -> None:
    tools = {**AGENTS, CODEX: agent(0.1, "edit", limit=1)}
    found = choose(open_choice(), scene(tools, in_use={CODEX: 1}))
    assert isinstance(found, Choice)
    assert found.tool == AIDER
    assert found.reason.endswith("codex skipped: busy (1 of 1)")
    assert choose(open_choice(), scene({CODEX: tools[CODEX]}, in_use={CODEX: 1})) == Later()


def test_what_nobody_can_do_is_said_and_what_nobody_has_keeps_nobody_from_the_rest() -> None:
    found = choose(open_choice("painting"), scene())
    assert found == Nobody(
        failure=FailureClass.TOOL_MISSING, reason="config/tools.yaml describes no agent with `painting`"
    )
    partly = choose(open_choice("edit", "painting"), scene({AIDER: AGENTS[AIDER]}))
    assert partly == Choice(tool=AIDER, reason="the only healthy tool with `edit` (nobody has `painting`)")


def test_a_retry_stays_with_the_tool_that_has_begun() -> None:
    state = tried("claude", first="auto", failure=FailureClass.TRANSIENT, capabilities=("edit",))
    assert choose(state, scene()) == Choice(tool=CLAUDE, reason="tried again with the same tool")
    assert next_fallback(state, scene()) == CODEX


def test_a_tool_that_has_had_its_tries_is_not_taken_again_although_it_is_the_cheapest() -> None:
    state = tried("codex", first="auto", failure=FailureClass.TOOL_FAILED, capabilities=("edit",))
    found = choose(state, scene(), worn=(CODEX,))
    assert isinstance(found, Choice)
    assert found.tool == AIDER
    assert isinstance(choose(state, scene(), worn=(CODEX, AIDER, CLAUDE)), Nobody)


# --- breakers -----------------------------------------------------------------------------------------------


def test_another_tool_takes_over_while_a_breaker_is_open() -> None:
    found = choose(open_choice(), scene(AGENTS, breakers={CODEX: opened(20)}))
    assert isinstance(found, Choice)
    assert found.tool == AIDER
    assert found.reason.endswith("codex skipped: its breaker is open (3 failures, the last: x)")


def test_a_node_without_another_tool_waits_for_the_trial_or_gives_up_when_that_is_hopeless() -> None:
    tools = {AIDER: AGENTS[AIDER]}
    assert choose(open_choice(), scene(tools, breakers={AIDER: opened(20)})) == Later(
        until=START + timedelta(seconds=20)
    )
    found = choose(open_choice(), scene(tools, breakers={AIDER: opened(20, FailureClass.REFUSED)}))
    assert isinstance(found, Nobody)
    assert found.failure is FailureClass.REFUSED
    assert "3 failures, the last: x" in found.reason


def test_of_two_nodes_only_one_is_the_trial() -> None:
    around = scene({AIDER: AGENTS[AIDER]}, breakers={AIDER: opened(0)})
    found = choose(open_choice(), around)
    assert isinstance(found, Choice)
    assert found.reason.endswith("; the one trial after its breaker opened")
    around.take(AIDER)
    assert choose(open_choice(), around) == Later()
    assert (
        choose(open_choice(), scene({AIDER: AGENTS[AIDER]}, breakers={AIDER: opened(0, trial="n1")}))
        == Later()
    )
