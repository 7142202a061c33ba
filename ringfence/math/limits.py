"""The one word that curator and guardian may write; mirrors contracts/modules/limits.vy.

Bits: supply cap 247..144, debt cap 143..40, paused until 39..0.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.math.errors import RevertError

MAX_CAP = 2**104 - 1
MAX_TIME = 2**40 - 1


@dataclass(frozen=True, slots=True)
class Limits:
    """Two caps in asset units, and the end of the pause of new risk in unix seconds."""

    supply_cap: int
    debt_cap: int
    paused_until: int


def pack(fields: Limits) -> int:
    """Return the word of the limits; raise RevertError when a field exceeds its width."""
    if fields.supply_cap > MAX_CAP or fields.debt_cap > MAX_CAP or fields.paused_until > MAX_TIME:
        raise RevertError("limits exceed their width")
    return fields.supply_cap << 144 | fields.debt_cap << 40 | fields.paused_until


def unpack(word: int) -> Limits:
    """Return the fields of the limits' word."""
    return Limits(word >> 144, word >> 40 & MAX_CAP, word & MAX_TIME)


def is_paused(fields: Limits, now: int) -> bool:
    """Return whether new risk is refused at the time `now`, unix seconds."""
    return now < fields.paused_until


def check_not_paused(fields: Limits, now: int) -> None:
    """Raise RevertError while new risk is paused."""
    if is_paused(fields, now):
        raise RevertError("new risk is paused")
