# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Gas Burning Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that burns all the gas it gets.
"""

from ..interfaces import IRateModel

implements: IRateModel


@view
@external
def borrow_rate(cash: uint256, debt: uint256) -> uint256:
    """
    @notice Burns the gas.
    @param cash Ignored.
    @param debt Ignored.
    @return Nothing ever.
    """
    raise UNREACHABLE
