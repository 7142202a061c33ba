# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Re-entering Oracle
@license GNU Affero General Public License v3.0 only
@notice A price oracle that calls back before it answers, and answers only if the call went through.
@dev A view can call nothing but views: the call changes no state. Its revert is passed on word for word.
"""

from ..interfaces import IPriceOracle

implements: IPriceOracle


MAX_CALLDATA: constant(uint256) = 2048
MAX_OUTPUT: constant(uint256) = 256

target: public(address)
call_data: Bytes[MAX_CALLDATA]
_price: immutable(uint256)


@deploy
def __init__(price: uint256):
    """
    @param price The answer, asset units per collateral unit scaled 1e36.
    """
    _price = price


@external
def arm(called: address, data: Bytes[MAX_CALLDATA]):
    """
    @notice Choose the call that every later answer makes first.
    @param called Contract that is called; empty for none.
    @param data Its call data.
    """
    self.target = called
    self.call_data = data


@view
@external
def quote() -> (uint256, uint256):
    """
    @notice The price, once the armed call went through.
    @return low The price given at deployment.
    @return high The same number.
    """
    self._reenter()
    return _price, _price


@view
@internal
def _reenter():
    if self.target == empty(address):
        return
    succeeded: bool = False
    output: Bytes[MAX_OUTPUT] = b""
    succeeded, output = raw_call(
        self.target, self.call_data, max_outsize=MAX_OUTPUT, is_static_call=True, revert_on_failure=False
    )
    if not succeeded:
        raw_revert(output)
