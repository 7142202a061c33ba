"""What the planner hands to the lane: one transaction, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Target: TypeAlias = tuple[bytes, int]
"""A vault's 20 bytes and a position's id."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What a unit of gas costs: the next block's base fee and the tip offered, wei."""

    base: int
    tip: int

    @property
    def price(self) -> int:
        """What a unit of gas costs in the next block, wei."""
        return self.base + self.tip


@dataclass(frozen=True, slots=True)
class Bid:
    """A transaction worth sending, simulated with these very bytes and this gas limit.

    `to` is a contract's 20 bytes. `worth` is the most that may be paid for its gas in all, wei:
    what it earns, less what the policy wants left. `charged` is the gas that it pays for: less than
    the limit `gas`, as refunds come at its end; 0 where that is not known. `tip` is what it must
    not exceed, wei a unit of gas, and then offers: None, what everything offers.
    """

    to: bytes
    data: bytes = field(repr=False)
    gas: int
    worth: int
    targets: tuple[Target, ...]
    charged: int = 0
    tip: int | None = None

    @property
    def max_price(self) -> int:
        """The most that a unit of its gas may cost, wei."""
        return self.worth // (self.charged or self.gas)
