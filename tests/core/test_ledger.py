"""The ledger adds up after any history, also after one that no honest engine writes."""

from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import MicroUsd

amounts = st.integers(0, 10**7).map(MicroUsd)
attempts = st.tuples(st.sampled_from(["a", "b"]).map(NodeId), st.integers(1, 3))
entries = st.lists(st.tuples(st.sampled_from(["reserve", "settle", "release"]), attempts, amounts))


@given(entries, st.none() | amounts)
def test_what_is_reserved_is_the_sum_of_the_open_reservations(
    history: list[tuple[str, tuple[NodeId, int], MicroUsd]], limit: MicroUsd | None
) -> None:
    ledger, spent = Ledger(limit=limit), 0
    open_: dict[tuple[NodeId, int], int] = {}
    for what, (node_id, attempt), amount in history:
        if what == "reserve":
            ledger.reserve(node_id, attempt, amount, lent=amount)
            open_[node_id, attempt] = amount
            continue
        open_.pop((node_id, attempt), None)
        if what == "release":
            ledger.release(node_id, attempt)
        else:
            ledger.settle(node_id, attempt, amount)
            spent += amount
    assert (ledger.spent, ledger.reserved, ledger.open) == (spent, sum(open_.values()), open_)
    assert (ledger.lent, ledger.loans) == (
        ledger.reserved,
        {key: sum_ for key, sum_ in open_.items() if sum_},
    )
    left = None if limit is None else max(0, limit - spent - 2 * sum(open_.values()))
    assert ledger.available == left


def test_another_limit_makes_the_notices_due_again() -> None:
    ledger = Ledger(limit=MicroUsd(1), warned=True, halted=True)
    ledger.change_limit(MicroUsd(2))
    assert (ledger.limit, ledger.warned, ledger.halted) == (2, False, False)
