# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Calling Oracle
@license GNU Affero General Public License v3.0 only
@notice An oracle and a rate model in one that makes a call that changes state, once, wherever it is let.
@dev Asked by a static call it cannot, and answers all the same.
"""

MAX_CALLDATA: constant(uint256) = 2048
CALL_GAS: constant(uint256) = 1_000_000

_price: immutable(uint256)
_target: address
_call_data: Bytes[MAX_CALLDATA]

has_called: public(bool)


@deploy
def __init__(price: uint256):
    """
    @param price The answer of `quote`, asset units per collateral unit scaled 1e36.
    """
    _price = price


@external
def arm(called: address, data: Bytes[MAX_CALLDATA]):
    """
    @notice Choose the call that the next answer makes first.
    @param called Contract that is called.
    @param data Its call data.
    """
    self._target = called
    self._call_data = data


@external
def quote() -> (uint256, uint256):
    """
    @notice The price, after the armed call.
    @return low The price given at deployment.
    @return high The same number.
    """
    self._attack()
    return _price, _price


@external
def borrow_rate(cash: uint256, debt: uint256) -> uint256:
    """
    @notice No interest, after the armed call.
    @param cash Ignored.
    @param debt Ignored.
    @return 0.
    """
    self._attack()
    return 0


@external
def fire():
    """
    @notice Make the armed call, and forget it. In a static call it halts at the first word it writes.
    """
    target: address = self._target
    # Disarmed first: the call itself may ask for a price.
    self._target = empty(address)
    self.has_called = raw_call(target, self._call_data, revert_on_failure=False)


@internal
def _attack():
    if self._target != empty(address):
        _success: bool = raw_call(self, method_id("fire()"), gas=CALL_GAS, revert_on_failure=False)
