# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Fixed Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that knows one rate, whatever the market's state.
"""

from ..interfaces import IRateModel

implements: IRateModel


_rate: immutable(uint256)


@deploy
def __init__(rate: uint256):
    """
    @param rate The answer, per second scaled 1e18.
    """
    _rate = rate


@view
@external
def borrow_rate(cash: uint256, debt: uint256) -> uint256:
    """
    @notice The one rate.
    @param cash Ignored.
    @param debt Ignored.
    @return The rate given at deployment, per second scaled 1e18.
    """
    return _rate
