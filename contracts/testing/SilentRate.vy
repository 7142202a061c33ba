# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Silent Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that succeeds and returns nothing at all.
"""

@view
@external
def borrow_rate(cash: uint256, debt: uint256):
    """
    @notice Says nothing.
    @param cash Ignored.
    @param debt Ignored.
    """
    pass
