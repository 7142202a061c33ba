# pragma version 0.4.3
"""
@title errors
@license GNU Affero General Public License v3.0 only
@notice The one place that reverts with a reason, and the facts that are checked in several places.
@dev A literal `assert ..., "reason"` costs about 110 bytes of code a piece; a call to `_raise` costs half of that, and
     a shared check a quarter: that is what keeps the vault within its size.
"""


@internal
@pure
def _raise(reason: String[32]):
    raise reason


@internal
@pure
def _check_not_zero(amount: uint256):
    if amount == 0:
        self._raise("amount is zero")


@internal
@pure
def _check_width(amount: uint256):
    """
    @notice No amount of this market reaches 2**113; beyond, sums and products would leave 256 bits.
    """
    if amount >> 113 != 0:
        self._raise("amount exceeds its width")


@internal
@pure
def _check_amount(amount: uint256):
    self._check_not_zero(amount)
    self._check_width(amount)


@internal
@pure
def _check_cash(amount: uint256, cash: uint256):
    if amount > cash:
        self._raise("not enough cash")


@internal
@pure
def _check_shares(shares: uint256, balance: uint256):
    if shares > balance:
        self._raise("not enough shares")


@internal
@pure
def _check_receiver(receiver: address):
    if receiver == empty(address):
        self._raise("receiver is zero")


@internal
@pure
def _check_price(price: uint256):
    if price == 0:
        self._raise("price is unusable")


@internal
@pure
def _check_transfer(success: bool):
    if not success:
        self._raise("transfer failed")
