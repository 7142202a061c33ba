"""What a position owes, what its collateral is worth, and how the two compare.

Mirrors contracts/modules/health.vy. Debts and values are in asset units, scaled debt in scaled
asset units, indices and LTVs scaled 1e18, prices in asset units per collateral unit scaled 1e36.
"""

from __future__ import annotations

from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD, div_up


def debt_up(scaled_debt: int, debt_index: int) -> int:
    """Return ceil(scaled_debt * debt_index / 1e18), asset units.

    >>> debt_up(100, 105 * WAD // 100)
    105
    """
    return div_up(scaled_debt * debt_index, WAD)


def scaled_up(amount: int, debt_index: int) -> int:
    """Return the scaled debt that borrowing `amount` asset units adds."""
    return div_up(amount * WAD, debt_index)


def scaled_down(amount: int, debt_index: int) -> int:
    """Return the scaled debt that `amount` asset units retire."""
    return amount * WAD // debt_index


def repay_amounts(scaled_debt: int, debt_index: int, amount: int, min_debt: int) -> tuple[int, int]:
    """Return the scaled debt that at most `amount` retires, and what it costs, asset units.

    Clamps to what is owed. Stops at `min_debt` unless it repays all; a debt already below may be
    repaid in any part.

    >>> repay_amounts(100, WAD, amount=95, min_debt=10)
    (90, 90)
    """
    debt = debt_up(scaled_debt, debt_index)
    if amount >= debt:
        return scaled_debt, debt
    repaid = amount
    if debt >= min_debt and debt - amount < min_debt:
        repaid = debt - min_debt
    retired = scaled_down(repaid, debt_index)
    return retired, debt_up(retired, debt_index)


def value_down(collateral: int, price: int) -> int:
    """Return floor(collateral * price / 1e36), asset units.

    A product that no uint256 holds counts as the largest one, which is more than any debt.
    """
    return min(collateral * price, MAX_UINT256) // PRICE_SCALE


def is_healthy(debt: int, collateral_value: int, ltv: int) -> bool:
    """Return whether debt / collateral_value <= ltv, without dividing; true without debt."""
    return debt * WAD <= collateral_value * ltv


def ltv_up(debt: int, collateral_value: int) -> int:
    """Return ceil(debt / collateral_value), 1e18; the largest uint256 for debt without value."""
    if debt == 0:
        return 0
    if collateral_value == 0:
        return MAX_UINT256
    return div_up(debt * WAD, collateral_value)


def backing_needed_up(debt: int, backing: int, ltv: int) -> int:
    """Return the smallest price, 1e36, at which `backing` collateral units hold `debt` in `ltv`.

    Or, given a price, the smallest collateral that does so. 0 without debt.

    >>> backing_needed_up(86, 1, 86 * WAD // 100) == 100 * PRICE_SCALE
    True
    """
    if debt == 0:
        return 0
    return div_up(div_up(debt * WAD, ltv) * PRICE_SCALE, backing)


def debt_bound_down(collateral_value: int, ltv: int) -> int:
    """Return the largest debt within `ltv`, asset units."""
    return collateral_value * ltv // WAD


def room_down(scaled_debt: int, debt_index: int, bound: int) -> int:
    """Return what may be borrowed on top so that the debt, rounded up, stays within `bound`."""
    largest = scaled_down(bound, debt_index)
    if largest <= scaled_debt:
        return 0
    return (largest - scaled_debt) * debt_index // WAD
