# pragma version 0.4.3
"""
@title fixed_point
@license GNU Affero General Public License v3.0 only
@notice The two scales and the one division that rounds up.
"""

# LTVs, rates, indices and shares of something: 1e18 is one.
WAD: constant(uint256) = 10**18
# `(x + WAD_UP) / WAD` is `ceil(x / WAD)`, without a call, wherever x is far below 2**256.
WAD_UP: constant(uint256) = 10**18 - 1
# Prices, in asset units per collateral unit: 1e36 is one unit for one.
PRICE_SCALE: constant(uint256) = 10**36


@internal
@pure
def _div_up(dividend: uint256, divisor: uint256) -> uint256:
    """
    @notice `ceil(dividend / divisor)`, for example ceil(7 / 2) = 4. Valid for a non-zero divisor.
    """
    if dividend == 0:
        return 0
    # dividend - 1 is at most 2**256 - 2, and so is its quotient.
    return unsafe_add(unsafe_div(unsafe_sub(dividend, 1), divisor), 1)
