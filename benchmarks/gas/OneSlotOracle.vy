# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title One Slot Oracle
@license GNU Affero General Public License v3.0 only
@notice The oracle of the gas benchmark: one price in one storage word, low and high alike.
"""


_price: uint256


@deploy
def __init__(price: uint256):
    """
    @param price First answer, asset units per collateral unit scaled 1e36.
    """
    self._price = price


@external
def set_price(price: uint256):
    """
    @notice Change the answer.
    @param price The answer, asset units per collateral unit scaled 1e36.
    """
    self._price = price


@external
@view
def quote() -> (uint256, uint256):
    """
    @notice What was last set.
    @return low The answer.
    @return high The same.
    """
    price: uint256 = self._price
    return price, price
