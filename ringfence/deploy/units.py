"""Decimals as people write them, into the integers that contracts take, exactly or not at all."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.rates import SECONDS_PER_YEAR

MAX_RATE_PER_YEAR = Decimal(3)
"""The vault clamps every rate to 300 % a year."""


def to_units(amount: Decimal, decimals: int) -> int:
    """Return a token amount in the token's smallest units.

    Raises ValueError when it has more places than the token.

    >>> to_units(Decimal("1.5"), 6)
    1500000
    """
    units = Fraction(amount) * Fraction(10**decimals)
    if units.denominator != 1:
        raise ValueError(f"{amount} has more than {decimals} decimal places; round it")
    return units.numerator


def to_wad(share: Decimal) -> int:
    """Return a share of one scaled 1e18; raise ValueError when it has more than 18 places.

    >>> to_wad(Decimal("0.86"))
    860000000000000000
    """
    return to_units(share, 18)


def to_rate(per_year: Decimal) -> int:
    """Return a rate per year as one per second scaled 1e18, rounded down.

    >>> to_rate(Decimal("0.10"))
    3170979198
    """
    return int(Fraction(per_year) * WAD / SECONDS_PER_YEAR)


def to_price(ratio: Fraction, collateral_decimals: int, asset_decimals: int) -> int:
    """Return whole assets per whole collateral as asset units per collateral unit, scaled 1e36.

    >>> to_price(Fraction(2_000), 18, 6) == 2_000 * 10**24
    True
    """
    return int(ratio * PRICE_SCALE * 10**asset_decimals / 10**collateral_decimals)


def show(units: int, decimals: int) -> str:
    """Return an amount in units as people write it.

    >>> show(10_000, 6)
    '0.01'
    """
    return f"{Decimal(units).scaleb(-decimals).normalize():f}"
