"""What a plan says beside its nodes: names, branches, budget, checks and policies. Streams say the same."""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.ids import Branch, CheckId, CorrelationId
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import CheckSpec, FixPolicy, MergePolicy, MergeWhen, RollbackPolicy
from cli_multi_rapid.schema.checks import read_checklist, read_checks
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.names import is_branch, is_param
from cli_multi_rapid.schema.problems import Code, Severity
from cli_multi_rapid.schema.reading import Reading
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.values import Scalar, Table, is_null
from cli_multi_rapid.schema.verification import read_fix_policy

HEAD_KEYS: Final = (
    "version plan_id name description branch_base branch_name global_budget_usd checks merge_policy "
    "rollback_policy verification correlation_id created_at created_by schema_version $schema"
)
POLICY_KEYS: Final = keys(
    "strategy target checklist when auto_merge_on_success require_passing_ci", checklist="pre_merge_checks"
)
ROLLBACK_KEYS: Final = keys("strategy preserve_worktrees_on_failure max_retry_attempts")
MOST_RETRIES: Final = 100


class _Strategy(StrEnum):
    MERGE_QUEUE = "merge-queue"


class PlanHead(Struct, frozen=True, kw_only=True):
    """All of a plan but its nodes."""

    plan_id: str
    name: str
    merge_policy: MergePolicy
    branch_base: Branch
    rollback_policy: RollbackPolicy = field(default_factory=RollbackPolicy)
    fix: FixPolicy | None = None
    budget: MicroUsd | None = None
    checks: tuple[CheckSpec, ...] = ()
    branch_name: str | None = None
    correlation_id: CorrelationId | None = None
    created_by: str | None = None
    description: str = ""


def read_head(fields: Fields, *, known_checks: Collection[str], default_base: str) -> PlanHead:
    """The head of the document; its problems are noted."""
    read_version(fields)
    checks = read_checks(fields)
    plan_id = _plan_id(fields)
    base = read_branch(fields, "branch_base", default_base)
    fields.text("created_at")
    correlation = fields.optional_string("correlation_id")
    return PlanHead(
        plan_id=plan_id,
        name=fields.string("name") or plan_id,
        description=fields.string("description"),
        branch_base=base,
        branch_name=fields.optional_string("branch_name"),
        budget=fields.amount("global_budget_usd"),
        checks=checks,
        merge_policy=_read_policy(fields, base, [*(check.id for check in checks), *known_checks]),
        rollback_policy=_read_rollback(fields),
        fix=read_fix_policy(fields),
        correlation_id=None if correlation is None else CorrelationId(correlation),
        created_by=fields.optional_string("created_by"),
    )


def read_version(fields: Fields) -> None:
    """The format's version: 1, `1.0` and so on, or absent."""
    text = fields.text("version")
    if text is not None and not re.fullmatch(r"1(\.[0-9]{1,6}){0,2}", text.text):
        fields.reading.report(
            Code.BAD_VALUE,
            text.at,
            f"version {quoted(text.text)} of this format is not known",
            suggestion="write version: 1, or use a newer cli-orchestrator",
        )


def _plan_id(fields: Fields) -> str:
    text = fields.text("plan_id")
    if text is None:
        return id_from_file(fields.reading.source.name)
    return fields.reading.id(text, "a plan_id") or text.text


def id_from_file(name: str) -> str:
    """An id from a file's name, for documents without one."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePath(name).stem).strip("-_")[:64]
    return stem or "plan"


def read_branch(fields: Fields, key: str, default: str) -> Branch:
    """The name of a branch that git accepts."""
    text = fields.text(key)
    if text is None:
        return Branch(default)
    if not is_branch(text.text):
        fields.reading.report(
            Code.BAD_BRANCH,
            text.at,
            f"{quoted(text.text)} cannot be the name of a branch",
            suggestion="git allows no spaces, `..`, `~`, `^`, `:`, `?`, `*`, `[`, `\\`, and no leading `-`",
        )
    return Branch(text.text)


def _read_policy(fields: Fields, base: Branch, defined: Collection[CheckId | str]) -> MergePolicy:
    value = fields.value("merge_policy")
    policy = None if value is None else open_table(fields.reading, value, POLICY_KEYS, "the merge_policy")
    if policy is None:
        return MergePolicy(target=base)
    policy.choice("strategy", _Strategy)
    if policy.flag("require_passing_ci") is False:
        policy.reading.report(
            Code.NO_EFFECT,
            policy.at("require_passing_ci"),
            "`require_passing_ci: false` has no effect: what lands has always passed the checklist",
            suggestion="write checklist: [] when there is nothing to check",
            severity=Severity.WARNING,
        )
    auto = policy.flag("auto_merge_on_success")
    return MergePolicy(
        target=read_branch(policy, "target", base),
        checklist=read_checklist(policy, defined),
        when=policy.choice("when", MergeWhen) or MergeWhen.EAGER,
        auto_merge=True if auto is None else auto,
    )


def _read_rollback(fields: Fields) -> RollbackPolicy:
    value = fields.value("rollback_policy")
    what = "the rollback_policy"
    policy = None if value is None else open_table(fields.reading, value, ROLLBACK_KEYS, what)
    if policy is None:
        return RollbackPolicy()
    policy.text("strategy")
    preserve = policy.flag("preserve_worktrees_on_failure")
    retries = policy.integer("max_retry_attempts", low=0, high=MOST_RETRIES)
    return RollbackPolicy(
        preserve_worktrees=True if preserve is None else preserve,
        max_retry_attempts=2 if retries is None else retries,
    )


def declared_params(root: Table) -> tuple[str, ...]:
    """The names under `params`."""
    entry = root.entries.get("params")
    return tuple(entry.value.entries) if entry is not None and isinstance(entry.value, Table) else ()


def read_params(root: Table, reading: Reading, given: Mapping[str, str]) -> dict[str, str]:
    """The document's `params`, with those that were given for this run on top."""
    entry = root.entries.get("params")
    params: dict[str, str] = {}
    if entry is not None and isinstance(entry.value, Table):
        for name, (key, value) in entry.value.entries.items():
            if not is_param(name):
                message = f"{quoted(name)} cannot be the name of a param"
                reading.report(Code.BAD_ID, key, message, suggestion="use letters, digits, `_` and `-`")
            elif isinstance(value, Scalar) and not is_null(value):
                params[name] = value.text
            elif name not in given:
                reading.wrong_type(value, f"the param {quoted(name)}", "a text")
    elif entry is not None and not is_null(entry.value):
        reading.wrong_type(entry.value, "`params`", "a mapping from names to texts")
    return {**params, **given}
