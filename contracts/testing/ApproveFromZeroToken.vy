# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Approve From Zero Token
@license GNU Affero General Public License v3.0 only
@notice A token that replaces no allowance by another, unless one of the two is zero, as USDT does.
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
    plain_erc20.transfer,
    plain_erc20.transferFrom,
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
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Let an account spend the caller's tokens, from zero or down to it.
    @param spender Account that may spend.
    @param amount Amount it may spend, token units.
    @return Always true.
    """
    assert min(amount, plain_erc20.allowance[msg.sender][spender]) == 0, "allowance is not zero"
    plain_erc20._approve(msg.sender, spender, amount)
    return True
