# pragma version 0.4.3
"""
@title liquidation
@license GNU Affero General Public License v3.0 only
@notice How much a liquidation repays, seizes and writes off. Pure maths.
@dev With L the LTV at `high`, rounded up, and beta(L) = min(beta_max, 1 + base_bonus + (L - liquidation_ltv)):
     solvent while L * beta < 1, where the repayment stops at `target_ltv` and the seizure follows the debt RETIRED, so
     that scaled_debt / collateral strictly falls (LIQ-4); insolvent from there on, where collateral is sold pro rata at
     beta and the rest of the same part of the debt is written off (LIQ-5). The factory's bounds make beta constant
     wherever a position is insolvent: waiting pays nobody.
     Worked case: 1 WETH at 1,800, debt 1,590 USDC, target 0.80, liquidation 0.86, bonus 1 %: L = 0.8833, beta = 1.0333,
     repayment 865.38, seized 0.4968 WETH, left 0.5032 WETH against 724.62 at 0.80.
"""

from ..interfaces import IMarginVault
from . import errors
from . import fixed_point
from . import health
from . import position_slot


struct RiskParams:
    liquidation_ltv: uint256
    target_ltv: uint256
    base_bonus: uint256
    beta_max: uint256
    reserve_cut: uint256
    min_debt: uint256


@internal
@pure
def _beta(ltv: uint256, risk: RiskParams) -> uint256:
    """
    @notice Seized value over repayment, 1e18. Valid for an LTV above the liquidation LTV.
    """
    if ltv >= 2 * fixed_point.WAD:
        return risk.beta_max
    # All terms are below 2**62.
    return min(
        risk.beta_max,
        unsafe_sub(unsafe_add(unsafe_add(fixed_point.WAD, risk.base_bonus), ltv), risk.liquidation_ltv),
    )


@internal
@pure
def _liquidate(
    position: position_slot.PositionSlot, debt_index: uint256, price: uint256, max_repay: uint256, risk: RiskParams
) -> IMarginVault.Liquidation:
    """
    @notice What liquidating with at most `max_repay` asset units moves at a non-zero `high`.
    """
    debt: uint256 = health._debt_up(position.scaled_debt, debt_index)
    collateral_value: uint256 = health._value_down(position.collateral, price)
    if health._is_healthy(debt, collateral_value, risk.liquidation_ltv):
        errors._raise(errors.POSITION_IS_HEALTHY)
    errors._check_not_zero(max_repay)
    ltv: uint256 = health._ltv_up(debt, collateral_value)
    beta: uint256 = self._beta(ltv, risk)
    outcome: IMarginVault.Liquidation = empty(IMarginVault.Liquidation)
    # ltv < 2e18 < 2**61 on the right of `and`, beta < 2**61.
    if ltv < 2 * fixed_point.WAD and unsafe_mul(ltv, beta) < fixed_point.PRICE_SCALE:
        outcome = self._solvent(position, debt_index, price, max_repay, risk, debt, collateral_value, beta)
    else:
        outcome = self._insolvent(position, debt_index, price, max_repay, risk, debt, beta)
    # repaid < 2**129, bonus and cut below 2**60 each; beta >= 1e18.
    outcome.cut = fixed_point._div_up(
        unsafe_mul(unsafe_mul(outcome.repaid, unsafe_sub(beta, fixed_point.WAD)), risk.reserve_cut),
        fixed_point.PRICE_SCALE,
    )
    return outcome


@internal
@pure
def _solvent(
    position: position_slot.PositionSlot,
    debt_index: uint256,
    price: uint256,
    max_repay: uint256,
    risk: RiskParams,
    debt: uint256,
    collateral_value: uint256,
    beta: uint256,
) -> IMarginVault.Liquidation:
    # Above liquidation_ltv > target_ltv: debt * 1e18 > target_ltv * value, both below 2**181; times 1e18 below 2**241.
    # beta * target_ltv < beta * L < 1e36.
    full_repair: uint256 = fixed_point._div_up(
        unsafe_mul(
            unsafe_sub(unsafe_mul(debt, fixed_point.WAD), unsafe_mul(collateral_value, risk.target_ltv)), fixed_point.WAD
        ),
        unsafe_sub(fixed_point.PRICE_SCALE, unsafe_mul(beta, risk.target_ltv)),
    )
    repaid: uint256 = min(min(max_repay, full_repair), debt)
    if unsafe_sub(debt, repaid) < risk.min_debt:
        if max_repay >= debt:
            repaid = debt
        else:
            if debt <= risk.min_debt:
                errors._raise(errors.DEBT_IS_BELOW_MIN_DEBT)
            repaid = unsafe_sub(debt, risk.min_debt)
    retired: uint256 = position.scaled_debt
    if repaid < debt:
        retired = health._scaled_down(repaid, debt_index)
        errors._check_not_zero(retired)
    # retired < 2**104, index < 2**76; retired debt < 2**121, beta < 2**61, 1e36 < 2**120: below 2**241 after the division.
    retired_down: uint256 = unsafe_div(unsafe_mul(retired, debt_index), fixed_point.WAD)
    seized_value: uint256 = unsafe_div(unsafe_mul(beta, retired_down), fixed_point.WAD)
    return IMarginVault.Liquidation(
        seized=unsafe_div(unsafe_mul(seized_value, fixed_point.PRICE_SCALE), price),
        repaid=health._debt_up(retired, debt_index),
        cut=0,
        scaled_retired=retired,
        loss=0,
    )


@internal
@pure
def _insolvent(
    position: position_slot.PositionSlot,
    debt_index: uint256,
    price: uint256,
    max_repay: uint256,
    risk: RiskParams,
    debt: uint256,
    beta: uint256,
) -> IMarginVault.Liquidation:
    seized: uint256 = position.collateral
    retired: uint256 = position.scaled_debt
    retired_debt: uint256 = debt
    repaid: uint256 = self._pro_rata_price_up(seized, price, beta)
    if max_repay < repaid:
        # max_repay < 2**129 here and beta < 2**61; the value < 2**130, times 1e36 < 2**250.
        seized_value: uint256 = unsafe_div(unsafe_mul(max_repay, beta), fixed_point.WAD)
        seized = unsafe_div(unsafe_mul(seized_value, fixed_point.PRICE_SCALE), price)
        # Less than all of it: seized < collateral < 2**112, scaled debt < 2**104.
        retired = unsafe_div(unsafe_mul(position.scaled_debt, seized), position.collateral)
        left: uint256 = health._debt_up(unsafe_sub(position.scaled_debt, retired), debt_index)
        retired_debt = unsafe_sub(debt, left)
        if retired_debt < risk.min_debt or left < risk.min_debt:
            errors._raise(errors.ONLY_THE_WHOLE)
        repaid = self._pro_rata_price_up(seized, price, beta)
    return IMarginVault.Liquidation(
        seized=seized,
        repaid=repaid,
        cut=0,
        scaled_retired=retired,
        loss=retired_debt - min(retired_debt, repaid),
    )


@internal
@pure
def _pro_rata_price_up(seized: uint256, price: uint256, beta: uint256) -> uint256:
    """
    @notice `ceil(ceil(seized * price / 1e36) * 1e18 / beta)`: what seized collateral costs, asset units.
    """
    # Unhealthy, so the value is at most debt / liquidation_ltv < 2**129, and collateral * price did not overflow.
    seized_value: uint256 = fixed_point._div_up(unsafe_mul(seized, price), fixed_point.PRICE_SCALE)
    return fixed_point._div_up(unsafe_mul(seized_value, fixed_point.WAD), beta)
