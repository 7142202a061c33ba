"""The two scales and the one division that rounds up; mirrors contracts/modules/fixed_point.vy."""

WAD = 10**18
"""LTVs, rates, indices and shares of something: one is 1e18."""

PRICE_SCALE = 10**36
"""Prices, in asset units per collateral unit: one unit for one is 1e36."""

WAD_UP = WAD - 1
"""What makes a division by WAD round up when it is added first."""

MAX_UINT256 = 2**256 - 1


def div_up(dividend: int, divisor: int) -> int:
    """Return ceil(dividend / divisor) of numbers that are not negative, the divisor not zero.

    >>> div_up(7, 2)
    4
    """
    return -(-dividend // divisor)
