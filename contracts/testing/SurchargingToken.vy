# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Surcharging Token
@license GNU Affero General Public License v3.0 only
@notice A token whose transfers burn one unit more from the sender: as much arrives as was sent, and more has left.
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


@deploy
def __init__(token_name: String[32], token_symbol: String[16], token_decimals: uint8):
    """
    @param token_name The token's name.
    @param token_symbol The token's ticker.
    @param token_decimals Decimal places of one whole token.
    """
    plain_erc20.__init__(token_name, token_symbol, token_decimals)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Send the caller's tokens, and burn one more.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    plain_erc20._burn(msg.sender, 1)
    plain_erc20._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Send tokens that the owner lets the caller spend, and burn one more of the owner's.
    @param owner Account that pays.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    plain_erc20._spend_allowance(owner, amount)
    plain_erc20._burn(owner, 1)
    plain_erc20._move(owner, receiver, amount)
    return True
