"""How a result reads: amounts with their digits, names of positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from ringfence.report.words import number, shorten
from ringfence.sim.result import Liquidation, Market, Position, Result

QUOTE = "USDC"
"""The token in whose units a result states prices, stakes and results."""

SALT_BITS = 96


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
