# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Re-entering Token
@license GNU Affero General Public License v3.0 only
@notice A token that makes a call of its own in the middle of a transfer, once, and remembers how the call ended.
"""

from ethereum.ercs import IERC20

from . import plain_erc20

implements: IERC20

initializes: plain_erc20

exports: (
    plain_erc20.name,
    plain_erc20.symbol,
    plain_erc20.decimals,
    plain_erc20.balanceOf,
    plain_erc20.allowance,
    plain_erc20.totalSupply,
    plain_erc20.mint,
    plain_erc20.approve,
)


MAX_CALLDATA: constant(uint256) = 2048
MAX_OUTPUT: constant(uint256) = 256

target: public(address)
call_data: Bytes[MAX_CALLDATA]

has_called: public(bool)
call_succeeded: public(bool)
call_output: public(Bytes[MAX_OUTPUT])


@deploy
def __init__(token_name: String[32], token_symbol: String[16], token_decimals: uint8):
    """
    @param token_name The token's name.
    @param token_symbol The token's ticker.
    @param token_decimals Decimal places of one whole token.
    """
    plain_erc20.__init__(token_name, token_symbol, token_decimals)


@external
def arm(called: address, data: Bytes[MAX_CALLDATA]):
    """
    @notice Choose the call that the next transfer makes, and forget the last one.
    @param called Contract that is called.
    @param data Its call data.
    """
    self.target = called
    self.call_data = data
    self.has_called = False
    self.call_succeeded = False
    self.call_output = b""


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Send the caller's tokens, after the armed call.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    self._reenter()
    plain_erc20._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Send tokens that the owner lets the caller spend, after the armed call.
    @param owner Account that pays.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    self._reenter()
    plain_erc20._spend_allowance(owner, amount)
    plain_erc20._move(owner, receiver, amount)
    return True


@internal
def _reenter():
    called: address = self.target
    if called == empty(address):
        return
    # Disarmed first: the call itself may move this token.
    self.target = empty(address)
    succeeded: bool = False
    output: Bytes[MAX_OUTPUT] = b""
    succeeded, output = raw_call(called, self.call_data, max_outsize=MAX_OUTPUT, revert_on_failure=False)
    self.has_called = True
    self.call_succeeded = succeeded
    self.call_output = output
