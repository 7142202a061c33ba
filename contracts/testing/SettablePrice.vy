# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Settable Price
@license GNU Affero General Public License v3.0 only
@notice An oracle in the manner of Morpho's that answers what it was last told, zero too.
"""

from ..interfaces import IMorphoOracle

implements: IMorphoOracle


price: public(uint256)


@deploy
def __init__(first_price: uint256):
    """
    @param first_price First answer, asset units per collateral unit scaled 1e36.
    """
    self.price = first_price


@external
def set_price(new_price: uint256):
    """
    @notice Change the answer.
    @param new_price The answer, asset units per collateral unit scaled 1e36.
    """
    self.price = new_price
