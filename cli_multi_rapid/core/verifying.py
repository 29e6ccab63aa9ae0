"""Which nodes come to a verdict on what has landed."""

from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.plan import Form, Node, Plan


def verifies(node: Node) -> bool:
    """The built-in verifier, and reviews. Other nodes with the role `ipt` may look, and say nothing of it."""
    return node.tool == VERIFY or node.form is Form.REVIEW


def is_verified(plan: Plan) -> bool:
    """Whether any node of a plan does."""
    return any(map(verifies, plan.nodes))
