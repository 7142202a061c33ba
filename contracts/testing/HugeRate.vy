# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Huge Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that asks for the largest number there is.
"""

from ..interfaces import IRateModel

implements: IRateModel


@view
@external
def borrow_rate(cash: uint256, debt: uint256) -> uint256:
    """
    @notice The largest number.
    @param cash Ignored.
    @param debt Ignored.
    @return 2 ** 256 - 1.
    """
    return max_value(uint256)
