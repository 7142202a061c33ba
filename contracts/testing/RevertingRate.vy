# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Reverting Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that reverts.
"""

from ..interfaces import IRateModel

implements: IRateModel


@view
@external
def borrow_rate(cash: uint256, debt: uint256) -> uint256:
    """
    @notice Reverts.
    @param cash Ignored.
    @param debt Ignored.
    @return Nothing ever.
    """
    raise "rate model is broken"
