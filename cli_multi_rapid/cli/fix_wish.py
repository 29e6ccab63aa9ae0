"""`--fix`, held against the plan that it is said of."""

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.plan import FixMode, Plan
from cli_multi_rapid.core.verifying import is_verified


def idle_fix(plan: Plan, fix: FixMode | None) -> UserError | None:
    """What is wrong with asking for fixes of what a plan never looks at; None: nothing is."""
    if fix in (None, FixMode.OFF) or is_verified(plan):
        return None
    return UserError(
        f"--fix {fix} has nothing to follow: no node of {plan.plan_id} verifies what has landed",
        hint="add a node like {id: checks, tool: verify, deps: [n1]}, or one with `review: true`; "
        "or leave --fix out",
    )
