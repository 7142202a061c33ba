# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Settable Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that answers what it was last told.
"""

from ..interfaces import IRateModel

implements: IRateModel


_rate: uint256


@deploy
def __init__(rate: uint256):
    """
    @param rate First answer, per second scaled 1e18.
    """
    self._rate = rate


@external
def set_rate(rate: uint256):
    """
    @notice Change the answer.
    @param rate The answer, per second scaled 1e18.
    """
    self._rate = rate


@view
@external
def borrow_rate(cash: uint256, debt: uint256) -> uint256:
    """
    @notice What was last set.
    @param cash Ignored.
    @param debt Ignored.
    @return The rate, per second scaled 1e18.
    """
    return self._rate
