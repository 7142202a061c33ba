# pragma version 0.4.3
# pragma optimize codesize
# pragma evm-version cancun
"""
@title Maths Harness
@license GNU Affero General Public License v3.0 only
@notice The vault's pure internals and its packed words, opened for comparison with the Python mirror.
@dev Imported by nothing; holds no rule of its own.
"""

from ..interfaces import IMarginVault
from ..modules import accrual
from ..modules import balance_sheet
from ..modules import fixed_point
from ..modules import health
from ..modules import limits
from ..modules import liquidation
from ..modules import position_slot

initializes: accrual[balance_sheet := balance_sheet]
initializes: balance_sheet
initializes: limits
initializes: position_slot


@deploy
def __init__():
    accrual.__init__(empty(address), 0, 0)
    balance_sheet.__init__()
    limits.__init__(0, 0)


# ---- words -----------------------------------------------------------------------------------------------------------

@external
def store_books(sheet: IMarginVault.BalanceSheet) -> (uint256, uint256):
    balance_sheet._store(sheet)
    return balance_sheet._word_1, balance_sheet._word_2


@external
@view
def load_books() -> IMarginVault.BalanceSheet:
    return balance_sheet._load()


@external
def store_limits(fields: limits.Limits) -> uint256:
    limits._store(fields)
    return limits._word


@external
@view
def load_limits() -> limits.Limits:
    return limits._load()


@external
def store_position(fields: position_slot.PositionSlot) -> uint256:
    return position_slot._store(0, fields)


@external
@view
def load_position() -> position_slot.PositionSlot:
    return position_slot._load(0)


@external
def add_collateral(fields: position_slot.PositionSlot, amount: uint256) -> uint256:
    position_slot._store(0, fields)
    return position_slot._add_collateral(0, amount)


# ---- books -----------------------------------------------------------------------------------------------------------

@external
@pure
def grow(
    stored: IMarginVault.BalanceSheet, rate: uint256, timestamp: uint256, reserve_factor: uint256
) -> IMarginVault.BalanceSheet:
    return accrual._grow(stored, rate, timestamp, reserve_factor)


@external
@pure
def books_figures(sheet: IMarginVault.BalanceSheet) -> (uint256, uint256, uint256, uint256):
    return (
        balance_sheet._scaled_assets(sheet),
        balance_sheet._scaled_claims(sheet),
        balance_sheet._total_debt_up(sheet),
        balance_sheet._socialise(sheet),
    )


@external
@pure
def reserve_down(sheet: IMarginVault.BalanceSheet) -> uint256:
    return balance_sheet._reserve_down(sheet)


@external
@pure
def claims_lost_up(sheet: IMarginVault.BalanceSheet, supply_index: uint256) -> uint256:
    return balance_sheet._claims_lost_up(sheet, supply_index)


@external
@pure
def div_up(dividend: uint256, divisor: uint256) -> uint256:
    return fixed_point._div_up(dividend, divisor)


# ---- health ----------------------------------------------------------------------------------------------------------

@external
@pure
def debt_figures(amount: uint256, debt_index: uint256) -> (uint256, uint256, uint256):
    return (
        health._debt_up(amount, debt_index),
        health._scaled_up(amount, debt_index),
        health._scaled_down(amount, debt_index),
    )


@external
@pure
def repay_amounts(
    scaled_debt: uint256, debt_index: uint256, amount: uint256, min_debt: uint256
) -> (uint256, uint256):
    return health._repay_amounts(scaled_debt, debt_index, amount, min_debt)


@external
@pure
def value_down(collateral: uint256, price: uint256) -> uint256:
    return health._value_down(collateral, price)


@external
@pure
def ltv_figures(debt: uint256, collateral_value: uint256, ltv: uint256) -> (bool, uint256, uint256):
    return (
        health._is_healthy(debt, collateral_value, ltv),
        health._ltv_up(debt, collateral_value),
        health._debt_bound_down(collateral_value, ltv),
    )


@external
@pure
def backing_needed_up(debt: uint256, backing: uint256, ltv: uint256) -> uint256:
    return health._backing_needed_up(debt, backing, ltv)


@external
@pure
def room_down(scaled_debt: uint256, debt_index: uint256, bound: uint256) -> uint256:
    return health._room_down(scaled_debt, debt_index, bound)


# ---- liquidation -----------------------------------------------------------------------------------------------------

@external
@pure
def beta(ltv: uint256, risk: liquidation.RiskParams) -> uint256:
    return liquidation._beta(ltv, risk)


@external
@pure
def liquidate(
    position: position_slot.PositionSlot,
    debt_index: uint256,
    price: uint256,
    max_repay: uint256,
    risk: liquidation.RiskParams,
) -> IMarginVault.Liquidation:
    return liquidation._liquidate(position, debt_index, price, max_repay, risk)
