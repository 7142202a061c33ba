# pragma version 0.4.3
"""
@title tokens
@license GNU Affero General Public License v3.0 only
@notice Moves tokens; takes ERC-20s that return true and those that return nothing.
@dev Both tokens are known to be contracts that deliver what they are told: the factory's probe moved them in and out.
"""

from ethereum.ercs import IERC20

from . import errors


@internal
def _pull(token: address, amount: uint256):
    """
    @notice Takes `amount` token units from the caller, and only from the caller (ISO-2).
    """
    errors._check_transfer(
        extcall IERC20(token).transferFrom(
            msg.sender, self, amount, default_return_value=True, skip_contract_check=True
        )
    )


@internal
def _push(token: address, receiver: address, amount: uint256):
    """
    @notice Sends `amount` token units to `receiver`.
    """
    errors._check_receiver(receiver)
    errors._check_transfer(
        extcall IERC20(token).transfer(receiver, amount, default_return_value=True, skip_contract_check=True)
    )
