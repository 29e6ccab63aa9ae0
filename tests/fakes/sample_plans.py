"""Plans, ids and times that tests build runs of."""

from datetime import UTC, datetime
from hashlib import sha1

from cli_multi_rapid.core.claims import ClaimMode, PathClaim
from cli_multi_rapid.core.facts import ImpliedEdge
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, NodeId, RunId, ToolName, Tree
from cli_multi_rapid.core.money import MicroUsd, parse_usd
from cli_multi_rapid.core.plan import Approval, MergePolicy, Node, Plan, Role

START = datetime(2025, 10, 3, 14, 5, 30, tzinfo=UTC)
RUN = RunId("r1003-oauth2")
MAIN = Branch("main")
BUDGET = parse_usd(15)


def commit_id(*parts: object) -> Commit:
    """A full id that depends on nothing but its parts."""
    return Commit(sha1(repr(("commit", *parts)).encode(), usedforsecurity=False).hexdigest())


def tree_id(*parts: object) -> Tree:
    """Like `commit_id`, for a tree."""
    return Tree(sha1(repr(("tree", *parts)).encode(), usedforsecurity=False).hexdigest())


def node(name: str, *deps: str, **more: object) -> Node:
    """A node with sensible contents; `more` are fields of `Node`."""
    fields: dict[str, object] = {
        "id": NodeId(name),
        "label": f"Do {name}",
        "tool": ToolName("aider"),
        "deps": tuple(NodeId(dep) for dep in deps),
        "path_claims": (PathClaim(path=f"src/{name}/**", mode=ClaimMode.EXCLUSIVE),),
        "est_cost": parse_usd(1),
        **more,
    }
    return Node(**fields)  # type: ignore[arg-type]  # fields by name, given by the test


def oauth_plan(budget: MicroUsd | None = BUDGET, *, approval: Approval = Approval.NONE) -> Plan:
    """Four nodes: middleware, then tests and docs beside each other, then a verification of the result."""
    return Plan(
        plan_id="oauth2",
        name="OAuth2 Implementation",
        nodes=(
            node("n1", label="Implement OAuth2 Middleware", est_cost=parse_usd(4)),
            node("n2", "n1", label="Add Comprehensive Tests", approval=approval),
            node("n3", "n1", label="Update Documentation", tool=ToolName("cursor")),
            node("n4", "n1", "n2", label="Final Verification", tool=ToolName("claude"), role=Role.IPT),
        ),
        merge_policy=MergePolicy(target=MAIN, checklist=(CheckId("lint"), CheckId("tests"))),
        budget=budget,
        branch_base=MAIN,
    )


OAUTH_IMPLIED = (ImpliedEdge(before=NodeId("n2"), after=NodeId("n3"), reason="both may write README.md"),)
