"""A request to a plan by a model: what the model is told, and what our own rules make of its draft.

The model parts the work: nodes, dependencies, claims, tools. Money stays ours: a node's cost follows from the
complexity of the request and from how long the model says that the node takes, by the rule of `assessment`
with a weight between 0.3 and 2.0. With a budget the nodes share what the planning has left of it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.dag import critical_lengths
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import ZERO, MicroUsd, format_usd
from cli_multi_rapid.core.plan import Node, Plan
from cli_multi_rapid.planner.assessment import (
    VERIFY_S,
    Assessment,
    complexity_of,
    confidence_of,
    cost_of,
    duration_of,
    risk_of,
    weigh,
)
from cli_multi_rapid.planner.named_files import read_files
from cli_multi_rapid.planner.template import Request, share_budget, text_of, title_of, with_id
from cli_multi_rapid.planner.tool_choice import Toolbox, has

LIGHTEST: Final = 0.3
HEAVIEST: Final = 2.0
_MOST_FILES: Final = 300
"""Names of files that the model is shown: those that lie near what was named come first."""
_LONGEST_ANSWER: Final = 40 * 1024
_LONGEST_PROBLEMS: Final = 16 * 1024
"""Bytes of a refused draft and of its problems that the model is shown again. A prompt is one argument of a
program, which Linux bounds at 128 KiB, and what was asked stands in it too."""

_RULES: Final = """\
You plan work for coding agents on one git repository. You change nothing yourself: your answer is the plan.

Rules:
- Each node is done by one agent in a worktree of its own, at the same time as all nodes that it does not
  depend on. Part the work so that much can be done side by side, and use no more nodes than that needs.
- A node sees the work of its deps and nothing of other nodes. Its goal is all that its agent is told: say
  what is to be done, where, and how one sees that it is done.
- path_claims are globs of all that a node may change: `*` stays within one part of a path, `**` crosses
  parts. Nodes that run side by side must not claim the same paths with mode exclusive.
- Every path in outputs must lie inside the claims of its node. deps must name nodes and form no cycle.
- The tool verify runs the repository's checks on what has landed. It has no claims, no outputs, and depends
  on what it verifies; at most one node, the last, uses it.
- Who starts a program, what it may cost and where it runs is not yours to say."""


class ModelPlan(Struct, frozen=True, kw_only=True):
    """The plan, and what is expected of it."""

    plan: Plan
    assessment: Assessment


def first_prompt(
    request: Request, toolbox: Toolbox, tools: Sequence[ToolName], listing: Sequence[str]
) -> str:
    """What the model is asked. `listing`: the files of the repository."""
    budget = [] if request.budget is None else [f"The budget is {format_usd(request.budget)}."]
    named = [f"It is about: {', '.join(request.files)}"] if request.files else []
    parts = (
        _RULES,
        "\n".join(["The request:", text_of(request), *named, *budget]),
        "\n".join(["Tools:", *(_tool_line(name, toolbox) for name in tools), "- verify: the checks"]),
        "\n".join(_listing(listing, request.files)),
    )
    return "\n\n".join(part for part in parts if part)


def repair_prompt(prompt: str, answer: str, problems: Iterable[str]) -> str:
    """What the model is asked after a draft with problems. It stands for itself: sessions get lost."""
    said = _beginning("\n".join(problems), _LONGEST_PROBLEMS)
    shown = _beginning(answer, _LONGEST_ANSWER) or "(nothing of the form that was asked for)"
    return (
        f"Your plan cannot be run. Answer with the whole plan again, without these problems:\n\n{said}\n\n"
        f"Your plan was:\n{shown}\n\n"
        f"What was asked:\n{prompt}"
    )


def _beginning(text: str, most: int) -> str:
    """At most so many bytes of a text; what is left out is counted in its place."""
    data = text.encode("utf-8", "replace")
    if len(data) <= most:
        return text
    return f"{data[:most].decode('utf-8', 'ignore')}\n[... {len(data) - most} bytes are left out here ...]"


def _tool_line(name: ToolName, toolbox: Toolbox) -> str:
    config = toolbox.config_of(name)
    if config is None:
        return f"- {name}: a coding agent"
    able = f"good at {', '.join(config.capabilities)}" if config.capabilities else "a coding agent"
    price = "" if config.cost_hint is None else f"; relative price {config.cost_hint:g}"
    return f"- {name}: {able}{price}"


def _listing(files: Sequence[str], named: Sequence[str]) -> list[str]:
    if not files:
        return []
    roots = tuple(name.rstrip("*/").removeprefix("./") for name in named)
    near = [path for path in files if roots and path.startswith(roots)]
    shown = list(dict.fromkeys((*near, *files)))[:_MOST_FILES]
    more = [f"and {len(files) - len(shown)} more"] if len(files) > len(shown) else []
    return ["Files of the repository:", *shown, *more]


def plan_of_draft(
    draft: Plan, request: Request, toolbox: Toolbox, *, planner: ToolName, spent: MicroUsd
) -> ModelPlan:
    """The plan of a valid draft, with costs, limits, an id and an assessment. `spent`: by the planning."""
    text, files = text_of(request), read_files(request.files)
    factors = weigh(text, files)
    complexity = complexity_of(factors)
    work = [_timed(node, complexity) for node in draft.nodes if node.tool != VERIFY]
    costs = [_cost(node, complexity, toolbox) for node in work]
    left = None if request.budget is None else MicroUsd(max(0, request.budget - spent))
    priced = {node.id: node for node in share_budget(work, costs, left)}
    nodes = tuple(priced.get(node.id) or _verifying(node) for node in draft.nodes)
    assessment = Assessment(
        complexity=complexity,
        factors=factors,
        risk=risk_of(factors),
        capabilities=tuple(dict.fromkeys(name for node in nodes for name in node.capabilities)),
        est_cost=MicroUsd(sum(costs)),
        est_duration_s=_longest_chain(nodes),
        confidence=confidence_of(text, factors, tools_fit=all(_fits(node, toolbox) for node in work)),
    )
    plan = replace(
        draft,
        plan_id="",
        name=title_of(draft.name.strip() or text),
        nodes=nodes,
        budget=request.budget,
        created_by=str(planner),
        description=text,
    )
    return ModelPlan(plan=with_id(plan, text), assessment=assessment)


def _timed(node: Node, complexity: int) -> Node:
    expected = node.est_duration_s if node.est_duration_s else duration_of(complexity, 1.0)
    return replace(node, est_duration_s=expected)


def _cost(node: Node, complexity: int, toolbox: Toolbox) -> MicroUsd:
    weight = (node.est_duration_s or 0.0) / duration_of(complexity, 1.0)
    return cost_of(complexity, min(HEAVIEST, max(LIGHTEST, weight)), toolbox.config_of(node.tool))


def _verifying(node: Node) -> Node:
    return replace(node, est_cost=ZERO, est_duration_s=VERIFY_S)


def _fits(node: Node, toolbox: Toolbox) -> bool:
    """Whether its tool is configured for something of what the node asks for."""
    config = toolbox.config_of(node.tool)
    return config is not None and any(has(config, wanted) for wanted in node.capabilities)


def _longest_chain(nodes: Sequence[Node]) -> float:
    deps: dict[NodeId, list[NodeId]] = {node.id: list(node.deps) for node in nodes}
    lengths = critical_lengths(deps, {node.id: node.est_duration_s or 0.0 for node in nodes})
    return max(lengths.values(), default=0.0)
