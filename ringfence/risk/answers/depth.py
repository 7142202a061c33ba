"""What keepers sell at once, and how far below the price a pool takes it.

The pool is a constant product that arbitrage brings back to the price within `refill` steps. All
that keepers sell within any such time counts as one sale, and the worst one of a path stands for
all of its sales: a path's discount is too large rather than too small. What would be sold is taken
from a run in which every sale pays, so that it does not wait for its own discount.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.book import Book
from ringfence.risk.rules.liquidations import Terms, liquidate
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.work.jit import njit


@dataclass(frozen=True, slots=True)
class Depth:
    """A constant product: the worth of its collateral, whole assets, its fee, and its refill.

    `refill` is in steps. A range of Uniswap v3 counts by its virtual reserve.
    """

    value: float
    fee: float = 0.0005
    refill: int = 5

    def __post_init__(self) -> None:
        if not (self.value > 0 and 0 <= self.fee < 1 and self.refill >= 1):
            raise RiskError(
                f"the pool's collateral is worth {self.value:g}, its fee {self.fee:g}, its refill "
                f"{self.refill} steps; pass a worth above 0, a part of one, at least one step"
            )

    def discount(self, worth: Floats) -> Floats:
        """Return how far below the price sales of some worth end, the fee with it.

        >>> float(Depth(90.0, fee=0.0).discount(np.array(10.0)))
        0.1
        """
        kept = 1 - self.fee
        return 1 - kept / (1 + worth * kept / self.value)

    def sellable(self, discount: float) -> float:
        """Return the worth that can be sold at a discount; 0 where the fee is more.

        >>> round(Depth(90.0, fee=0.0).sellable(0.1), 9)
        10.0
        """
        kept = 1 - self.fee
        return max((kept / (1 - discount) - 1) * self.value / kept, 0.0)


def most_sold(market: RiskMarket, book: Book, answers: Integers, delay: int, refill: int) -> Floats:
    """Return the most that keepers sell within `refill` steps, float64 [path], whole assets.

    answers: int64 [path, step]. Every sale is without a discount, worth what is seized.
    """
    prices = answers / market.still if market.falls else market.still / answers
    terms = Terms.of(market.risk)
    terms = terms._replace(min_debt=terms.min_debt / 10**market.asset_decimals)
    order = np.argsort(-book.debt / book.collateral, kind="stable")
    return _most_sold(
        prices, book.collateral[order], book.debt[order], terms, delay, min(refill, len(prices[0]))
    )


@njit
def _most_sold(
    prices: Floats, collateral: Floats, debt: Floats, terms: Terms, delay: int, refill: int
) -> Floats:
    """Return the figure of each path; the riskiest positions first."""
    paths, steps = prices.shape
    most = np.zeros(paths)
    for path in range(paths):
        sold, low = np.zeros(steps), prices[path].min()
        for one in range(debt.size):
            if debt[one] <= terms.liquidation_ltv * collateral[one] * low:
                break
            _sell(prices[path], collateral[one], debt[one], terms, delay, sold)
        window = 0.0
        for step in range(steps):
            window += sold[step]
            if step >= refill:
                window -= sold[step - refill]
            most[path] = max(most[path], window)
    return most


@njit
def _sell(
    prices: Floats, collateral: float, debt: float, terms: Terms, delay: int, sold: Floats
) -> None:
    """Add what a position has sold of it, step by step."""
    since = -1
    for step in range(prices.size):
        price = prices[step]
        if debt <= terms.liquidation_ltv * collateral * price:
            since = -1
            continue
        if since < 0:
            since = step
        if step - since < delay:
            continue
        moved = liquidate(collateral, debt, price, np.inf, terms)
        sold[step] += moved.seized * price
        collateral, debt, since = collateral - moved.seized, debt - moved.retired, -1
        if debt <= 0.0:
            return
