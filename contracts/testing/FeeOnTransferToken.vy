# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Fee On Transfer Token
@license GNU Affero General Public License v3.0 only
@notice A token that burns a part of every transfer, so that less arrives than was sent.
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


BPS: constant(uint256) = 10_000

fee_bps: public(uint256)


@deploy
def __init__(token_name: String[32], token_symbol: String[16], token_decimals: uint8, fee: uint256):
    """
    @param token_name The token's name.
    @param token_symbol The token's ticker.
    @param token_decimals Decimal places of one whole token.
    @param fee Part of a transfer that is burnt, basis points.
    """
    plain_erc20.__init__(token_name, token_symbol, token_decimals)
    self.fee_bps = fee


@external
def set_fee(fee: uint256):
    """
    @notice Change the fee: a token may seem sound while a vault is created.
    @param fee Part of a transfer that is burnt, basis points.
    """
    self.fee_bps = fee


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Send the caller's tokens less the fee.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    self._move_less_fee(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Send tokens that the owner lets the caller spend, less the fee.
    @param owner Account that pays.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    plain_erc20._spend_allowance(owner, amount)
    self._move_less_fee(owner, receiver, amount)
    return True


@internal
def _move_less_fee(owner: address, receiver: address, amount: uint256):
    fee: uint256 = amount * self.fee_bps // BPS
    plain_erc20._burn(owner, fee)
    plain_erc20._move(owner, receiver, amount - fee)
