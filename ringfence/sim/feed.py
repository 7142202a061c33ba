"""When a Chainlink feed answers anew: at a deviation, and when its heartbeat has passed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ringfence.sim.scenario import FeedTable

SCALE = 10**8
"""Of a feed's answers."""


def is_due(feed: FeedTable, price: Fraction, last: Fraction, elapsed: int) -> bool:
    """Return whether a feed is updated at a price, `elapsed` seconds after it was at `last`."""
    deviated = abs(price - last) >= last * Fraction(feed.deviation)
    return deviated or elapsed >= feed.heartbeat


def answer(price: Fraction) -> int:
    """Return what a feed answers at a price, 8 decimals."""
    return round(price * SCALE)


def answers(feed: FeedTable, prices: Sequence[float], step: int) -> list[int]:
    """Return the feed's answer at each step of a path, updated at the first.

    >>> from decimal import Decimal
    >>> feed = FeedTable(deviation=Decimal("0.01"), heartbeat=900)
    >>> answers(feed, [100, 100.5, 101, 101.5, 101.5, 101.5], 300)
    [10000000000, 10000000000, 10100000000, 10100000000, 10100000000, 10150000000]
    """
    found: list[int] = []
    last, since = Fraction(0), 0
    for index, price in enumerate(map(Fraction, prices)):
        if not found or is_due(feed, price, last, (index - since) * step):
            last, since = price, index
        found.append(answer(last))
    return found
