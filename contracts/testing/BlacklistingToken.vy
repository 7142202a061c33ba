# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Blacklisting Token
@license GNU Affero General Public License v3.0 only
@notice A token that refuses to move from or to the accounts on its list, as USDC and USDT do.
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


is_blacklisted: public(HashMap[address, bool])


@deploy
def __init__(token_name: String[32], token_symbol: String[16], token_decimals: uint8):
    """
    @param token_name The token's name.
    @param token_symbol The token's ticker.
    @param token_decimals Decimal places of one whole token.
    """
    plain_erc20.__init__(token_name, token_symbol, token_decimals)


@external
def set_blacklisted(account: address, blacklisted: bool):
    """
    @notice Put an account on the list, or take it off.
    @param account Account concerned.
    @param blacklisted True to stop its transfers.
    """
    self.is_blacklisted[account] = blacklisted


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Send the caller's tokens, unless either side is listed.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    self._move_unlisted(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Send tokens that the owner lets the caller spend, unless either side is listed.
    @param owner Account that pays.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    plain_erc20._spend_allowance(owner, amount)
    self._move_unlisted(owner, receiver, amount)
    return True


@internal
def _move_unlisted(owner: address, receiver: address, amount: uint256):
    assert not (self.is_blacklisted[owner] or self.is_blacklisted[receiver]), "account is blacklisted"
    plain_erc20._move(owner, receiver, amount)
