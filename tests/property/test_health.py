"""What is owed and what backs it: contract and mirror agree at every width, bounds are exact."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from ringfence.evm import Contract
from ringfence.math import health
from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD, div_up
from ringfence.math.position_slot import MAX_COLLATERAL
from tests.support.model.strategies import (
    agree,
    collaterals,
    debt_indices,
    ltvs,
    prices,
    scaled_debts,
    wide,
)

debts = wide(2**121)
values = wide(MAX_UINT256 // PRICE_SCALE)


@given(dividend=wide(MAX_UINT256), divisor=wide(MAX_UINT256, 1))
def test_div_up__any_operands__is_the_ceiling(maths: Contract, dividend: int, divisor: int) -> None:
    quotient = agree(maths, "div_up", (dividend, divisor), lambda: div_up(dividend, divisor))
    assert (quotient - 1) * divisor < dividend <= quotient * divisor


@given(amount=scaled_debts, index=debt_indices)
def test_debt_up_and_scaled__any_amount__agree_and_round_against_the_borrower(
    maths: Contract, amount: int, index: int
) -> None:
    def mirrored() -> tuple[int, int, int]:
        return (
            health.debt_up(amount, index),
            health.scaled_up(amount, index),
            health.scaled_down(amount, index),
        )

    debt, up, down = agree(maths, "debt_figures", (amount, index), mirrored)
    assert (debt - 1) * WAD < amount * index <= debt * WAD
    assert down <= up <= down + 1
    assert health.debt_up(up, index) >= amount, "RND-2: less is owed than was lent"
    assert health.debt_up(up, index) <= amount + div_up(index, WAD), "RND-2: too much is owed"
    assert health.debt_up(down, index) <= amount, "RND-2: more is retired than was paid"


@given(scaled=scaled_debts, index=debt_indices, amount=wide(2**128), min_debt=wide(2**100))
def test_repay_amounts__any_repayment__clamps_and_stops_at_min_debt(
    maths: Contract, scaled: int, index: int, amount: int, min_debt: int
) -> None:
    args = (scaled, index, amount, min_debt)
    retired, paid = agree(maths, "repay_amounts", args, lambda: health.repay_amounts(*args))
    debt = health.debt_up(scaled, index)
    left = health.debt_up(scaled - retired, index)
    assert retired <= scaled
    assert paid <= min(amount, debt)
    assert paid * WAD >= retired * index, "RND-2: a repayment costs less than it retires"
    if debt >= min_debt:
        assert left == 0 or left >= min_debt, "LIQ-1: a repayment left dust"
    if amount >= debt:
        assert left == 0


@given(collateral=collaterals, price=wide(MAX_UINT256))
def test_value_down__any_price__agrees_and_never_overflows(
    maths: Contract, collateral: int, price: int
) -> None:
    value = agree(
        maths, "value_down", (collateral, price), lambda: health.value_down(collateral, price)
    )
    exact = collateral * price // PRICE_SCALE
    assert value == min(exact, MAX_UINT256 // PRICE_SCALE)


@given(debt=debts, value=values, ltv=ltvs)
def test_is_healthy_and_ltv_up__any_debt__agree_with_each_other_and_the_contract(
    maths: Contract, debt: int, value: int, ltv: int
) -> None:
    def mirrored() -> tuple[bool, int, int]:
        return (
            health.is_healthy(debt, value, ltv),
            health.ltv_up(debt, value),
            health.debt_bound_down(value, ltv),
        )

    healthy, exact, bound = agree(maths, "ltv_figures", (debt, value, ltv), mirrored)
    assert healthy == (exact <= ltv) == (debt <= bound)


@given(value=values, ltv=ltvs)
def test_is_healthy__at_the_bound_and_a_unit_each_side__is_exact(
    maths: Contract, value: int, ltv: int
) -> None:
    bound = health.debt_bound_down(value, ltv)
    assume(bound < 2**121)
    for debt, expected in ((bound, True), (bound + 1, False), (max(bound - 1, 0), True)):
        healthy = maths.ltv_figures(debt, value, ltv)[0]
        assert healthy is expected is health.is_healthy(debt, value, ltv)


@given(debt=wide(2**121, 1), backing=wide(MAX_COLLATERAL, 1), ltv=ltvs)
def test_backing_needed_up__any_collateral__is_the_smallest_price_that_is_healthy(
    maths: Contract, debt: int, backing: int, ltv: int
) -> None:
    args = (debt, backing, ltv)
    price = agree(maths, "backing_needed_up", args, lambda: health.backing_needed_up(*args))
    assert health.is_healthy(debt, health.value_down(backing, price), ltv)
    assert not health.is_healthy(debt, health.value_down(backing, price - 1), ltv)


@given(debt=wide(2**121, 1), price=prices, ltv=ltvs)
def test_backing_needed_up__any_price__is_the_smallest_collateral_that_is_healthy(
    maths: Contract, debt: int, price: int, ltv: int
) -> None:
    args = (debt, price, ltv)
    needed = agree(maths, "backing_needed_up", args, lambda: health.backing_needed_up(*args))
    if needed * price <= MAX_UINT256:
        assert health.is_healthy(debt, needed * price // PRICE_SCALE, ltv)
        assert not health.is_healthy(debt, (needed - 1) * price // PRICE_SCALE, ltv)


@given(scaled=scaled_debts, index=debt_indices, bound=values)
def test_room_down__any_bound__what_fits_stays_within_it(
    maths: Contract, scaled: int, index: int, bound: int
) -> None:
    args = (scaled, index, bound)
    room = agree(maths, "room_down", args, lambda: health.room_down(*args))
    if room:
        grown = health.debt_up(scaled + health.scaled_up(room, index), index)
        assert grown <= bound, "LIQ-1: what may be borrowed exceeds the bound"
    assert health.room_down(scaled, index, health.debt_up(scaled, index)) <= div_up(index, WAD)


@given(scaled=scaled_debts, index=debt_indices, parts=st.lists(wide(2**110, 1), max_size=6))
def test_scaled_up__borrowing_in_parts__owes_no_less(
    scaled: int, index: int, parts: list[int]
) -> None:
    split = sum(health.scaled_up(part, index) for part in parts)
    whole = health.scaled_up(sum(parts), index)
    assert scaled + split >= scaled + whole, "RND-3: borrowing in parts owes less"


@given(index=debt_indices, first=scaled_debts, second=scaled_debts)
def test_debt_up__repaying_in_parts__costs_no_less(index: int, first: int, second: int) -> None:
    whole = health.debt_up(first + second, index)
    split = health.debt_up(first, index) + health.debt_up(second, index)
    assert split >= whole, "RND-3: repaying in parts costs less"
