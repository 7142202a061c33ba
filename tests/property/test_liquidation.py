"""Liquidations: contract and mirror agree at every width; LIQ-4 to LIQ-6 and RND-3 hold."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ringfence.evm import Contract
from ringfence.math import health
from ringfence.math.errors import RevertError
from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.liquidation import Liquidation, RiskParams, beta_of, is_solvent, liquidate
from ringfence.math.position_slot import MAX_COLLATERAL, PositionSlot
from tests.support.model.liquidation_rules import check_liquidation, standing
from tests.support.model.strategies import (
    USDC_DAI_PRICE,
    USDC_WETH_PRICE,
    WBTC_SHIB_PRICE,
    agree,
    collaterals,
    debt_indices,
    plain,
    prices,
    risks,
    scaled_debts,
    unhealthy,
    wide,
)

Case = tuple[PositionSlot, int, int, RiskParams]
PERCENT = WAD // 100
RISK = RiskParams(86 * PERCENT, 80 * PERCENT, PERCENT, 10_778 * 10**14, 10 * PERCENT, 100)


def share(whole: int, thousandths: int) -> int:
    return whole * thousandths // 1_000


def after(slot: PositionSlot, moved: Liquidation) -> PositionSlot:
    left = replace(
        slot,
        collateral=slot.collateral - moved.seized,
        scaled_debt=slot.scaled_debt - moved.scaled_retired,
    )
    return left if left.collateral else PositionSlot(0, left.scaled_debt, 0)


@given(above=wide(MAX_UINT256 - WAD), risk=risks())
def test_beta__any_ltv__agrees(maths: Contract, above: int, risk: RiskParams) -> None:
    ltv = risk.liquidation_ltv + 1 + above
    beta = agree(maths, "beta", (ltv, risk), lambda: beta_of(ltv, risk))
    assert WAD < beta <= risk.beta_max, "LIQ-6: beta is out of bounds"


@given(risk=risks(), above=wide(2 * WAD))
def test_beta__insolvent__is_constant(risk: RiskParams, above: int) -> None:
    ltv = PRICE_SCALE // risk.beta_max + above
    assume(ltv > risk.liquidation_ltv and not is_solvent(ltv, beta_of(ltv, risk)))
    assert beta_of(ltv, risk) == risk.beta_max, "LIQ-5: waiting pays a liquidator"


@given(
    collateral=collaterals,
    scaled=scaled_debts,
    index=debt_indices,
    price=prices,
    max_repay=wide(MAX_UINT256),
    risk=risks(),
)
def test_liquidate__any_position__agrees(
    maths: Contract,
    collateral: int,
    scaled: int,
    index: int,
    price: int,
    max_repay: int,
    risk: RiskParams,
) -> None:
    assume(collateral or not scaled)
    args = (PositionSlot(collateral, scaled, 0), index, price, max_repay, risk)
    agree(maths, "liquidate", args, lambda: liquidate(*args))


@settings(max_examples=400)
@given(case=unhealthy(), thousandths=st.integers(0, 1_100), extra=st.integers(0, 2))
def test_liquidate__unhealthy__agrees_and_keeps_the_rules(
    maths: Contract, case: Case, thousandths: int, extra: int
) -> None:
    slot, index, price, risk = case
    debt = health.debt_up(slot.scaled_debt, index)
    max_repay = share(debt, thousandths) + extra
    args = (slot, index, price, max_repay, risk)
    moved = agree(maths, "liquidate", args, lambda: liquidate(*args))
    if moved[0] == "reverts":
        return
    done = Liquidation(*moved)
    assert done.repaid <= max_repay, "LIQ-6: more was repaid than max_repay"
    check_liquidation(slot, after(slot, done), index, price, risk, done.repaid, done.loss)


@settings(max_examples=200)
@given(case=unhealthy(), thousandths=st.integers(1, 999))
def test_liquidate__parts_at_min_debt_and_a_unit_past_it__are_told_apart(
    maths: Contract, case: Case, thousandths: int
) -> None:
    """LIQ-6: what is left, and what an insolvent part retires, may be min_debt and no less."""
    slot, index, price, risk = case
    debt = health.debt_up(slot.scaled_debt, index)
    max_repay = share(debt, thousandths) or 1
    free = replace(risk, min_debt=0)
    try:
        moved = liquidate(slot, index, price, max_repay, free)
    except RevertError:
        return
    left = health.debt_up(slot.scaled_debt - moved.scaled_retired, index)
    assume(left)
    unpaid = max(debt - max_repay, 0)
    edges = (left - 1, left, left + 1, debt - left, debt - left + 1, unpaid, unpaid + 1, debt)
    for bound in (*edges, debt + 1):
        args = (slot, index, price, max_repay, replace(risk, min_debt=bound))
        again = agree(maths, "liquidate", args, lambda args=args: liquidate(*args))
        if not standing(slot, index, price, risk).is_solvent:
            fits = bound <= min(left, debt - left)
            expected = plain(moved) if fits else ("reverts", "only the whole can be liquidated")
            assert again == expected, "LIQ-6: the bound of min_debt is not exact"


@settings(max_examples=200)
@given(case=unhealthy(), cuts=st.lists(st.integers(1, 1_000), min_size=2, max_size=12))
def test_liquidate__in_any_parts_at_one_price__never_turns_solvent_into_insolvent(
    case: Case, cuts: list[int]
) -> None:
    slot, index, price, risk = case
    start = standing(slot, index, price, risk)
    assume(start.is_solvent)
    for cut in cuts:
        debt = health.debt_up(slot.scaled_debt, index)
        try:
            moved = liquidate(slot, index, price, share(debt, cut) or 1, risk)
        except RevertError:
            continue
        slot = after(slot, moved)
        now = standing(slot, index, price, risk)
        assert now.is_healthy or now.is_solvent, "LIQ-4: solvent became insolvent"
        assert slot.collateral, "LIQ-4: a solvent position lost all"


@settings(max_examples=400)
@given(case=unhealthy(), cuts=st.lists(st.integers(1, 1_000), min_size=2, max_size=8))
def test_liquidate__in_parts__pays_no_more_than_one(case: Case, cuts: list[int]) -> None:
    slot, index, price, risk = case
    seized = paid = allowed = 0
    left = slot
    for cut in cuts:
        debt = health.debt_up(left.scaled_debt, index)
        try:
            moved = liquidate(left, index, price, share(debt, cut) or 1, risk)
        except RevertError:
            continue
        left = after(left, moved)
        seized += moved.seized
        paid += moved.repaid + moved.cut
        allowed += moved.repaid
    assume(allowed)
    try:
        whole = liquidate(slot, index, price, allowed, risk)
    except RevertError:
        return
    in_parts = seized * price - paid * PRICE_SCALE
    at_once = whole.seized * price - (whole.repaid + whole.cut) * PRICE_SCALE
    # Whole units of collateral: the same ones may cost a little less, never one of them.
    assert in_parts < at_once + price, "RND-3: liquidating in parts pays more"


@given(
    price=st.sampled_from((USDC_WETH_PRICE, USDC_DAI_PRICE, WBTC_SHIB_PRICE)),
    collateral=st.one_of(wide(MAX_COLLATERAL, 1), st.integers(1, 10**14)),
    ltv=st.integers(861, 3_000),
    thousandths=st.integers(1, 1_000),
)
def test_liquidate__prices_up_to_186_bits__agrees(
    maths: Contract, price: int, collateral: int, ltv: int, thousandths: int
) -> None:
    debt = share(collateral * price // PRICE_SCALE, ltv)
    assume(0 < debt < 2**104)
    slot = PositionSlot(collateral, debt, 0)
    args = (slot, WAD, price, share(debt, thousandths) + 1, RISK)
    moved = agree(maths, "liquidate", args, lambda: liquidate(*args))
    if moved[0] != "reverts":
        done = Liquidation(*moved)
        check_liquidation(slot, after(slot, done), WAD, price, RISK, done.repaid, done.loss)


def test_liquidate__on_the_edge_of_insolvency__is_insolvent(maths: Contract) -> None:
    """L * beta = 1 exactly: 0.8 * 1.25. One unit of debt less and the position is solvent."""
    risk = replace(RISK, liquidation_ltv=WAD // 2, target_ltv=WAD // 4, beta_max=125 * PERCENT)
    for debt, solvent in ((800_000, False), (799_999, True)):
        slot = PositionSlot(1_000_000, debt, 0)
        args = (slot, WAD, PRICE_SCALE, MAX_UINT256, risk)
        done = Liquidation(*agree(maths, "liquidate", args, lambda args=args: liquidate(*args)))
        assert standing(slot, WAD, PRICE_SCALE, risk).is_solvent is solvent
        assert (done.seized < slot.collateral) is solvent
        check_liquidation(slot, after(slot, done), WAD, PRICE_SCALE, risk, done.repaid, done.loss)


def test_liquidate__value_that_no_word_holds__is_healthy(maths: Contract) -> None:
    slot = PositionSlot(MAX_COLLATERAL, 2**104 - 1, 0)
    args = (slot, 2**76 - 1, 2**145, MAX_UINT256, RISK)
    assert MAX_COLLATERAL * 2**145 > MAX_UINT256
    assert agree(maths, "liquidate", args, lambda: liquidate(*args)) == (
        "reverts",
        "position is healthy",
    )
