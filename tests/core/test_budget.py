"""A node starts only when its money fits every limit, and hears why when it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.budget import (
    BudgetRules,
    CannotFit,
    Fits,
    NotNow,
    cap_of,
    fit,
    has_spent,
    percent_spent,
    reservation,
)
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import MicroUsd, Price, parse_usd
from tests.fakes.sample_plans import node

amounts = st.integers(0, 5_000_000).map(MicroUsd)
maybe = st.none() | amounts
prices = st.builds(Price, free=st.booleans(), known=st.booleans(), typical=maybe)
ledgers = st.builds(
    Ledger, limit=maybe, spent=amounts, reserved=amounts, lent=amounts, open=st.just({}), warned=st.booleans()
)
rules = st.builds(
    BudgetRules,
    halt_pct=st.sampled_from([50.0, 95.0, 99.9, 100.0]),
    node_limit=amounts,
    day_limit=maybe,
    day_spent=amounts,
    allow_unpriced=st.booleans(),
)


@given(maybe, maybe, prices, ledgers, rules)
def test_what_fits_overruns_no_limit_even_if_all_reservations_are_used_up(
    est: MicroUsd | None, top: MicroUsd | None, price: Price, ledger: Ledger, limits: BudgetRules
) -> None:
    found = fit(node("n", est_cost=est, max_cost=top), price, ledger, limits)
    if not isinstance(found, Fits):
        return
    assert top is None or found.amount <= top
    capped = top is not None or ledger.limit is not None or limits.day_limit is not None
    assert price.known or limits.allow_unpriced or not capped
    if found.amount and ledger.limit is not None:
        assert ledger.spent + ledger.reserved + ledger.lent + found.amount <= ledger.limit
        assert not has_spent(ledger, limits.halt_pct)
    if found.amount and limits.day_limit is not None:
        assert (
            limits.day_spent + ledger.spent + ledger.reserved + ledger.lent + found.amount <= limits.day_limit
        )


@given(maybe, maybe, prices, ledgers, rules)
def test_not_now_means_that_only_what_running_nodes_may_spend_is_in_the_way(
    est: MicroUsd | None, top: MicroUsd | None, price: Price, ledger: Ledger, limits: BudgetRules
) -> None:
    work = node("n", est_cost=est, max_cost=top)
    found = fit(work, price, ledger, limits)
    alone = fit(work, price, replace(ledger, reserved=MicroUsd(0), lent=MicroUsd(0)), limits)
    if isinstance(found, NotNow):
        assert ledger.reserved + ledger.lent > 0
        assert not isinstance(alone, NotNow)
    elif isinstance(found, CannotFit):
        assert isinstance(alone, CannotFit)
        assert (found.limit_name, found.reason) == (alone.limit_name, alone.reason)
    else:
        assert alone == found


@given(maybe, maybe, prices, rules)
def test_the_more_binding_figure_is_set_aside(
    est: MicroUsd | None, top: MicroUsd | None, price: Price, limits: BudgetRules
) -> None:
    found = reservation(node("n", est_cost=est, max_cost=top), price, limits)
    expected = [
        (est, "est_cost"),
        (top, "max_cost"),
        (MicroUsd(0) if price.free else None, "free"),
        (price.typical, "typical"),
        (limits.node_limit, "config"),
    ]
    amount, source = next((amount, source) for amount, source in expected if amount is not None)
    assert found == Fits(amount=amount, source=source)


@given(maybe, maybe, rules)
def test_a_cap_is_never_below_what_was_set_aside(
    est: MicroUsd | None, top: MicroUsd | None, limits: BudgetRules
) -> None:
    work = node("n", est_cost=est, max_cost=top)
    cap = cap_of(work, limits)
    assert cap == top if top is not None else cap == max(est or 0, limits.node_limit)
    if isinstance(fit(work, Price(), Ledger(), limits), Fits):
        assert cap >= reservation(work, Price(), limits).amount


HALTED = "of the run's $10.00 is spent: beyond 95 % no paid node starts"


def usd(text: str) -> MicroUsd:
    return parse_usd(text)


@pytest.mark.parametrize(
    ("est", "top", "spent", "reserved", "limit", "found"),
    [
        ("1", None, "0", "0", None, "fits"),
        ("1", None, "0", "0", "1", "fits"),
        ("1.000001", None, "0", "0", "1", "run: needs $1.000001; $1.00 of the run's $1.00 is left"),
        ("1", None, "0.5", "0", "1", "run: needs $1.00; $0.50 of the run's $1.00 is left"),
        ("1", None, "0", "0.5", "1", "not now"),
        ("1", None, "0", "0.000001", "1", "not now"),
        ("3", "2", "0", "0", None, "node: needs $3.00; $2.00 of the node's $2.00 is left"),
        ("0", None, "9", "0", "1", "fits"),
        ("0.01", None, "9.5", "0", "10", "fits"),
        ("0.01", None, "9.51", "0", "10", f"run: $9.51 {HALTED}"),
        ("0.01", None, "9.500001", "0", "10", f"run: $9.500001 {HALTED}"),
        ("1", None, "2", "0", "1", "run: needs $1.00; $0.00 of the run's $1.00 is left"),
    ],
)  # fmt: skip
def test_the_run_and_the_node_set_limits(
    est: str, top: str | None, spent: str, reserved: str, limit: str | None, found: str
) -> None:
    ledger = Ledger(limit=usd(limit) if limit else None, spent=usd(spent), reserved=usd(reserved))
    work = node("n", est_cost=usd(est), max_cost=usd(top) if top else None)
    assert told(fit(work, Price(), ledger, BudgetRules())) == found


def told(found: Fits | NotNow | CannotFit) -> str:
    match found:
        case Fits():
            return "fits"
        case NotNow():
            return "not now"
        case CannotFit():
            return f"{found.limit_name}: {found.reason}"


def test_what_other_runs_spent_today_counts() -> None:
    limits = BudgetRules(day_limit=usd("10"), day_spent=usd("9"))
    work = node("n", est_cost=usd("1"))
    assert told(fit(work, Price(), Ledger(), limits)) == "fits"
    assert told(fit(work, Price(), Ledger(reserved=usd("0.5")), limits)) == "not now"
    refused = fit(work, Price(), Ledger(spent=usd("0.5")), limits)
    assert told(refused) == "day: needs $1.00; $0.50 of the day's $10.00 is left"


@pytest.mark.parametrize(
    ("ledger", "limits", "top"),
    [
        (Ledger(limit=MicroUsd(10**9)), BudgetRules(), None),
        (Ledger(), BudgetRules(day_limit=MicroUsd(10**9)), None),
        (Ledger(), BudgetRules(), MicroUsd(10**9)),
    ],
)
def test_a_tool_whose_price_nobody_knows_keeps_no_limit_and_so_starts_only_where_there_is_none(
    ledger: Ledger, limits: BudgetRules, top: MicroUsd | None
) -> None:
    work, unknown = node("n", max_cost=top), Price(known=False)
    refused = fit(work, unknown, ledger, limits)
    assert isinstance(refused, CannotFit)
    assert "--allow-unpriced" in refused.reason
    assert isinstance(fit(work, unknown, ledger, replace(limits, allow_unpriced=True)), Fits)
    assert isinstance(fit(node("n"), unknown, Ledger(), BudgetRules()), Fits)


@given(amounts, maybe, st.floats(0, 100))
def test_a_line_is_crossed_exactly_when_more_than_its_part_is_spent(
    spent: MicroUsd, limit: MicroUsd | None, percent: float
) -> None:
    ledger = Ledger(limit=limit, spent=spent)
    crossed = has_spent(ledger, percent)
    assert crossed == bool(limit and spent * 100 > limit * percent)
    if limit:
        assert percent_spent(ledger) == spent * 100 // limit
    else:
        assert percent_spent(ledger) == 0


@given(maybe, amounts, st.lists(st.tuples(amounts, st.booleans()), max_size=6), prices, rules)
def test_all_attempts_of_a_node_together_cost_no_more_than_its_max_cost(
    est: MicroUsd | None,
    top: MicroUsd,
    costs: list[tuple[MicroUsd, bool]],
    price: Price,
    limits: BudgetRules,
) -> None:
    work, spent = node("n", est_cost=est, max_cost=top), MicroUsd(0)
    for cost, all_of_it in costs:
        found = fit(work, price, Ledger(), limits, spent)
        if not isinstance(found, Fits):
            break
        cap = cap_of(work, limits, spent)
        assert found.amount <= cap
        assert cap or not found.amount
        spent = MicroUsd(spent + (cap if all_of_it else min(cap, cost)))
    assert spent <= top


def test_a_retry_starts_with_what_is_left_of_max_cost_and_not_without_anything() -> None:
    work = node("n", est_cost=usd("3"), max_cost=usd("5"))
    assert fit(work, Price(), Ledger(), BudgetRules(), usd("4")) == Fits(amount=usd("1"), source="est_cost")
    assert cap_of(work, BudgetRules(), usd("4")) == usd("1")
    refused = fit(work, Price(), Ledger(), BudgetRules(), usd("5"))
    assert told(refused) == "node: needs $3.00; $0.00 of the node's $5.00 is left"
