# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Morpho Oracle
@license GNU Affero General Public License v3.0 only
@notice Lets a vault read any deployed oracle that gives `price()` scaled 1e36, as the markets of Morpho Blue do.
@dev Both prices of a quote are the source's. Whether a stale feed or a stopped sequencer is noticed is up to the source.
@custom:security Nothing can be changed after deployment, by anyone; what the source's makers can change, they still can.
"""

from ..interfaces import IMorphoOracle
from ..interfaces import IPriceOracle
from . import price_math

implements: IPriceOracle


source: public(immutable(IMorphoOracle))


@deploy
def __init__(source_oracle: IMorphoOracle, reference_price: uint256, tolerance: uint256):
    """
    @param source_oracle Oracle that is wrapped.
    @param reference_price The price expected, asset units per collateral unit scaled 1e36.
    @param tolerance Greatest distance from it, as a fraction scaled 1e18; at most 50 %.
    """
    assert source_oracle.address.is_contract, "oracle is missing"
    source = source_oracle
    price_math._require_near(self._price(), reference_price, tolerance)


@view
@external
def quote() -> (uint256, uint256):
    """
    @notice The source's price, twice.
    @return low Asset units per collateral unit, scaled 1e36; above zero.
    @return high The same number.
    """
    price: uint256 = self._price()
    return price, price


@view
@internal
def _price() -> uint256:
    price: uint256 = staticcall source.price()
    assert price != 0, "price is not positive"
    return price
