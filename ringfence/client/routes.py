"""Routes through Uniswap v3, and what a trade along one would give: QuoterV2, by eth_call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ringfence.client.errors import InputError
from ringfence.client.market import Market
from ringfence.client.plan import read
from ringfence.client.refusals import RefusedError
from ringfence.client.refusals.periphery import NoPoolError, ThinPoolError
from ringfence.client.units import ZERO_ADDRESS, Token, scaled
from ringfence.evm.uniswap import encode_path, reverse_path

FEES = (100, 500, 3_000, 10_000)
"""The fees that pools have, 1e-6 of the amount sold."""


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as quoted: `sold` and `bought` in units of the route's ends.

    `limit` is the least bought (exact in) or the most sold, slippage included.
    """

    path: bytes
    fees: tuple[int, ...]
    exact_in: bool
    sold: int
    bought: int
    limit: int

    @property
    def amount(self) -> int:
        """What is exact."""
        return self.sold if self.exact_in else self.bought

    @property
    def most_sold(self) -> int:
        """What is sold at worst."""
        return self.sold if self.exact_in else self.limit

    @property
    def least_bought(self) -> int:
        """What is bought at worst."""
        return self.limit if self.exact_in else self.bought

    @property
    def fee_paid(self) -> int:
        """The pools' fees, in units of what is sold, rounded up."""
        kept = Fraction(1)
        for fee in self.fees:
            kept *= Fraction(1_000_000 - fee, 1_000_000)
        return -int(-self.sold * (1 - kept) // 1)

    @property
    def swap(self) -> tuple[bytes, bool, int, int]:
        """`ILeverageRouter.Swap`."""
        return self.path, self.exact_in, self.amount, self.limit


def fee_text(fee: int) -> str:
    """Return a pool's fee in per cent.

    >>> fee_text(500)
    '0.05 %'
    """
    return f"{scaled(fee, 4).normalize():f} %"


def _quote(market: Market, path: bytes, exact_in: bool, amount: int) -> int:
    if exact_in:
        answer = read(market.node, "QuoterV2", market.quoter, "quoteExactInput", path, amount)
    else:
        backwards = reverse_path(path)
        answer = read(market.node, "QuoterV2", market.quoter, "quoteExactOutput", backwards, amount)
    return int(answer[0])


def _has_pool(market: Market, sell: Token, buy: Token, fees: Sequence[int]) -> bool:
    """Return whether two tokens have a pool of any of some fees."""
    node = market.node
    factory = str(read(node, "QuoterV2", market.quoter, "factory"))
    pools = [
        read(node, "UniswapV3Factory", factory, "getPool", sell.address, buy.address, fee)
        for fee in fees
    ]
    return any(pool != ZERO_ADDRESS for pool in pools)


def quote_trade(
    market: Market,
    sell: Token,
    buy: Token,
    amount: int,
    slippage: Decimal,
    *,
    exact_in: bool,
    fees: Sequence[int] = FEES,
) -> Trade:
    """Return the best trade of two tokens through one pool, of those with the given fees.

    `amount` is what is sold if `exact_in`, otherwise what is bought, token units; `slippage` is
    the share by which the rest may turn out worse. Raises NoPoolError where there is
    no such pool, ThinPoolError where none can do it.
    """
    if amount <= 0:
        raise InputError(f"there is nothing to trade between {sell.symbol} and {buy.symbol}")
    found = []
    for fee in fees:
        path = encode_path((sell.address, buy.address), (fee,))
        try:
            found.append((_quote(market, path, exact_in, amount), fee, path))
        except RefusedError:
            # No such pool, or one without the liquidity for this.
            continue
    if not found:
        kind = ThinPoolError if _has_pool(market, sell, buy, fees) else NoPoolError
        raise kind(
            f"{(sell if exact_in else buy).text(amount)} at {', '.join(map(fee_text, fees))}"
        )
    other, fee, path = max(found) if exact_in else min(found)
    share = Fraction(slippage)
    if exact_in:
        return Trade(path, (fee,), True, amount, other, int(other * (1 - share)))
    return Trade(path, (fee,), False, other, amount, -int(-other * (1 + share) // 1))
