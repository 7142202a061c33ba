"""The tokens that a vault moves; mirrors contracts/modules/tokens.vy and testing/plain_erc20.vy.

An account is an integer, as in a position's id.
"""

from __future__ import annotations

from ringfence.math.errors import RevertError, check_receiver
from ringfence.math.fixed_point import MAX_UINT256
from ringfence.math.storage import Storage

BALANCE = "plain_erc20.balanceOf"
ALLOWANCE = "plain_erc20.allowance"
TOTAL_SUPPLY = "plain_erc20.totalSupply"


class Token:
    """An ordinary ERC-20 token; amounts are in its units."""

    __slots__ = ("address", "storage")

    def __init__(self, storage: Storage, address: int) -> None:
        self.storage = storage
        self.address = address

    def balance_of(self, account: int) -> int:
        """Return what an account holds."""
        return self.storage.load((self.address, BALANCE, account))

    def mint(self, receiver: int, amount: int) -> None:
        """Create tokens out of nothing."""
        supply = (self.address, TOTAL_SUPPLY)
        total = self.storage.load(supply) + amount
        if total > MAX_UINT256:
            raise RevertError("")
        self.storage.store(supply, total)
        self._add(receiver, amount)

    def approve(self, owner: int, spender: int, amount: int) -> None:
        """Let `spender` move the owner's tokens; the largest amount never runs down."""
        self.storage.store((self.address, ALLOWANCE, owner, spender), amount)

    def transfer(self, owner: int, receiver: int, amount: int) -> None:
        """Send the owner's tokens; raise RevertError when there are too few."""
        balance = self.balance_of(owner)
        if balance < amount:
            raise RevertError("balance too low")
        self.storage.store((self.address, BALANCE, owner), balance - amount)
        self._add(receiver, amount)

    def transfer_from(self, spender: int, owner: int, receiver: int, amount: int) -> None:
        """Send what the owner lets `spender` send; raise RevertError when that is too little."""
        cell = (self.address, ALLOWANCE, owner, spender)
        allowed = self.storage.load(cell)
        if allowed != MAX_UINT256:
            if allowed < amount:
                raise RevertError("allowance too low")
            self.storage.store(cell, allowed - amount)
        self.transfer(owner, receiver, amount)

    def _add(self, receiver: int, amount: int) -> None:
        cell = (self.address, BALANCE, receiver)
        self.storage.store(cell, self.storage.load(cell) + amount)


def pull(token: Token, caller: int, vault: int, amount: int) -> None:
    """Take `amount` token units from the caller, and only from the caller (ISO-2)."""
    token.transfer_from(vault, caller, vault, amount)


def push(token: Token, vault: int, receiver: int, amount: int) -> None:
    """Send `amount` token units to `receiver`; raise RevertError when that is nobody."""
    check_receiver(receiver)
    token.transfer(vault, receiver, amount)
