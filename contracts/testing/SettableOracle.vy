# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Settable Oracle
@license GNU Affero General Public License v3.0 only
@notice A price oracle that answers what it was last told, sensible or not.
@dev Checks nothing: zero, and `low` above `high`, are what a vault must survive.
"""

from ..interfaces import IPriceOracle

implements: IPriceOracle


_low: uint256
_high: uint256


@deploy
def __init__(low: uint256, high: uint256):
    """
    @param low First answer, asset units per collateral unit scaled 1e36.
    @param high Second answer, same scale.
    """
    self._low = low
    self._high = high


@external
def set_quote(low: uint256, high: uint256):
    """
    @notice Change both answers.
    @param low First answer, asset units per collateral unit scaled 1e36.
    @param high Second answer, same scale.
    """
    self._low = low
    self._high = high


@external
def set_price(price: uint256):
    """
    @notice Make both answers the same.
    @param price The answer, asset units per collateral unit scaled 1e36.
    """
    self._low = price
    self._high = price


@view
@external
def quote() -> (uint256, uint256):
    """
    @notice What was last set.
    @return low First answer.
    @return high Second answer.
    """
    return self._low, self._high
