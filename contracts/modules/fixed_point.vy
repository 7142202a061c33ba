# pragma version 0.4.3
"""
@title fixed_point
@license GNU Affero General Public License v3.0 only
@notice The two scales and the one division that rounds up.
"""

# LTVs, rates, indices and shares of something: 1e18 is one.
WAD: constant(uint256) = 10**18
# Prices, in asset units per collateral unit: 1e36 is one unit for one.
# `(x + WAD_UP) / WAD` is `ceil(x / WAD)`, without a call, wherever x is far below 2**256.
WAD_UP: constant(uint256) = 10**18 - 1
PRICE_SCALE: constant(uint256) = 10**36


@internal
@pure
def _div_up(dividend: uint256, divisor: uint256) -> uint256:
    """
    @notice `ceil(dividend / divisor)`, for example ceil(7 / 2) = 4. Valid for a non-zero divisor.
    """
    if dividend == 0:
        return 0
    # dividend >= 1, and the quotient of dividend - 1 is below the largest uint256 or the divisor is 1 with dividend - 1.
    return unsafe_add(unsafe_div(unsafe_sub(dividend, 1), divisor), 1)
