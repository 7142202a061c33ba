"""How a result reads: amounts with their digits, times, names, outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from ringfence.sim.result import Liquidation, Market, Position, Result

QUOTE = "USDC"
"""The token in whose units a result states prices, stakes and results."""

MISSING = "not recorded"
MINUS = "\u2212"
TIMES = "\u00d7"
SALT_BITS = 96


def clock(seconds: int) -> str:
    """Return a time of the path in hours and minutes.

    >>> clock(30 * 3600 + 25 * 60), clock(-60)
    ('30:25', '−0:01')
    """
    hours, rest = divmod(abs(seconds), 3_600)
    return f"{MINUS if seconds < 0 else ''}{hours}:{rest // 60:02d}"


def number(value: float | Decimal, digits: int = 2, plus: bool = False) -> str:
    """Return a number with grouped thousands and a true minus; a zero bears no sign.

    >>> number(-1234.5), number(3, 0, plus=True), number(-0.001)
    ('−1,234.50', '+3', '0.00')
    """
    exact = Decimal(value)  # an integer or a Decimal of any length keeps every digit
    text = f"{exact.copy_abs():,.{digits}f}"
    if not any(one in "123456789" for one in text):
        return text
    return (MINUS if value < 0 else "+" if plus else "") + text


def percent(part: float | None, digits: int = 1, plus: bool = False) -> str:
    r"""Return a part of one as a percentage.

    >>> percent(0.8612), percent(None)
    ('86.1\xa0%', 'not recorded')
    """
    return MISSING if part is None else f"{number(100 * part, digits, plus)}\u00a0%"


def shorten(text: str, head: int = 6, tail: int = 4) -> str:
    """Return a long hexadecimal word with its middle left out.

    >>> shorten("0x1234567890abcdef")
    '0x1234…cdef'
    """
    return text if len(text) <= head + tail + 1 else f"{text[:head]}…{text[-tail:]}"


def salt_of(position_id: int) -> int:
    """Return the salt that an owner chose: the low 96 bits of the id."""
    salt: int = position_id & (2**SALT_BITS - 1)
    return salt


def name_of(position: Position | Liquidation) -> str:
    """Return what a position is called on the page: its account and its salt."""
    salt = salt_of(position.position_id)
    return f"{position.account} #{salt if salt < 10**6 else shorten(hex(salt))}"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """A result's tokens and markets by name; unknown ones read as raw units."""

    decimals: Mapping[str, int]
    markets: Mapping[str, Market]

    @classmethod
    def of(cls, result: Result) -> Lexicon:
        """Return the lexicon of a result."""
        return cls(
            {token.symbol: token.decimals for token in result.tokens},
            {market.name: market for market in result.markets},
        )

    def whole(self, units: int, token: str) -> Decimal:
        """Return an amount in whole tokens."""
        return Decimal(f"{units}E-{self.decimals.get(token, 0)}")

    def amount(self, units: int, token: str = QUOTE, plus: bool = False) -> str:
        """Return an amount in whole tokens: 2 digits of few-decimals tokens, else 4."""
        decimals = self.decimals.get(token, 0)
        digits = min(decimals, 2 if decimals <= 6 else 4)
        return number(self.whole(units, token), digits, plus)

    def exact(self, units: int, token: str, plus: bool = False) -> str:
        """Return an amount in whole tokens with every digit there is."""
        return number(self.whole(units, token), self.decimals.get(token, 0), plus)

    def collateral_of(self, market: str) -> str:
        """Return the symbol of a market's collateral, "" if the market is unknown."""
        return self.markets[market].collateral if market in self.markets else ""

    def asset_of(self, market: str) -> str:
        """Return the symbol of a market's asset, "" if the market is unknown."""
        return self.markets[market].asset if market in self.markets else ""

    def in_quote(self, units: int, token: str, price: float) -> float:
        """Return the worth of an amount in whole quote tokens at a price."""
        whole = float(self.whole(units, token))
        return whole if token == QUOTE else whole * price
