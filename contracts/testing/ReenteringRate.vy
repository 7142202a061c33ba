# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Re-entering Rate
@license GNU Affero General Public License v3.0 only
@notice A rate model that calls back before it answers, and answers only if the call went through.
@dev A view can call nothing but views: the call changes no state. Its revert is passed on word for word.
"""

from ..interfaces import IRateModel

implements: IRateModel


MAX_CALLDATA: constant(uint256) = 2048
MAX_OUTPUT: constant(uint256) = 256

target: public(address)
call_data: Bytes[MAX_CALLDATA]
_rate: immutable(uint256)


@deploy
def __init__(rate: uint256):
    """
    @param rate The answer, per second scaled 1e18.
    """
    _rate = rate


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
def borrow_rate(cash: uint256, debt: uint256) -> uint256:
    """
    @notice The rate, once the armed call went through.
    @param cash Ignored.
    @param debt Ignored.
    @return The rate given at deployment, per second scaled 1e18.
    """
    self._reenter()
    return _rate


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
