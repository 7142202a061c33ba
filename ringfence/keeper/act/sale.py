"""What selling along a route gives, from what little was read of it: pure.

A route's sale is a concave function of the amount: the more is sold, the less the next unit gives.
So a line between two quotes is never above it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from ringfence.evm.uniswap import encode_path
from ringfence.math.uniswap import PoolState


@dataclass(frozen=True, slots=True)
class Route:
    """The pools that a sale goes through, by the tokens' 20 bytes and fees in 1e-6."""

    tokens: tuple[bytes, ...]
    fees: tuple[int, ...]

    @property
    def path(self) -> bytes:
        """Uniswap's bytes of it."""
        return encode_path(self.tokens, self.fees)

    @property
    def hops(self) -> tuple[tuple[bytes, bytes, int], ...]:
        """Each pool's token sold, token bought, and fee."""
        ends = pairwise(self.tokens)
        return tuple(
            (sold, bought, fee) for (sold, bought), fee in zip(ends, self.fees, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Sales:
    """What a route gives, as far as it is known.

    `pools` are its pools in order, as they stand; `quotes` what selling an amount gives, token
    units, or None where the route cannot take as much.
    """

    route: Route
    pools: tuple[PoolState | None, ...]
    quotes: Mapping[int, int | None] = field(default_factory=dict)
    _known: list[tuple[int, int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        points = {0: 0} | {sold: gave for sold, gave in self.quotes.items() if gave is not None}
        object.__setattr__(self, "_known", sorted(points.items()))

    @property
    def amounts(self) -> list[int]:
        """The amounts sold that are quoted, and 0, in rising order."""
        return [sold for sold, _gave in self._known]

    def computed(self, amount: int) -> int | None:
        """Return what the pools' own maths gives, None where a pool's state does not say it."""
        for pool, (sold, bought, _fee) in zip(self.pools, self.route.hops, strict=True):
            found = None if pool is None else pool.sell(amount, zero_for_one=sold < bought)
            if found is None:
                return None
            amount = found
        return amount

    def give(self, amount: int) -> int | None:
        """Return what selling `amount` gives or a little less, None where that is not known.

        Exact where the pools' maths or a quote says it, otherwise on the line between two quotes.
        """
        exact = self.computed(amount) if amount else 0
        if exact is not None:
            return exact
        place = bisect_left(self._known, (amount, -1))
        if place == len(self._known):
            return None
        high, gave_high = self._known[place]
        if high == amount:
            return gave_high
        low, gave_low = self._known[place - 1]
        return gave_low + (gave_high - gave_low) * (amount - low) // (high - low)

    def best(self, cost: Fraction) -> int:
        """Return about how much one pool is best sold at `cost` a unit; 0 where it does not say."""
        if len(self.pools) != 1 or self.pools[0] is None:
            return 0
        [(sold, bought, _fee)] = self.route.hops
        return self.pools[0].best_sale(cost, zero_for_one=sold < bought)
