# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Kinked Curve
@license GNU Affero General Public License v3.0 only
@notice A borrow rate that climbs with utilisation along two straight lines.
@dev Pure; mirrored by ringfence/math/rates.py. With base 0, kink 0.8, and slopes of 5 % and 200 % a year per unit of
     utilisation, a market 90 % lent out pays 0.05 * 0.8 + 2 * 0.1 = 24 % a year.
"""


WAD: constant(uint256) = 10**18


@pure
@internal
def _utilisation_down(cash: uint256, debt: uint256) -> uint256:
    """
    @notice floor(1e18 * debt / (cash + debt)); an empty market has none.
    @param cash Assets that lie idle, asset units, below 2 ** 128.
    @param debt Assets lent out, asset units, below 2 ** 128.
    @return Part of the assets that is lent out, scaled 1e18.
    """
    if debt == 0:
        return 0
    return debt * WAD // (cash + debt)


@pure
@internal
def _line_down(start: uint256, slope: uint256, distance: uint256) -> uint256:
    """
    @notice start + floor(slope * distance / 1e18).
    @param start Rate where the line begins, per second scaled 1e18.
    @param slope Rate gained over a whole unit of utilisation, per second scaled 1e18, below 2 ** 128.
    @param distance Utilisation past the line's beginning, scaled 1e18, at most 1e18.
    @return Rate, per second scaled 1e18.
    """
    # 128 bits times 60 bits; the quotient and the start are below 2 ** 128 each.
    return unsafe_add(start, unsafe_div(unsafe_mul(slope, distance), WAD))
