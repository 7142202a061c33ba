# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title position_views
@license GNU Affero General Public License v3.0 only
@notice What a vault says of a position. Changes nothing; documented in IMarginVault.
"""

from ..interfaces import IMarginVault
from . import accrual
from . import health
from . import limits
from . import liquidation
from . import market
from . import position_slot

uses: accrual
uses: limits
uses: market
uses: position_slot


@external
@view
def slot(position_id: uint256) -> uint256:
    return position_slot._load_word(position_id)


@external
@view
def position(position_id: uint256) -> IMarginVault.Position:
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    return IMarginVault.Position(
        collateral=fields.collateral, debt=self._debt(fields), last_risk_increase=fields.last_risk_increase
    )


@external
@view
def ltv(position_id: uint256) -> uint256:
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    return self._ltv(fields)


@external
@view
def is_healthy(position_id: uint256) -> bool:
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    return self._ltv(fields) <= market.RISK.liquidation_ltv


@external
@view
def liquidation_price(position_id: uint256) -> uint256:
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    debt: uint256 = self._debt(fields)
    return health._backing_needed_up(debt, fields.collateral, market.RISK.liquidation_ltv)


@external
@view
def max_borrow(position_id: uint256) -> uint256:
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    sheet: IMarginVault.BalanceSheet = accrual._now()
    caps: limits.Limits = limits._load()
    if limits._is_paused(caps) or fields.collateral == 0:
        return 0
    low: uint256 = market._quote()[0]
    collateral_value: uint256 = health._value_down(fields.collateral, low)
    bound: uint256 = health._debt_bound_down(collateral_value, market.INITIAL_LTV)
    amount: uint256 = health._room_down(fields.scaled_debt, sheet.debt_index, bound)
    under_cap: uint256 = health._room_down(sheet.total_scaled_debt, sheet.debt_index, caps.debt_cap)
    amount = min(min(amount, under_cap), sheet.cash)
    # Rounding up only adds to this sum of two terms below 2**122.
    if unsafe_add(health._debt_up(fields.scaled_debt, sheet.debt_index), amount) < market.RISK.min_debt:
        return 0
    return amount


@external
@view
def max_withdraw_collateral(position_id: uint256) -> uint256:
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    if fields.scaled_debt == 0:
        return fields.collateral
    debt: uint256 = self._debt(fields)
    low: uint256 = market._quote()[0]
    caps: limits.Limits = limits._load()
    if low == 0 or debt < market.RISK.min_debt or limits._is_paused(caps):
        return 0
    kept: uint256 = health._backing_needed_up(debt, low, market.INITIAL_LTV)
    return unsafe_sub(max(fields.collateral, kept), kept)


@external
@view
def preview_liquidation(position_id: uint256, max_repay: uint256) -> IMarginVault.Liquidation:
    fields: position_slot.PositionSlot = position_slot._load(position_id)
    if fields.last_risk_increase >= block.timestamp or self._ltv(fields) <= market.RISK.liquidation_ltv:
        return empty(IMarginVault.Liquidation)
    sheet: IMarginVault.BalanceSheet = accrual._now()
    high: uint256 = market._high()
    return liquidation._liquidate(fields, sheet.debt_index, high, max_repay, market.RISK)


@internal
@view
def _debt(fields: position_slot.PositionSlot) -> uint256:
    """
    @notice What the position owes now, asset units.
    """
    if fields.scaled_debt == 0:
        return 0
    sheet: IMarginVault.BalanceSheet = accrual._now()
    return health._debt_up(fields.scaled_debt, sheet.debt_index)


@internal
@view
def _ltv(fields: position_slot.PositionSlot) -> uint256:
    """
    @notice Debt over value at `high`, 1e18, rounded up: above a bound exactly when the exact ratio is.
    """
    if fields.scaled_debt == 0:
        return 0
    debt: uint256 = self._debt(fields)
    high: uint256 = market._high()
    collateral_value: uint256 = health._value_down(fields.collateral, high)
    return health._ltv_up(debt, collateral_value)
