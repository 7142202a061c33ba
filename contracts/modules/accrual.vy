# pragma version 0.4.3
"""
@title accrual
@license GNU Affero General Public License v3.0 only
@notice Interest: asks the rate model, guards against it, and grows the two indices.
@dev Lenders' growth comes from the index growth and from products, never from interest in whole units, which frequent
     pokes of a small market would round to nothing (BOOK-6). Every division rounds down, which keeps BOOK-3:
     `claims * (1 + g*u*(1-f)) <= assets + debt * g`, since claims <= assets and `assets * u <= debt`.
     Indices saturate at their width and never revert (LIVE-5).
"""

from ..interfaces import IMarginVault
from . import balance_sheet
from . import errors
from . import fixed_point

uses: balance_sheet


# 300 % a year, per second.
MAX_RATE: constant(uint256) = 3 * 10**18 // 31_536_000
RATE_GAS: constant(uint256) = 100_000
# The call gets 63/64 of what is left, less its own price: with this much left it gets RATE_GAS whole.
_GAS_FLOOR: constant(uint256) = 110_000

RATE_MODEL: immutable(address)
FALLBACK_RATE: immutable(uint256)
RESERVE_FACTOR: immutable(uint256)


@deploy
def __init__(rate_model: address, fallback_rate: uint256, reserve_factor: uint256):
    RATE_MODEL = rate_model
    FALLBACK_RATE = fallback_rate
    RESERVE_FACTOR = reserve_factor


@internal
def _accrue() -> IMarginVault.BalanceSheet:
    """
    @notice The books at this block, in memory; a failing rate model is logged.
    """
    stored: IMarginVault.BalanceSheet = self._load()
    if stored.last_accrual == block.timestamp:
        return stored
    rate: uint256 = 0
    failed: bool = False
    rate, failed = self._borrow_rate(stored)
    if failed:
        log IMarginVault.RateModelFailed(fallback_rate=FALLBACK_RATE)
    return self._grow(stored, rate, block.timestamp, RESERVE_FACTOR)


@internal
@view
def _now() -> IMarginVault.BalanceSheet:
    """
    @notice The books at this block, for views.
    """
    stored: IMarginVault.BalanceSheet = self._load()
    if stored.last_accrual == block.timestamp:
        return stored
    rate: uint256 = self._borrow_rate(stored)[0]
    return self._grow(stored, rate, block.timestamp, RESERVE_FACTOR)


@internal
def _store(sheet: IMarginVault.BalanceSheet):
    """
    @notice Stores accrued books where no other event of the call carries the indices (BOOK-7).
    """
    balance_sheet._store(sheet)
    log IMarginVault.Accrued(debt_index=sheet.debt_index, supply_index=sheet.supply_index)


@internal
@view
def _load() -> IMarginVault.BalanceSheet:
    """
    @notice The books as stored, for a caller who brings the gas that the rate model may use.
    @dev Checked first: nobody can force the fallback by supplying little gas. Checked also where nothing has to be
         accrued, so that a gas limit that was estimated in such a block is enough in the next one too.
    """
    if msg.gas < _GAS_FLOOR:
        errors._raise(errors.NOT_ENOUGH_GAS)
    return balance_sheet._load()


@internal
@view
def _borrow_rate(stored: IMarginVault.BalanceSheet) -> (uint256, bool):
    """
    @notice Rate per second, 1e18, at most MAX_RATE, and whether it is the fallback (LIVE-2).
    """
    debt: uint256 = balance_sheet._total_debt_up(stored)
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        RATE_MODEL,
        abi_encode(stored.cash, debt, method_id=method_id("borrow_rate(uint256,uint256)")),
        max_outsize=32,
        gas=RATE_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) < 32:
        return FALLBACK_RATE, True
    return min(convert(response, uint256), MAX_RATE), False


@internal
@pure
def _grow(
    stored: IMarginVault.BalanceSheet, rate: uint256, timestamp: uint256, reserve_factor: uint256
) -> IMarginVault.BalanceSheet:
    """
    @notice Three terms of exp(rate * elapsed) on the debt index; the utilised part, less the reserve's, on the supply index.
    @dev For example 10 % a year for a year at 50 % utilisation and a reserve factor of 10 %: debt index 1.10517,
         supply index 1.04732.
    """
    sheet: IMarginVault.BalanceSheet = stored
    sheet.last_accrual = timestamp
    # Time does not run backwards.
    elapsed: uint256 = unsafe_sub(timestamp, stored.last_accrual)

    # rate < 2**37 and elapsed < 2**41: x < 2**78, x**3 < 2**234.
    x: uint256 = unsafe_mul(rate, elapsed)
    x_squared: uint256 = unsafe_mul(x, x)
    growth: uint256 = unsafe_add(
        unsafe_add(x, unsafe_div(x_squared, 2 * fixed_point.WAD)),
        unsafe_div(unsafe_mul(x_squared, x), 6 * fixed_point.PRICE_SCALE),
    )
    # debt_index < 2**76 and growth < 2**113.
    sheet.debt_index = min(
        unsafe_div(unsafe_mul(stored.debt_index, unsafe_add(fixed_point.WAD, growth)), fixed_point.WAD),
        balance_sheet.MAX_INDEX,
    )

    # Cash and debt, each times 1e18, are below 2**180, see balance_sheet; times 1e18 below 2**240.
    debt: uint256 = unsafe_mul(stored.total_scaled_debt, stored.debt_index)
    if debt == 0:
        return sheet
    scaled_assets: uint256 = unsafe_add(unsafe_mul(stored.cash, fixed_point.WAD), debt)
    utilisation: uint256 = unsafe_div(unsafe_mul(fixed_point.WAD, debt), scaled_assets)
    # The index starts at 1e18 and never falls, so it is not zero and the ratio is below 2**76.
    index_growth: uint256 = unsafe_div(
        unsafe_mul(fixed_point.WAD, unsafe_sub(sheet.debt_index, stored.debt_index)), stored.debt_index
    )
    # index_growth < 2**76, utilisation <= 1e18, reserve_factor <= 1e18: the product < 2**196.
    lenders_growth: uint256 = unsafe_div(
        unsafe_mul(unsafe_mul(index_growth, utilisation), unsafe_sub(fixed_point.WAD, reserve_factor)),
        fixed_point.WAD,
    )
    # supply_index < 2**76 and the factor < 2**137.
    sheet.supply_index = min(
        unsafe_div(
            unsafe_mul(stored.supply_index, unsafe_add(fixed_point.PRICE_SCALE, lenders_growth)),
            fixed_point.PRICE_SCALE,
        ),
        balance_sheet.MAX_INDEX,
    )
    return sheet
