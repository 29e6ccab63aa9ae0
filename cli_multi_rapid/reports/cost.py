"""What was spent, from the events: line by line, and in sums by tool, model, node, run or day."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypedDict

from msgspec import Struct

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import UNKNOWN
from cli_multi_rapid.core.ids import NodeId, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd, format_usd, to_usd
from cli_multi_rapid.core.run_events import BudgetSettled
from cli_multi_rapid.reports.document import ASSUMED, ASSUMED_WORDS, SCHEMA_VERSION
from cli_multi_rapid.reports.safe_text import cell, one_line
from cli_multi_rapid.reports.spent import UNKNOWN_WORDS, attempts_with_unknown
from cli_multi_rapid.reports.times import iso


class CostBy(StrEnum):
    """What the sums are made of."""

    TOOL = "tool"
    MODEL = "model"
    NODE = "node"
    RUN = "run"
    DAY = "day"
    """The day in UTC."""


class LedgerRow(Struct, frozen=True, kw_only=True):
    """One settled attempt."""

    at: datetime
    run: RunId
    node: NodeId
    attempt: int
    tool: ToolName
    action: str
    model: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    amount: MicroUsd
    source: str

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class LedgerLine(TypedDict):
    """A line of `state/cost_ledger.jsonl`. `ts`: whole seconds since 1970; `task_id`: the node.

    `amount` null: the cost is not known.
    """

    ts: int
    task_id: str
    tool: str
    action: str
    tokens: int
    amount: float | None
    run: str
    node: str
    attempt: int
    model: str | None
    source: str


class CostGroup(TypedDict):
    """The sum of some attempts. `assumed_usd`: the part of attempts whose end was not seen.

    `unknown_attempts`: those whose cost nobody can tell; it is in no sum.
    """

    key: str
    attempts: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    tokens: int
    amount_usd: float
    assumed_usd: float
    unknown_attempts: int
    share_pct: float


class CostDocument(TypedDict):
    """The document of `cost --format json`."""

    schema_version: int
    by: str
    total_usd: float
    since: str | None
    until: str | None
    groups: list[CostGroup]


def ledger_rows(events: Iterable[Event]) -> list[LedgerRow]:
    """The settled attempts among the events, which may be of several runs."""
    return [_row(event, event.data) for event in events if isinstance(event.data, BudgetSettled)]


def _row(event: Event, data: BudgetSettled) -> LedgerRow:
    return LedgerRow(
        at=event.time,
        run=event.run_id,
        node=data.node_id,
        attempt=data.attempt,
        tool=data.tool,
        action=data.action,
        model=data.usage.model,
        input_tokens=data.usage.input_tokens,
        output_tokens=data.usage.output_tokens,
        cached_tokens=data.usage.cached_tokens,
        amount=data.usage.cost,
        source=data.usage.source,
    )


def ledger_line(row: LedgerRow) -> LedgerLine:
    """The row as a line of the ledger file."""
    return LedgerLine(
        ts=int(row.at.timestamp()),
        task_id=row.node,
        tool=row.tool,
        action=row.action,
        tokens=row.tokens,
        amount=None if row.source == UNKNOWN else to_usd(row.amount),
        run=row.run,
        node=row.node,
        attempt=row.attempt,
        model=row.model,
        source=row.source,
    )


def cost_document(rows: Sequence[LedgerRow], by: CostBy) -> CostDocument:
    """The sums, the dearest first; days in their order."""
    groups: dict[str, list[LedgerRow]] = {}
    one_run = len({row.run for row in rows}) < 2
    for row in rows:
        groups.setdefault(_key(row, by, one_run=one_run), []).append(row)
    total = sum(row.amount for row in rows)
    order = sorted(groups) if by is CostBy.DAY else sorted(groups, key=lambda key: (-_sum(groups[key]), key))
    moments = [row.at for row in rows]
    return CostDocument(
        schema_version=SCHEMA_VERSION,
        by=by,
        total_usd=to_usd(MicroUsd(total)),
        since=iso(min(moments)) if moments else None,
        until=iso(max(moments)) if moments else None,
        groups=[_group(key, groups[key], total) for key in order],
    )


def _key(row: LedgerRow, by: CostBy, *, one_run: bool) -> str:
    match by:
        case CostBy.TOOL:
            return row.tool
        case CostBy.MODEL:
            return row.model or "no model"
        case CostBy.NODE:
            return row.node if one_run else f"{row.run}/{row.node}"
        case CostBy.RUN:
            return row.run
        case CostBy.DAY:
            return row.at.astimezone(UTC).date().isoformat()


def _sum(rows: Iterable[LedgerRow]) -> MicroUsd:
    return MicroUsd(sum(row.amount for row in rows))


def _group(key: str, rows: Sequence[LedgerRow], total: int) -> CostGroup:
    return CostGroup(
        key=key,
        attempts=len(rows),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        tokens=sum(row.tokens for row in rows),
        amount_usd=to_usd(_sum(rows)),
        assumed_usd=to_usd(_sum(row for row in rows if row.source == ASSUMED)),
        unknown_attempts=sum(1 for row in rows if row.source == UNKNOWN),
        share_pct=round(_sum(rows) * 100 / total, 1) if total else 0.0,
    )


def cost_text(rows: Sequence[LedgerRow], by: CostBy) -> str:
    """The sums as a table for a terminal."""
    document = cost_document(rows, by)
    if not document["groups"]:
        return "nothing was spent yet\n"
    width = max(len(by), *(min(40, len(group["key"])) for group in document["groups"]), 5)
    lines = [f"{by:{width}} {'tries':>6} {'tokens':>10} {'cost':>12} {'share':>7}"]
    for group in document["groups"]:
        nothing_known = group["unknown_attempts"] and not group["amount_usd"]
        amount = "unknown" if nothing_known else _dollars(group["amount_usd"])
        share = f"{group['share_pct']:.1f} %"
        key = one_line(group["key"], width)
        lines.append(f"{key:{width}} {group['attempts']:>6} {group['tokens']:>10} {amount:>12} {share:>7}")
    tries, tokens = len(rows), sum(row.tokens for row in rows)
    total = _dollars(document["total_usd"])
    assumed = sum(group["assumed_usd"] for group in document["groups"])
    note = [f"of it {_dollars(assumed)} {ASSUMED_WORDS}"] if assumed else []
    unknown = sum(group["unknown_attempts"] for group in document["groups"])
    note += [f"{attempts_with_unknown(unknown)} {UNKNOWN_WORDS}"] if unknown else []
    return "\n".join([*lines, f"{'total':{width}} {tries:>6} {tokens:>10} {total:>12}", *note]) + "\n"


def _dollars(amount: float) -> str:
    return format_usd(MicroUsd(round(amount * 1_000_000)))


def cost_csv(rows: Sequence[LedgerRow]) -> str:
    """Every settled attempt on its own line, for spreadsheets."""
    text = io.StringIO()
    writer = csv.writer(text)
    head = ("time", "run", "node", "attempt", "tool", "model", "action", "input_tokens", "output_tokens")
    writer.writerow((*head, "cached_tokens", "amount_usd", "source"))
    for row in rows:
        names = (cell(one_line(name)) for name in (row.run, row.node))
        words = (cell(one_line(word)) for word in (row.tool, row.model or "", row.action))
        counts = (row.input_tokens, row.output_tokens, row.cached_tokens)
        amount = "" if row.source == UNKNOWN else to_usd(row.amount)
        writer.writerow((iso(row.at), *names, row.attempt, *words, *counts, amount, row.source))
    return text.getvalue()
