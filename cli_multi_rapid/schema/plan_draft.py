"""A plan as a model may write it: a part of the plan's keys, so that an answer is read as any plan is.

What starts a command, opens a door or spends money has no key here: a model names tools that exist and says
what they shall do, and our own rules do the rest.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.claims import ClaimMode
from cli_multi_rapid.core.plan import Plan, Role
from cli_multi_rapid.schema.answer_schema import a_list, a_number, a_text, a_word, an_object, texts
from cli_multi_rapid.schema.document import Document, read_document
from cli_multi_rapid.schema.nodes import NODE_KEYS
from cli_multi_rapid.schema.plan import PLAN_KEYS, parse_plan
from cli_multi_rapid.schema.problems import Code, InvalidInput, Problems
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import Items, Table

MOST_NODES: Final = 40
"""More than a person can look over before saying yes."""

_HEAD: Final = frozenset(("name", "nodes"))
_NODE: Final = frozenset(
    (
        *("id", "label", "goal", "tool", "deps", "inputs", "outputs", "path_claims", "capabilities"),
        *("priority", "estimated_duration_min"),
    )
)


def draft_schema(tools: Sequence[str], *, verify: bool = True) -> dict[str, Any]:
    """The JSON schema of an answer whose nodes are done by these tools.

    `verify`: the answer may have the verification done as well.
    """
    claim = an_object(path=a_text("A glob from the repository's root"), mode=a_word(*ClaimMode))
    node = an_object(
        id=a_text("Letters, digits, - and _; at most 64"),
        label=a_text("One line for lists and commits"),
        goal=a_text("The whole task in words: whoever does it sees nothing else of this plan"),
        tool=a_word(*tools, *((VERIFY,) if verify else ())),
        deps=texts("Ids of nodes whose work this one needs"),
        inputs=texts("Paths to read first"),
        outputs=texts("Paths that must exist afterwards; inside the claims"),
        path_claims=a_list(claim, "All that it may change"),
        capabilities=texts("What its tool must be good at, such as python, tests, docs"),
        priority=a_word("high", "medium", "low"),
        estimated_duration_min=a_number("Minutes that an agent needs for it"),
    )
    return an_object(name=a_text("The plan in a few words"), nodes=a_list(node))


def parse_draft(
    text: str,
    name: str,
    problems: Problems,
    *,
    tools: Collection[str],
    default_base: str,
    verify: bool = True,
    one_first: bool = False,
) -> Plan | None:
    """The plan of an answer, or None when it has errors, each with its place in the text.

    `name` is what messages call the text. `verify`: nodes may verify. `one_first`: all nodes must come after
    one, without which nothing of theirs can land.
    """
    plan = None
    with suppress(InvalidInput):  # too many problems to go on; they are noted
        document = read_document(text, name, problems, is_json=True)
        if document is None:
            return None
        known = {*tools, VERIFY} if verify else set(tools)
        plan = parse_plan(document, problems, known_tools=known, default_base=default_base)
        _refuse_more_keys(document, problems)
        if plan is not None:
            _check_size(plan, document, problems)
            if one_first:
                _check_first(plan, document, problems)
    return None if problems.error_count else plan


def _refuse_more_keys(document: Document, problems: Problems) -> None:
    """What plans may say and an answer may not. Keys that no plan has are refused already."""
    _refuse(document.root, _HEAD, PLAN_KEYS.spelling, document, problems)
    nodes = document.root.entries.get("nodes")
    if nodes is not None and isinstance(nodes.value, Items):
        for node in nodes.value.items:
            if isinstance(node, Table):
                _refuse(node, _NODE, NODE_KEYS.spelling, document, problems)


def _refuse(
    table: Table, allowed: Collection[str], known: Collection[str], document: Document, problems: Problems
) -> None:
    for key, entry in table.entries.items():
        if key not in allowed and (key in known or key.startswith("x-")):
            problems.report(
                Code.UNKNOWN_KEY,
                document.place(entry.key),
                f"the key {quoted(key)} is not for a planner to set",
                suggestion=f"keys are: {', '.join(sorted(allowed))}",
            )


def _check_first(plan: Plan, document: Document, problems: Problems) -> None:
    first = [node.id for node in plan.nodes if not node.deps]
    if len(first) > 1:
        place = document.place(document.root.entries["nodes"].value)
        message = (
            f"{', '.join(first)} have no deps, but nothing lands before one of them makes all checks pass"
        )
        problems.report(
            Code.BAD_VALUE,
            place,
            message,
            suggestion="have one node put all failed checks right, and let all others depend on it",
        )


def _check_size(plan: Plan, document: Document, problems: Problems) -> None:
    place = document.place(document.root.entries["nodes"].value)
    if len(plan.nodes) > MOST_NODES:
        message = f"the plan has {len(plan.nodes)} nodes, and nobody looks over more than {MOST_NODES}"
        problems.report(Code.BAD_VALUE, place, message, suggestion="put together what belongs together")
    if all(node.role is Role.IPT for node in plan.nodes):
        message = "no node of the plan changes anything"
        problems.report(Code.BAD_VALUE, place, message, suggestion="add the nodes that do the work")
