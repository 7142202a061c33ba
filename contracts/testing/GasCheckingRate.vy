# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Gas-checking Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that refuses at once, gas in hand, when it is given less than it asks for.
@dev The model that makes the 63/64 rule worth an attack: it fails without burning what its caller needs to go on.
"""

from ..interfaces import IRateModel

implements: IRateModel


WANTED: constant(uint256) = 95_000

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
    @notice The rate given at deployment, if there is gas enough.
    @param cash Ignored.
    @param debt Ignored.
    @return Rate per second scaled 1e18.
    """
    assert msg.gas >= WANTED, "not enough gas for the model"
    return _rate
