"""A request to a plan by rules: no model, no network, and the same plan for the same request.

The files that are named decide which nodes there are:

- `implement` when code or configuration is named, or nothing at all. It claims what is named.
- `tests` when tests or code are named. It claims the named tests, else where the language keeps its tests,
  such as `tests/**`. After `implement`.
- `docs` when documents or code are named. It claims the named documents, else `docs/**` and `README.md`.
  After `implement`, beside `tests`.
- `verify` always: the built-in verification of what has landed, after all others.

A request without files is one `implement` without claims, which runs optimistically.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.claims import PathClaim
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, NodeId
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.plan import MergePolicy, Node, Plan, Role
from cli_multi_rapid.planner.assessment import (
    VERIFY_S,
    Assessment,
    Factor,
    complexity_of,
    confidence_of,
    cost_of,
    duration_of,
    risk_of,
    weigh,
)
from cli_multi_rapid.planner.named_files import (
    FileKind,
    NamedFile,
    claims_of,
    exclusive,
    read_files,
    test_places,
)
from cli_multi_rapid.planner.tool_choice import CODE, DOCS, SECURITY, TESTS, Toolbox, ToolPick, choose_tool
from cli_multi_rapid.schema.plan_document import plan_to_document
from cli_multi_rapid.schema.source import printable

_LONGEST_SLUG: Final = 40
_LONGEST_TITLE: Final = 60
_UNWRITABLE: Final = re.compile("[\x00\ud800-\udfff]")


class Request(Struct, frozen=True, kw_only=True):
    """What a person asks for."""

    text: str
    target: Branch
    files: tuple[str, ...] = ()
    """Paths, folders (with a `/` at the end) or globs from the repository's root."""
    budget: MicroUsd | None = None
    languages: tuple[str, ...] = ()
    """Of the repository, the main one first: used when the named files tell none."""


class Choice(Struct, frozen=True, kw_only=True):
    """Which tool does a node, and why."""

    node_id: NodeId
    pick: ToolPick


class TemplatePlan(Struct, frozen=True, kw_only=True):
    """The plan, and the thoughts behind it."""

    plan: Plan
    assessment: Assessment
    choices: tuple[Choice, ...]


class _Part(Struct, frozen=True, kw_only=True):
    """A node that an agent will do."""

    id: str
    verb: str
    goal: str
    main: tuple[str, ...]
    """The capabilities of which the first that a tool has decides."""
    claims: tuple[PathClaim, ...]
    inputs: tuple[str, ...]
    deps: tuple[str, ...]
    weight: float
    priority: int
    extra: tuple[str, ...] = ()
    """Capabilities that the tool had better have as well."""


class _Planned(Struct, frozen=True, kw_only=True):
    """A part with its tool and what it is expected to cost."""

    part: _Part
    pick: ToolPick
    cost: MicroUsd


def plan_request(request: Request, toolbox: Toolbox) -> TemplatePlan:
    """Make the plan. Raises `UserError` for an empty request and for files that cannot be paths.

    With a budget, `max_cost` shares it out by the expected costs, and no `est_cost` is above its share: the
    sums of both are never above the budget. `Assessment.est_cost` keeps what was expected without it. A node
    whose share is nothing keeps its expected cost, and so can never start.
    """
    text = text_of(request)
    files = read_files(request.files)
    factors = weigh(text, files)
    complexity = complexity_of(factors)
    planned = [_assign(part, complexity, toolbox) for part in _parts(text, files, factors, request)]
    work = [_node(item, text, complexity) for item in planned]
    nodes = [*share_budget(work, [item.cost for item in planned], request.budget), _verify(text, work)]
    assessment = Assessment(
        complexity=complexity,
        factors=factors,
        risk=risk_of(factors),
        capabilities=tuple(dict.fromkeys(name for node in nodes for name in node.capabilities)),
        est_cost=MicroUsd(sum(item.cost for item in planned)),
        est_duration_s=_duration(nodes),
        confidence=confidence_of(text, factors, tools_fit=all(item.pick.fits for item in planned)),
    )
    choices = tuple(Choice(node_id=NodeId(item.part.id), pick=item.pick) for item in planned)
    return TemplatePlan(plan=_plan(text, nodes, request), assessment=assessment, choices=choices)


def text_of(request: Request) -> str:
    """The words of a request. Raises `UserError` when there are none."""
    # A terminal that does not speak UTF-8 gives half characters, which no document can hold.
    text = _UNWRITABLE.sub("�", request.text).strip()
    if not text:
        raise UserError("the request is empty", hint='say what shall be done: --request "Add a health check"')
    return text


def _assign(part: _Part, complexity: int, toolbox: Toolbox) -> _Planned:
    pick = choose_tool(toolbox, part.main, part.extra)
    return _Planned(part=part, pick=pick, cost=cost_of(complexity, part.weight, toolbox.config_of(pick.tool)))


def _languages(files: Sequence[NamedFile], request: Request) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(file.language for file in files if file.language is not None))
    return named or request.languages[:1]


def _parts(
    text: str, files: Sequence[NamedFile], factors: Sequence[Factor], request: Request
) -> Iterator[_Part]:
    languages = _languages(files, request)
    security = any(factor.name == "security" for factor in factors)
    named = {kind: [file for file in files if file.kind is kind] for kind in FileKind}
    code = named[FileKind.CODE]
    changed = [*code, *named[FileKind.CONFIG]]
    about = tuple(file.path for file in changed)
    before: tuple[str, ...] = ()
    if changed or not files:
        yield _Part(
            id="implement",
            verb="Implement",
            goal=f"{text}{_places(about)}",
            main=(*languages, CODE),
            claims=claims_of(changed),
            inputs=about,
            deps=(),
            weight=1.0,
            priority=1,
            extra=(SECURITY,) if security else (),
        )
        before = ("implement",)
    if code or named[FileKind.TESTS]:
        yield _Part(
            id="tests",
            verb="Test",
            goal="Add or update the tests for this change, run them, and leave them passing.\n\n"
            f"The change: {text}{_places(about)}",
            main=(TESTS, *languages, CODE),
            claims=claims_of(named[FileKind.TESTS]) or exclusive(test_places(languages, claims_of(code))),
            inputs=(*about, *(file.path for file in named[FileKind.TESTS])),
            deps=before,
            weight=0.6,
            priority=2,
        )
    if code or named[FileKind.DOCS]:
        yield _Part(
            id="docs",
            verb="Document",
            goal="Bring the documentation up to date with this change: what it does, how it is used, what "
            f"users must know.\n\nThe change: {text}{_places(about)}",
            main=(DOCS, CODE),
            claims=claims_of(named[FileKind.DOCS]) or exclusive(("docs/**", "README.md")),
            inputs=(*about, *(file.path for file in named[FileKind.DOCS])),
            deps=before,
            weight=0.3,
            priority=5,
        )


def _places(paths: Sequence[str]) -> str:
    return "".join(["\n\nIt concerns:", *(f"\n- {path}" for path in paths)]) if paths else ""


def _node(planned: _Planned, text: str, complexity: int) -> Node:
    part = planned.part
    return Node(
        id=NodeId(part.id),
        label=f"{part.verb}: {title_of(text)}",
        tool=planned.pick.tool,
        goal=part.goal,
        inputs=part.inputs,
        path_claims=part.claims,
        deps=tuple(NodeId(dep) for dep in part.deps),
        capabilities=(part.main[0], *part.extra),
        priority=part.priority,
        est_duration_s=duration_of(complexity, part.weight),
    )


def _verify(text: str, others: Sequence[Node]) -> Node:
    return Node(
        id=NodeId("verify"),
        label=f"Verify: {title_of(text)}",
        tool=VERIFY,
        role=Role.IPT,
        goal=f"Check that what has landed is sound.\n\nThe change: {text}",
        deps=tuple(node.id for node in others),
        priority=10,
        est_cost=ZERO,
        est_duration_s=VERIFY_S,
    )


def share_budget(nodes: Sequence[Node], costs: Sequence[MicroUsd], budget: MicroUsd | None) -> list[Node]:
    """The nodes with expected costs and, given a budget, limits that together stay within it."""
    total = sum(costs)
    if budget is None or not total:
        return [replace(node, est_cost=cost) for node, cost in zip(nodes, costs, strict=True)]
    found: list[Node] = []
    for node, cost in zip(nodes, costs, strict=True):
        share = MicroUsd(budget * cost // total)
        # With nothing to spend, a cost of nothing would let the node start.
        expected = MicroUsd(min(cost, share)) if share else cost
        found.append(replace(node, est_cost=expected, max_cost=share))
    return found


def _duration(nodes: Sequence[Node]) -> float:
    """`implement`, then the longer of what runs beside each other, then `verify`."""
    ends: dict[NodeId, float] = {}
    for node in nodes:  # each comes after its dependencies
        ends[node.id] = (node.est_duration_s or 0.0) + max((ends[dep] for dep in node.deps), default=0.0)
    return max(ends.values())


def _plan(text: str, nodes: Sequence[Node], request: Request) -> Plan:
    plan = Plan(
        plan_id="",
        name=title_of(text),
        nodes=tuple(nodes),
        merge_policy=MergePolicy(target=request.target),
        budget=request.budget,
        branch_base=request.target,
        created_by="template",
        description=text,
    )
    return with_id(plan, text)


def with_id(plan: Plan, text: str) -> Plan:
    """The plan under an id that tells its request and belongs to this content alone."""
    content = json.dumps(plan_to_document(plan), sort_keys=True)
    return replace(plan, plan_id=f"{slug(text)}-{sha256(content.encode()).hexdigest()[:8]}")


def slug(text: str) -> str:
    """The first words of a text as a part of an id: `add-oauth2-login`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) > _LONGEST_SLUG:
        cut = words[: _LONGEST_SLUG + 1]
        words = cut.rsplit("-", 1)[0] if "-" in cut else cut[:-1]
    return words or "request"


def title_of(text: str) -> str:
    """The request in one short line."""
    line = " ".join(printable(text.splitlines()[0]).split())
    return line if len(line) <= _LONGEST_TITLE else line[: _LONGEST_TITLE - 1].rsplit(" ", 1)[0] + "…"
