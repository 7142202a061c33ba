# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Oversized Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that answers with two words where one is expected.
"""

_rate: immutable(uint256)


@deploy
def __init__(rate: uint256):
    """
    @param rate Each of the two words, per second scaled 1e18.
    """
    _rate = rate


@view
@external
def borrow_rate(cash: uint256, debt: uint256) -> (uint256, uint256):
    """
    @notice The rate, twice.
    @param cash Ignored.
    @param debt Ignored.
    @return The rate given at deployment, per second scaled 1e18, and the same again.
    """
    return _rate, _rate
