# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Gas Burning Oracle
@license GNU Affero General Public License v3.0 only
@notice A price oracle that answers until it is broken, and then burns all the gas it gets.
"""

from ..interfaces import IPriceOracle

implements: IPriceOracle


is_broken: public(bool)
_price: immutable(uint256)


@deploy
def __init__(price: uint256):
    """
    @param price The answer while the oracle is sound, asset units per collateral unit scaled 1e36.
    """
    _price = price


@external
def set_broken(broken: bool):
    """
    @notice Break the oracle, or mend it.
    @param broken True to break it.
    """
    self.is_broken = broken


@view
@external
def quote() -> (uint256, uint256):
    """
    @notice The price, while the oracle is sound.
    @return low The price given at deployment.
    @return high The same number.
    """
    assert not self.is_broken, UNREACHABLE
    return _price, _price
