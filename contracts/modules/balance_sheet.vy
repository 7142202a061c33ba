# pragma version 0.4.3
"""
@title balance_sheet
@license GNU Affero General Public License v3.0 only
@notice The TWO storage words of a vault's books, and the only code that reads or writes them.
@dev Bits of word 1:
         255..152  total_shares        shares
         151..40   cash                asset units
          39..0    last_accrual        unix seconds
     Bits of word 2:
         255..152  total_scaled_debt   scaled asset units
         151..76   debt_index          1e18
          75..0    supply_index        1e18
     Keeps `total_shares * supply_index <= cash * 1e18 + total_scaled_debt * debt_index` (BOOK-3) as long as each caller
     rounds against the one it serves.
"""

from ..interfaces import IMarginVault
from . import errors
from . import fixed_point


MAX_SHARES: constant(uint256) = 2**104 - 1
# Gifts, deposits and borrowing stop here, which leaves cash 256-fold room for interest. Debt can grow more: a payment
# that no longer fits reverts, a smaller one passes (LIVE-5).
MAX_ASSETS: constant(uint256) = 2**104
MAX_INDEX: constant(uint256) = 2**76 - 1
_MAX_CASH: constant(uint256) = 2**112 - 1
_MAX_TIME: constant(uint256) = 2**40 - 1

_word_1: uint256
_word_2: uint256


@deploy
def __init__():
    self._store(
        IMarginVault.BalanceSheet(
            total_shares=0,
            cash=0,
            last_accrual=block.timestamp,
            total_scaled_debt=0,
            debt_index=fixed_point.WAD,
            supply_index=fixed_point.WAD,
        )
    )


@internal
@view
def _load() -> IMarginVault.BalanceSheet:
    word_1: uint256 = self._word_1
    word_2: uint256 = self._word_2
    return IMarginVault.BalanceSheet(
        total_shares=word_1 >> 152,
        cash=(word_1 >> 40) & _MAX_CASH,
        last_accrual=word_1 & _MAX_TIME,
        total_scaled_debt=word_2 >> 152,
        debt_index=(word_2 >> 76) & MAX_INDEX,
        supply_index=word_2 & MAX_INDEX,
    )


@internal
def _store(sheet: IMarginVault.BalanceSheet):
    # One branch for all six fields: what sticks out of any of them is not zero.
    if (
        (sheet.total_shares >> 104)
        | (sheet.cash >> 112)
        | (sheet.last_accrual >> 40)
        | (sheet.total_scaled_debt >> 104)
        | (sheet.debt_index >> 76)
        | (sheet.supply_index >> 76)
    ) != 0:
        errors._raise(errors.BOOKS_EXCEED_THEIR_WIDTH)
    self._word_1 = (sheet.total_shares << 152) | (sheet.cash << 40) | sheet.last_accrual
    self._word_2 = (sheet.total_scaled_debt << 152) | (sheet.debt_index << 76) | sheet.supply_index


@internal
@pure
def _scaled_assets(sheet: IMarginVault.BalanceSheet) -> uint256:
    """
    @notice Cash and total debt, exact: asset units * 1e18.
    """
    # cash < 2**112 and 1e18 < 2**60; scaled debt < 2**104 and index < 2**76: each term below 2**180.
    return unsafe_add(
        unsafe_mul(sheet.cash, fixed_point.WAD), unsafe_mul(sheet.total_scaled_debt, sheet.debt_index)
    )


@internal
@pure
def _scaled_claims(sheet: IMarginVault.BalanceSheet) -> uint256:
    """
    @notice What lenders are owed, exact: asset units * 1e18.
    """
    # total_shares < 2**104 and supply_index < 2**76.
    return unsafe_mul(sheet.total_shares, sheet.supply_index)


@internal
@pure
def _reserve_down(sheet: IMarginVault.BalanceSheet) -> uint256:
    """
    @notice Cash and total debt above the claims, asset units. Never negative: BOOK-3.
    """
    return unsafe_div(unsafe_sub(self._scaled_assets(sheet), self._scaled_claims(sheet)), fixed_point.WAD)


@internal
@pure
def _total_debt_up(sheet: IMarginVault.BalanceSheet) -> uint256:
    """
    @notice What all borrowers owe, asset units.
    """
    # Below 2**180, see _scaled_assets.
    return unsafe_div(
        unsafe_add(unsafe_mul(sheet.total_scaled_debt, sheet.debt_index), fixed_point.WAD_UP), fixed_point.WAD
    )


@internal
@pure
def _check_room(cash: uint256, total_debt: uint256):
    # Each below 2**140.
    if unsafe_add(cash, total_debt) > MAX_ASSETS:
        errors._raise(errors.VAULT_IS_FULL)


@internal
@pure
def _socialise(sheet: IMarginVault.BalanceSheet) -> uint256:
    """
    @notice The supply index that the books can bear: unchanged while the reserve lasts, else assets / shares (BOOK-4).
    """
    assets: uint256 = self._scaled_assets(sheet)
    if self._scaled_claims(sheet) <= assets:
        return sheet.supply_index
    # Claims exceed assets, so there are shares.
    return unsafe_div(assets, sheet.total_shares)


@internal
@pure
def _claims_lost_up(sheet: IMarginVault.BalanceSheet, supply_index: uint256) -> uint256:
    """
    @notice What lenders lose when the supply index falls to `supply_index`, asset units.
    """
    # 2**104 * 2**76.
    return unsafe_div(
        unsafe_add(
            unsafe_mul(sheet.total_shares, unsafe_sub(sheet.supply_index, supply_index)), fixed_point.WAD_UP
        ),
        fixed_point.WAD,
    )
