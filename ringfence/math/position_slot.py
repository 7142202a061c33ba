"""The one storage word of a position; mirrors contracts/modules/position_slot.vy.

Bits: collateral 255..144, scaled debt 143..40, last risk increase 39..0.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.math.errors import RevertError

MAX_COLLATERAL = 2**112 - 1
MAX_SCALED_DEBT = 2**104 - 1
MAX_TIME = 2**40 - 1


@dataclass(frozen=True, slots=True)
class PositionSlot:
    """Collateral units, scaled asset units, unix seconds."""

    collateral: int
    scaled_debt: int
    last_risk_increase: int


def pack(fields: PositionSlot) -> int:
    """Return the word of a position; raise RevertError when a field exceeds its width.

    >>> unpack(pack(PositionSlot(5, 3, 1_700_000_000)))
    PositionSlot(collateral=5, scaled_debt=3, last_risk_increase=1700000000)
    """
    if (
        fields.collateral > MAX_COLLATERAL
        or fields.scaled_debt > MAX_SCALED_DEBT
        or fields.last_risk_increase > MAX_TIME
    ):
        raise RevertError("position exceeds its width")
    return fields.collateral << 144 | fields.scaled_debt << 40 | fields.last_risk_increase


def unpack(word: int) -> PositionSlot:
    """Return the fields of a position's word."""
    return PositionSlot(word >> 144, word >> 40 & MAX_SCALED_DEBT, word & MAX_TIME)


def add_collateral(word: int, amount: int) -> int:
    """Return the word of an open position with more collateral; nothing else in it changes."""
    collateral = word >> 144
    if collateral == 0:
        raise RevertError("position is not open")
    if amount > MAX_COLLATERAL - collateral:
        raise RevertError("position exceeds its width")
    return word + (amount << 144)


def stored_word(fields: PositionSlot) -> int:
    """Return the word that is stored: a position without collateral is cleared."""
    return pack(fields) if fields.collateral else 0
