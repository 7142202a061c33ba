"""How much a liquidation repays, seizes and writes off.

Mirrors contracts/modules/liquidation.vy: with L the LTV at `high`, rounded up, a position is
solvent while L * beta(L) < 1; then the repayment stops at the target LTV (LIQ-4), otherwise its
collateral is sold pro rata and the rest of the debt written off (LIQ-5).
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.math.errors import RevertError, check_not_zero
from ringfence.math.fixed_point import PRICE_SCALE, WAD, div_up
from ringfence.math.health import debt_up, is_healthy, ltv_up, scaled_down, value_down
from ringfence.math.position_slot import PositionSlot


@dataclass(frozen=True, slots=True)
class RiskParams:
    """LTVs, bonus, beta and cut scaled 1e18; the smallest debt in asset units."""

    liquidation_ltv: int
    target_ltv: int
    base_bonus: int
    beta_max: int
    reserve_cut: int
    min_debt: int


@dataclass(frozen=True, slots=True)
class Liquidation:
    """What a liquidation moves.

    Collateral units seized; asset units repaid and cut for the reserve; scaled asset units retired;
    asset units written off.
    """

    seized: int
    repaid: int
    cut: int
    scaled_retired: int
    loss: int


NOTHING = Liquidation(0, 0, 0, 0, 0)


def beta_of(ltv: int, risk: RiskParams) -> int:
    """Return seized value over repayment, 1e18, at an LTV above the liquidation LTV."""
    if ltv >= 2 * WAD:
        return risk.beta_max
    return min(risk.beta_max, WAD + risk.base_bonus + ltv - risk.liquidation_ltv)


def is_solvent(ltv: int, beta: int) -> bool:
    """Return whether the collateral pays for the debt at `beta`: L * beta < 1, both 1e18."""
    return ltv < 2 * WAD and ltv * beta < PRICE_SCALE


def liquidate(
    position: PositionSlot, debt_index: int, price: int, max_repay: int, risk: RiskParams
) -> Liquidation:
    """Return what liquidating with at most `max_repay` asset units moves at a price above zero.

    Raises RevertError for a healthy position, and where no such part can be liquidated. The
    design's worked case, 1 WETH at 1,800 USDC and 1,590 USDC of debt:

    >>> percent = WAD // 100
    >>> risk = RiskParams(86 * percent, 80 * percent, percent, 108 * percent, 10 * percent, 10**8)
    >>> slot = PositionSlot(WAD, 1_590 * 10**6, 0)
    >>> moved = liquidate(slot, WAD, 1_800 * 10**24, 2**256 - 1, risk)
    >>> moved.repaid / 1e6, round(moved.seized / WAD, 4), moved.cut / 1e6, moved.loss
    (865.384616, 0.4968, 2.884616, 0)
    """
    debt = debt_up(position.scaled_debt, debt_index)
    collateral_value = value_down(position.collateral, price)
    if is_healthy(debt, collateral_value, risk.liquidation_ltv):
        raise RevertError("position is healthy")
    check_not_zero(max_repay)
    ltv = ltv_up(debt, collateral_value)
    beta = beta_of(ltv, risk)
    if is_solvent(ltv, beta):
        return _solvent(position, debt_index, price, max_repay, risk, debt, collateral_value, beta)
    return _insolvent(position, debt_index, price, max_repay, risk, debt, beta)


def _solvent(
    position: PositionSlot,
    debt_index: int,
    price: int,
    max_repay: int,
    risk: RiskParams,
    debt: int,
    collateral_value: int,
    beta: int,
) -> Liquidation:
    full_repair = div_up(
        (debt * WAD - collateral_value * risk.target_ltv) * WAD,
        PRICE_SCALE - beta * risk.target_ltv,
    )
    repaid = min(max_repay, full_repair, debt)
    if debt - repaid < risk.min_debt:
        if max_repay >= debt:
            repaid = debt
        else:
            if debt <= risk.min_debt:
                raise RevertError("debt is below min_debt")
            repaid = debt - risk.min_debt
    retired = position.scaled_debt
    if repaid < debt:
        retired = scaled_down(repaid, debt_index)
        check_not_zero(retired)
    retired_down = retired * debt_index // WAD
    seized_value = beta * retired_down // WAD
    paid = debt_up(retired, debt_index)
    return Liquidation(
        seized=seized_value * PRICE_SCALE // price,
        repaid=paid,
        cut=_cut_up(paid, beta, risk),
        scaled_retired=retired,
        loss=0,
    )


def _insolvent(
    position: PositionSlot,
    debt_index: int,
    price: int,
    max_repay: int,
    risk: RiskParams,
    debt: int,
    beta: int,
) -> Liquidation:
    seized = position.collateral
    retired = position.scaled_debt
    retired_debt = debt
    repaid = pro_rata_price_up(seized, price, beta)
    if max_repay < repaid:
        seized = max_repay * beta // WAD * PRICE_SCALE // price
        retired = position.scaled_debt * seized // position.collateral
        left = debt_up(position.scaled_debt - retired, debt_index)
        retired_debt = debt - left
        if retired_debt < risk.min_debt or left < risk.min_debt:
            raise RevertError("only the whole can be liquidated")
        repaid = pro_rata_price_up(seized, price, beta)
    return Liquidation(
        seized=seized,
        repaid=repaid,
        cut=_cut_up(repaid, beta, risk),
        scaled_retired=retired,
        loss=max(retired_debt - repaid, 0),
    )


def pro_rata_price_up(seized: int, price: int, beta: int) -> int:
    """Return ceil(ceil(seized * price / 1e36) * 1e18 / beta): what it costs, asset units."""
    return div_up(div_up(seized * price, PRICE_SCALE) * WAD, beta)


def _cut_up(repaid: int, beta: int, risk: RiskParams) -> int:
    """Return the reserve's part of the bonus, paid on top, asset units."""
    return div_up(repaid * (beta - WAD) * risk.reserve_cut, PRICE_SCALE)
