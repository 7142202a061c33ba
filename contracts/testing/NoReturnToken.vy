# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title No Return Token
@license GNU Affero General Public License v3.0 only
@notice A token whose transfers and approvals return nothing, as USDT's do: a failure reverts.
"""

from . import plain_erc20

initializes: plain_erc20

exports: (
    plain_erc20.name,
    plain_erc20.symbol,
    plain_erc20.decimals,
    plain_erc20.balanceOf,
    plain_erc20.allowance,
    plain_erc20.totalSupply,
    plain_erc20.mint,
)


@deploy
def __init__(token_name: String[32], token_symbol: String[16], token_decimals: uint8):
    """
    @param token_name The token's name.
    @param token_symbol The token's ticker.
    @param token_decimals Decimal places of one whole token.
    """
    plain_erc20.__init__(token_name, token_symbol, token_decimals)


@external
def approve(spender: address, amount: uint256):
    """
    @notice Let an account spend the caller's tokens, saying nothing.
    @param spender Account that may spend.
    @param amount Amount it may spend, token units.
    """
    plain_erc20._approve(msg.sender, spender, amount)


@external
def transfer(receiver: address, amount: uint256):
    """
    @notice Send the caller's tokens, saying nothing.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    """
    plain_erc20._move(msg.sender, receiver, amount)


@external
def transferFrom(owner: address, receiver: address, amount: uint256):
    """
    @notice Send tokens that the owner lets the caller spend, saying nothing.
    @param owner Account that pays.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    """
    plain_erc20._spend_allowance(owner, amount)
    plain_erc20._move(owner, receiver, amount)
