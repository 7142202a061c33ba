# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title False Returning Token
@license GNU Affero General Public License v3.0 only
@notice A token that returns false and moves nothing where others revert.
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
    @notice Send the caller's tokens, or say that it failed.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return False when the caller has less.
    """
    if plain_erc20.balanceOf[msg.sender] < amount:
        return False
    plain_erc20._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Send tokens that the owner lets the caller spend, or say that it failed.
    @param owner Account that pays.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return False when the owner has less, or lets the caller spend less.
    """
    if min(plain_erc20.balanceOf[owner], plain_erc20.allowance[owner][msg.sender]) < amount:
        return False
    plain_erc20._spend_allowance(owner, amount)
    plain_erc20._move(owner, receiver, amount)
    return True
