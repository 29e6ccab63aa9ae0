"""A plan back to a document in the canonical spelling, from which `parse_plan` makes the same plan."""

from collections.abc import Mapping
from typing import assert_never

from cli_multi_rapid.core.money import MicroUsd, to_usd
from cli_multi_rapid.core.plan import (
    Action,
    Actions,
    Argv,
    CheckSpec,
    FixPolicy,
    Form,
    Json,
    MakeDirs,
    Node,
    Plan,
    Prompt,
    PythonCall,
    RunTests,
    Script,
    ShellLine,
    Work,
    WriteFile,
)
from cli_multi_rapid.schema.params import escape_all

_Object = dict[str, Json]


def plan_to_document(plan: Plan) -> _Object:
    """The plan as plain data for `artifacts/plans/<plan_id>.json`; absent values are left out."""
    head: _Object = {
        "version": 1,
        "plan_id": plan.plan_id,
        "name": plan.name,
        "description": plan.description or None,
        "branch_base": plan.branch_base,
        "branch_name": plan.branch_name,
        "global_budget_usd": _usd(plan.budget),
        "correlation_id": plan.correlation_id,
        "created_by": plan.created_by,
        "checks": {check.id: _check(check) for check in plan.checks} or None,
        "nodes": [_node(node) for node in plan.nodes],
        "merge_policy": _policy(plan),
        "rollback_policy": {
            "preserve_worktrees_on_failure": plan.rollback_policy.preserve_worktrees,
            "max_retry_attempts": plan.rollback_policy.max_retry_attempts,
        },
        "verification": _fix(plan.fix),
    }
    return {key: escape_all(value) for key, value in head.items() if value is not None}


def _fix(policy: FixPolicy | None) -> _Object | None:
    if policy is None:
        return None
    return _present({"fix": policy.mode.value, "rounds": policy.rounds, "tool": policy.tool})


def _policy(plan: Plan) -> _Object:
    policy = plan.merge_policy
    data: _Object = {"strategy": policy.strategy, "target": policy.target}
    if policy.checklist is not None:
        data["checklist"] = list(policy.checklist)
    return {**data, "when": policy.when.value, "auto_merge_on_success": policy.auto_merge}


def _check(check: CheckSpec) -> _Object:
    data: _Object = {
        "argv": list(check.argv) or None,
        "run": check.run,
        "inputs": list(check.inputs) or None,
        "timeout_s": check.timeout_s,
        "min_time_s": check.min_time_s or None,
        "env": dict(check.env) or None,
    }
    return _present(data)


def _node(node: Node) -> _Object:
    data: _Object = {
        "id": node.id,
        "label": node.label,
        "role": node.role.value,
        "tool": node.tool,
        "goal": node.goal or None,
        **_work(node.work),
        "inputs": list(node.inputs) or None,
        "outputs": list(node.outputs) or None,
        "path_claims": [{"path": claim.path, "mode": claim.mode.value} for claim in node.path_claims] or None,
        "deps": list(node.deps),
        "capabilities": list(node.capabilities) or None,
        "priority": node.priority,
        "est_cost": _usd(node.est_cost),
        "max_cost": _usd(node.max_cost),
        "est_duration_s": node.est_duration_s,
        "timeout_s": node.timeout_s,
        "retries": node.retries,
        "model": node.model,
        "env": dict(node.env) or None,
        "approval": None if node.approval == "none" else node.approval.value,
        "sandbox": node.sandbox and node.sandbox.value,
        "network": node.network and node.network.value,
        "review": True if node.form is Form.REVIEW else None,
        "stream": node.stream,
    }
    return _present(data)


def _work(work: Work) -> _Object:
    match work:
        case Prompt():
            return {}
        case ShellLine(run=run):
            return {"run": run}
        case Argv(argv=argv):
            return {"argv": list(argv)}
        case PythonCall():
            return _call(work)
        case Actions(actions=actions):
            return {"actions": [_action(action) for action in actions]}
        case Script(steps=steps):
            return {"script": [dict(step) for step in steps]}
    assert_never(work)


def _action(action: Action) -> _Object:
    match action:
        case ShellLine(run=run):
            return {"type": "run", "cmd": run}
        case Argv(argv=argv):
            return {"type": "run", "cmd": list(argv)}
        case PythonCall():
            return {"type": "python", **_call(action)}
        case MakeDirs(paths=paths):
            return {"type": "mkdirs", "paths": list(paths)}
        case WriteFile(path=path, text=text):
            return {"type": "files", "write": [{"path": path, "text": text}]}
        case RunTests(argv=argv):
            return {"type": "tests", "argv": list(argv)}
    assert_never(action)


def _call(call: PythonCall) -> _Object:
    kwargs: Mapping[str, Json] = call.kwargs
    return {"target": call.target, "kwargs": dict(kwargs)}


def _present(data: _Object) -> _Object:
    return {key: value for key, value in data.items() if value is not None}


def _usd(amount: MicroUsd | None) -> float | None:
    return None if amount is None else to_usd(amount)
