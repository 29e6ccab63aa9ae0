"""A plan file to a `Plan`, or to every problem that it has."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.core.verifying import verifies
from cli_multi_rapid.schema.collector import collector_paused
from cli_multi_rapid.schema.document import Document
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.nodes import ParsedNode, read_node
from cli_multi_rapid.schema.params import names_in
from cli_multi_rapid.schema.plan_head import HEAD_KEYS, declared_params, read_head, read_params
from cli_multi_rapid.schema.plan_rules import check_nodes
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.reading import Reading, Text
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import Items, Table, Value
from cli_multi_rapid.schema.verification import check_plans_fixer, check_verified

PLAN_KEYS: Final = keys(f"{HEAD_KEYS} params nodes execution_order", rollback_policy="rollback")


@collector_paused()
def parse_plan(
    document: Document,
    problems: Problems,
    *,
    known_tools: Collection[str] | None = None,
    known_checks: Collection[str] = (),
    params: Mapping[str, str] | None = None,
    default_base: str = "main",
) -> Plan | None:
    """The plan of a document, or None when it has errors.

    `known_tools`: names that nodes may use, None when any name goes; `known_checks`: checks that the
    configuration defines; `params`: values on top of the document's own; `default_base`: the branch of a
    plan that names none.
    """
    before = problems.error_count - document.errors
    reading = Reading(document.source, problems)
    reading.params = read_params(document.root, reading, params or {})
    fields = open_table(reading, document.root, PLAN_KEYS, "the plan")
    if fields is None:
        return None
    head = read_head(fields, known_checks=known_checks, default_base=default_base)
    nodes = _read_nodes(fields)
    check_nodes(reading, nodes, known_tools)
    if head.fix is not None:
        check_plans_fixer(fields, head.fix, known_tools)
        check_verified(fields, head.fix, verifies=any(verifies(parsed.node) for parsed in nodes))
    _check_order(fields, nodes)
    _check_given(reading, document.root, params or {})
    if problems.error_count > before:
        return None
    return Plan(
        plan_id=head.plan_id,
        name=head.name,
        nodes=tuple(parsed.node for parsed in nodes),
        merge_policy=head.merge_policy,
        rollback_policy=head.rollback_policy,
        fix=head.fix,
        budget=head.budget,
        checks=head.checks,
        branch_base=head.branch_base,
        branch_name=head.branch_name,
        correlation_id=head.correlation_id,
        created_by=head.created_by,
        description=head.description,
    )


def _check_given(reading: Reading, root: Table, given: Mapping[str, str]) -> None:
    """A value that nothing in the document asks for was mistyped: the plan would mean something else."""
    if not given:
        return
    known = {*declared_params(root), *names_in(reading.source.text)}
    for name in given:
        if name not in known:
            fallback = f"its params are: {', '.join(sorted(known))}" if known else "leave it out"
            reading.problems.report_file(
                Code.UNKNOWN_PARAM,
                reading.source.name,
                f"a value was given for the param {quoted(name)}, which the plan does not have",
                suggestion=reading.did_you_mean(name, sorted(known)) or fallback,
            )


def _read_nodes(fields: Fields) -> list[ParsedNode]:
    values = fields.items("nodes", "a list of nodes")
    if not fields.has("nodes"):
        fields.missing("nodes", "write nodes: [{id: n1, tool: claude, goal: …}]")
    elif not values and isinstance(fields.value("nodes"), Items):
        fields.reading.report(
            Code.BAD_VALUE, fields.at("nodes"), "the plan has no nodes", suggestion="add at least one node"
        )
    found = (read_node(fields.reading, value, at) for at, value in enumerate(values, 1))
    return [parsed for parsed in found if parsed is not None]


# `execution_order` describes what `deps` decide. It is read so that old plans load, and held against them.


def _check_order(fields: Fields, nodes: Sequence[ParsedNode]) -> None:
    by_id = {parsed.node.id: parsed for parsed in nodes}
    for position, group in enumerate(_order_groups(fields)):
        for text in group:
            parsed = by_id.get(NodeId(text.text))
            if parsed is None:
                message = f"execution_order names {quoted(text.text)}, and there is no such node"
                close = fields.reading.did_you_mean(text.text, by_id)
                hint = close or "name the id of a node of this plan"
                fields.reading.report(Code.UNKNOWN_DEP, text.at, message, suggestion=hint)
            elif position and not parsed.node.deps:
                fields.reading.report(
                    Code.ORDER_WITHOUT_DEPS,
                    text.at,
                    f"execution_order places {quoted(text.text)} later, but without deps it starts at once",
                    suggestion="add deps to the node: they decide the order",
                    severity=Severity.WARNING,
                )


def _order_groups(fields: Fields) -> list[tuple[Text, ...]]:
    value = fields.value("execution_order")
    if value is None:
        return []
    groups: Sequence[Value]
    if isinstance(value, Table):
        groups = [entry.value for entry in value.entries.values()]
    elif isinstance(value, Items):
        groups = [_unwrap(item) for item in value.items]
    else:
        fields.reading.wrong_type(value, fields.name_of("execution_order"), "a mapping from phases to nodes")
        return []
    return [fields.reading.texts(group, fields.name_of("execution_order")) for group in groups]


def _unwrap(item: Value) -> Value:
    """`{parallel: [n1, n2]}` to its list."""
    if isinstance(item, Table) and len(item.entries) == 1:
        return next(iter(item.entries.values())).value
    return item
