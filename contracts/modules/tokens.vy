# pragma version 0.4.3
"""
@title tokens
@license GNU Affero General Public License v3.0 only
@notice The two tokens of a market and the two ways they move; takes ERC-20s that return true and those that return
        nothing.
@dev The factory's probe moved both in and out; a token whose code is gone since moves nothing and is refused.
"""

from ethereum.ercs import IERC20

from . import errors


ASSET: immutable(address)
COLLATERAL: immutable(address)


@deploy
def __init__(asset: address, collateral_token: address):
    ASSET = asset
    COLLATERAL = collateral_token


@internal
def _pull(token: address, amount: uint256):
    """
    @notice Takes `amount` token units from the caller, and only from the caller (ISO-2).
    """
    if not extcall IERC20(token).transferFrom(
        msg.sender, self, amount, default_return_value=True
    ):
        errors._raise(errors.TRANSFER_FAILED)


@internal
def _push(token: address, receiver: address, amount: uint256):
    """
    @notice Sends `amount` token units to `receiver`.
    """
    errors._check_receiver(receiver)
    if not extcall IERC20(token).transfer(
        receiver, amount, default_return_value=True
    ):
        errors._raise(errors.TRANSFER_FAILED)
