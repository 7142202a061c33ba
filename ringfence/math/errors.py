"""What a call that the contract would revert raises, and the facts checked in several places.

Mirrors contracts/modules/errors.vy: same facts, same words.
"""

from __future__ import annotations

from ringfence.errors import RingfenceError
from ringfence.math.fixed_point import MAX_UINT256


class RevertError(RingfenceError):
    """The contract reverts here; `reason` is its word for why, "" where it has none."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason or "reverted without a reason")
        self.reason = reason


def checked(number: int) -> int:
    """Return a number that a uint256 holds; raise RevertError, without a reason, for another."""
    if not 0 <= number <= MAX_UINT256:
        raise RevertError("")
    return number


def check_not_zero(amount: int) -> None:
    """Raise RevertError for an amount of zero, of whatever unit."""
    if amount == 0:
        raise RevertError("amount is zero")


def check_width(amount: int) -> None:
    """Raise RevertError for an amount of 2**113 or more, which no market reaches."""
    if amount >> 113:
        raise RevertError("amount exceeds its width")


def check_amount(amount: int) -> None:
    """Raise RevertError unless `amount` is above zero and within its width."""
    check_not_zero(amount)
    check_width(amount)


def check_cash(amount: int, cash: int) -> None:
    """Raise RevertError unless the vault has `amount`, asset units."""
    if amount > cash:
        raise RevertError("not enough cash")


def check_shares(shares: int, balance: int) -> None:
    """Raise RevertError unless a lender has `shares`."""
    if shares > balance:
        raise RevertError("not enough shares")


def check_receiver(receiver: int) -> None:
    """Raise RevertError for the zero address."""
    if receiver == 0:
        raise RevertError("receiver is zero")


def check_price(price: int) -> None:
    """Raise RevertError for a price of zero, which is never a price."""
    if price == 0:
        raise RevertError("price is unusable")
