"""Money is exact: what goes in as dollars comes out as the same, and sums add up to the last digit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.money import MicroUsd, Price, dearest, format_usd, parse_usd, to_usd

LARGEST = 1_000_000_000_000_000
amounts = st.integers(0, LARGEST).map(MicroUsd)


@given(amounts)
def test_an_amount_survives_being_shown_and_read_again(amount: MicroUsd) -> None:
    assert parse_usd(format_usd(amount)) == amount


@given(amounts)
def test_an_amount_survives_a_json_number(amount: MicroUsd) -> None:
    assert parse_usd(to_usd(amount)) == amount


@given(amounts)
def test_a_negative_amount_shows_its_sign_before_the_dollar(amount: MicroUsd) -> None:
    shown = format_usd(MicroUsd(-amount))
    assert shown == (f"-{format_usd(amount)}" if amount else "$0.00")


@given(amounts)
def test_at_least_cents_and_at_most_micros_are_shown(amount: MicroUsd) -> None:
    dollars, _, rest = format_usd(amount).partition(".")
    assert 2 <= len(rest) <= 6
    assert len(rest) == 2 or not rest.endswith("0")
    assert int(dollars.removeprefix("$")) == amount // 1_000_000


@given(st.lists(st.integers(0, 10**9).map(MicroUsd), max_size=50))
def test_a_sum_of_parts_is_the_sum_of_the_texts(parts: list[MicroUsd]) -> None:
    told = sum((Decimal(format_usd(part).removeprefix("$")) for part in parts), Decimal())
    assert parse_usd(told) == sum(parts)


@given(st.decimals(0, 10**9, allow_nan=False, allow_infinity=False))
def test_rounding_is_never_off_by_more_than_half_a_micro(dollars: Decimal) -> None:
    assert abs(Decimal(parse_usd(dollars)) - dollars * 1_000_000) <= Decimal("0.5")


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        ("4", 4_000_000),
        (" $1.50 ", 1_500_000),
        (0.1, 100_000),
        (15, 15_000_000),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("1e-6", 1),
        ("1E3", 1_000_000_000),
        ("1_000", 1_000_000_000),
        (Decimal("0.000001"), 1),
        ("1000000000", LARGEST),
        ("-0", 0),
    ],
)
def test_dollars_are_read_as_people_write_them(written: int | float | str | Decimal, micros: int) -> None:
    assert parse_usd(written) == micros


@pytest.mark.parametrize(
    "written",
    ["", "free", "-1", -0.01, "1000000000.01", "nan", float("nan"), "inf", float("inf"), "-inf", "1,5"],
)
def test_what_is_no_amount_is_refused(written: float | str) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        parse_usd(written)


def test_cents_are_always_there() -> None:
    assert [format_usd(MicroUsd(micros)) for micros in (0, 1, 10_000, 1_500_000, 1_234_560)] == [
        "$0.00",
        "$0.000001",
        "$0.01",
        "$1.50",
        "$1.23456",
    ]


def test_a_price_that_may_be_any_of_several_is_the_dearest_and_as_unknown_as_one_of_them() -> None:
    free, cheap, dear = Price(free=True), Price(typical=MicroUsd(1)), Price(typical=MicroUsd(9))
    assert dearest([free, free]).free
    assert dearest([free, cheap, dear]) == Price(typical=MicroUsd(9))
    assert dearest([cheap, Price()]).typical is None
    assert not dearest([cheap, Price(known=False)]).known
    assert not dearest([]).free
