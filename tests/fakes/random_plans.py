"""Small plans of every shape, from a seed."""

from random import Random

from msgspec.structs import replace

from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import MicroUsd, Price
from cli_multi_rapid.core.plan import (
    Approval,
    MergePolicy,
    MergeWhen,
    Node,
    Plan,
    Prompt,
    Role,
    RollbackPolicy,
    ShellLine,
)
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.scheduler import Limits
from tests.fakes.sample_plans import MAIN

_PATHS = ("src/**", "src/a/**", "src/a/x.py", "src/b/**", "src/*.py", "docs/**", "**/*.md")
_TOOLS = ("claude", "aider", "shell")


def random_plan(random: Random, *, most: int = 9, asks: bool = True, priced: bool = True) -> Plan:
    """A plan of up to `most` nodes. `asks`: some need consent; `priced`: some name what they cost."""
    names = [f"n{number}" for number in range(1, random.randint(1, most) + 1)]
    nodes = tuple(
        _node(random, name, names[:place], asks=asks, priced=priced) for place, name in enumerate(names)
    )
    return Plan(
        plan_id="p",
        name="p",
        nodes=tuple(random.sample(nodes, len(nodes))),
        merge_policy=MergePolicy(
            target=MAIN,
            when=random.choice(list(MergeWhen)),
            auto_merge=not asks or random.random() < 0.9,
        ),
        rollback_policy=RollbackPolicy(max_retry_attempts=random.randint(0, 2)),
        budget=MicroUsd(random.randint(0, 30_000_000)) if priced and random.random() < 0.5 else None,
        branch_base=MAIN,
    )


def large_plan(random: Random, size: int) -> Plan:
    """A plan of so many nodes: most work in files of their own and depend on little, so that most come to
    their turn whatever happens to others."""
    names = [f"n{number}" for number in range(1, size + 1)]
    nodes = []
    for place, name in enumerate(names):
        before = names[max(0, place - 3) : place] if random.random() < 0.4 else []
        odd = random.random() < 0.05
        node = _node(random, name, before, asks=odd, priced=odd)
        own = PathClaim(path=f"parts/{name}.py", mode=ClaimMode.EXCLUSIVE)
        nodes.append(replace(node, retries=None, path_claims=node.path_claims if odd else (own,)))
    return Plan(
        plan_id="large",
        name="large",
        nodes=tuple(random.sample(nodes, size)),
        merge_policy=MergePolicy(target=MAIN, when=random.choice(list(MergeWhen))),
        rollback_policy=RollbackPolicy(max_retry_attempts=2),
        budget=MicroUsd(random.randint(1, 3) * size * 1_000_000) if random.random() < 0.5 else None,
        branch_base=MAIN,
    )


def _node(random: Random, name: str, before: list[str], *, asks: bool, priced: bool) -> Node:
    role = Role.IPT if random.random() < 0.2 else Role.WT
    tool = "verify" if role is Role.IPT and random.random() < 0.5 else random.choice(_TOOLS)
    deps = random.sample(before, min(len(before), random.choice([0, 1, 1, 2, 3])))
    est, top = (MicroUsd(random.randint(0, 4_000_000)) for _ in range(2))
    return Node(
        id=NodeId(name),
        label=name,
        tool=ToolName(tool),
        role=role,
        work=ShellLine(run="true") if tool == "shell" else Prompt(),
        path_claims=tuple(
            PathClaim(path=random.choice(_PATHS), mode=random.choice(list(ClaimMode)))
            for _ in range(random.choice([0, 1, 1, 2]))
        ),
        deps=tuple(map(NodeId, deps)),
        priority=random.randint(0, 2),
        est_cost=est if priced and random.random() < 0.4 else None,
        max_cost=top if priced and random.random() < 0.3 else None,
        est_duration_s=random.choice([None, 5.0, 500.0]),
        retries=random.choice([None, None, 0, 1, 3]),
        approval=random.choice(list(Approval)) if asks and random.random() < 0.3 else Approval.NONE,
    )


def random_limits(random: Random, *, priced: bool = True) -> Limits:
    """Workers, tools and money."""
    tools = {
        "claude": ToolFacts(
            price=Price(typical=MicroUsd(random.randint(0, 2_000_000))),
            fallback=(ToolName("aider"),),
            limit=random.choice([None, 1, 2]),
            agent=True,
        ),
        "aider": ToolFacts(
            price=Price(known=not priced or random.random() < 0.8),
            fallback=(ToolName("claude"),) if random.random() < 0.5 else (),
            limit=random.choice([None, 1]),
            agent=True,
        ),
        "shell": ToolFacts(price=Price(free=True)),
        "verify": ToolFacts(price=Price(free=True)),
    }
    return Limits(
        workers=random.randint(1, 4),
        tools={ToolName(name): facts for name, facts in tools.items()},
        budget=BudgetRules(
            node_limit=MicroUsd(random.randint(0, 3_000_000)),
            day_limit=MicroUsd(random.randint(0, 30_000_000)) if priced and random.random() < 0.2 else None,
            day_spent=MicroUsd(random.randint(0, 5_000_000)),
            allow_unpriced=random.random() < 0.3,
        ),
        fail_fast=random.random() < 0.15,
    )
