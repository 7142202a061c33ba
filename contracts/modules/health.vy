# pragma version 0.4.3
"""
@title health
@license GNU Affero General Public License v3.0 only
@notice What a position owes, what its collateral is worth, and how the two compare. Pure maths.
@dev Widths: collateral < 2**112, scaled debt < 2**104, index < 2**76, so debt < 2**121 and value < 2**137.
"""

from . import fixed_point


@internal
@pure
def _debt_up(scaled_debt: uint256, debt_index: uint256) -> uint256:
    """
    @notice `ceil(scaled_debt * debt_index / 1e18)`, asset units; 100 scaled at 1.05 owe 105.
    """
    # 2**104 * 2**76 = 2**180.
    return unsafe_div(unsafe_add(unsafe_mul(scaled_debt, debt_index), fixed_point.WAD_UP), fixed_point.WAD)


@internal
@pure
def _scaled_up(amount: uint256, debt_index: uint256) -> uint256:
    """
    @notice Scaled debt that borrowing `amount` asset units adds. Valid for amount < 2**196.
    """
    return fixed_point._div_up(unsafe_mul(amount, fixed_point.WAD), debt_index)


@internal
@pure
def _scaled_down(amount: uint256, debt_index: uint256) -> uint256:
    """
    @notice Scaled debt that `amount` asset units retire. Valid for amount < 2**196.
    """
    # The index is at least 1e18.
    return unsafe_div(unsafe_mul(amount, fixed_point.WAD), debt_index)


@internal
@pure
def _repay_amounts(
    scaled_debt: uint256, debt_index: uint256, amount: uint256, min_debt: uint256
) -> (uint256, uint256):
    """
    @notice Scaled debt that a repayment of at most `amount` retires, and what it costs, asset units, rounded up.
    @dev Clamps to what is owed. Stops at `min_debt` unless it repays all; a debt already below may be repaid in any part.
    """
    debt: uint256 = self._debt_up(scaled_debt, debt_index)
    if amount >= debt:
        return scaled_debt, debt
    repaid: uint256 = amount
    # amount < debt.
    if debt >= min_debt and unsafe_sub(debt, amount) < min_debt:
        repaid = unsafe_sub(debt, min_debt)
    retired: uint256 = self._scaled_down(repaid, debt_index)
    # retired * index <= repaid * 1e18, so this is at most `repaid`.
    return retired, self._debt_up(retired, debt_index)


@internal
@pure
def _value_down(collateral: uint256, price: uint256) -> uint256:
    """
    @notice `floor(collateral * price / 1e36)`, asset units; what no uint256 holds counts as the largest one, which is
            more than any debt can reach.
    """
    if collateral == 0:
        return 0
    # The quotient is below 2**256 wherever the product is.
    if price > unsafe_div(max_value(uint256), collateral):
        return max_value(uint256) // fixed_point.PRICE_SCALE
    return unsafe_div(unsafe_mul(collateral, price), fixed_point.PRICE_SCALE)


@internal
@pure
def _is_healthy(debt: uint256, collateral_value: uint256, ltv: uint256) -> bool:
    """
    @notice `debt / collateral_value <= ltv` without dividing. Healthy without debt.
    """
    # debt < 2**121, value < 2**137, ltv <= 1e18 < 2**60.
    return unsafe_mul(debt, fixed_point.WAD) <= unsafe_mul(collateral_value, ltv)


@internal
@pure
def _ltv_up(debt: uint256, collateral_value: uint256) -> uint256:
    """
    @notice `ceil(debt / collateral_value)`, 1e18; the largest uint256 when there is debt and no value, 0 without debt.
    """
    if debt == 0:
        return 0
    if collateral_value == 0:
        return max_value(uint256)
    return fixed_point._div_up(unsafe_mul(debt, fixed_point.WAD), collateral_value)


@internal
@pure
def _backing_needed_up(debt: uint256, backing: uint256, ltv: uint256) -> uint256:
    """
    @notice Smallest price, 1e36, at which `backing` collateral units bring `debt` within `ltv`: healthy iff price >= it;
            or, given a price, the smallest collateral that does so. 0 without debt.
    """
    # The value needed is debt / ltv < 2**129, as every LTV is above 0.005; times 1e36 < 2**249.
    value_needed: uint256 = fixed_point._div_up(unsafe_mul(debt, fixed_point.WAD), ltv)
    return fixed_point._div_up(unsafe_mul(value_needed, fixed_point.PRICE_SCALE), backing)


@internal
@pure
def _debt_bound_down(collateral_value: uint256, ltv: uint256) -> uint256:
    """
    @notice Largest debt within `ltv`, asset units.
    """
    # 2**137 * 2**60.
    return unsafe_div(unsafe_mul(collateral_value, ltv), fixed_point.WAD)


@internal
@pure
def _room_down(scaled_debt: uint256, debt_index: uint256, bound: uint256) -> uint256:
    """
    @notice What can be borrowed on top of `scaled_debt` so that the debt, rounded up, stays within `bound`, asset units.
    """
    # bound < 2**137, see _debt_bound_down: times 1e18 < 2**197.
    largest: uint256 = self._scaled_down(bound, debt_index)
    if largest <= scaled_debt:
        return 0
    # largest * index <= bound * 1e18.
    return unsafe_div(unsafe_mul(unsafe_sub(largest, scaled_debt), debt_index), fixed_point.WAD)
