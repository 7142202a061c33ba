"""Pools in floats, for jitted loops: a curve of ranges, each of one liquidity.

A range is a stretch of a constant product, as in Uniswap v3; one range from 0 up is a whole v2
pool. The price is the root's square: asset units per collateral unit, whichever token has the lower
address. Fees are parts of the amount sold; v3 keeps them aside, v2 adds them to the pool.

Floats keep 53 bits where the contract keeps whole units. What a sale gives is within RELATIVE of
what the contract gives, and within UNITS units of each token at every range crossed, besides; each
crossing adds up to 2**-51 of the range's virtual reserves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from ringfence.math.uniswap import FEE_SCALE, sqrt_price_at_tick
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.work.jit import njit

RELATIVE = 1e-12
UNITS = 2.0
CROSSING = 2.0**-51


class Place(NamedTuple):
    """Where a pool stands: the root of its price, and the range that it is in."""

    root: float
    range: int


class Trade(NamedTuple):
    """A trade: what it adds to the pool of collateral and asset, units, fees included; its end.

    `fee` is what of the amount sold is the fee, `left` what could not be sold, units of what is
    sold.
    """

    collateral: float
    asset: float
    fee: float
    left: float
    place: Place


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool: roots [range + 1] in rising order, liquidity [range], fee, where it stands.

    `compounds` says that fees are added to the one range that there is: v2.
    """

    roots: Floats
    liquidity: Floats
    fee: float
    place: Place
    compounds: bool = False

    @classmethod
    def v2(cls, collateral: float, asset: float, fee: float = 0.003) -> Pool:
        """Return a constant product of two reserves, units."""
        if not (collateral > 0 and asset > 0 and 0 <= fee < 1):
            raise RiskError(
                f"reserves are {collateral:g} and {asset:g}, the fee {fee:g}; both reserves must "
                "be above 0, and the fee a part of one"
            )
        liquidity = np.array([sqrt(collateral * asset)])
        return cls(np.array([0.0, inf]), liquidity, fee, Place(sqrt(asset / collateral), 0), True)

    @classmethod
    def v3(
        cls, ranges: Iterable[tuple[int, int, int]], sqrt_price: int, fee: int, *, sells_0: bool
    ) -> Pool:
        """Return a Uniswap v3 pool of lower tick, upper tick and liquidity of its positions.

        Its root price is scaled 2**96, its fee in 1e-6; `sells_0` says that the collateral is
        token_0. Raises RiskError unless a position holds the price.
        """
        held = list(ranges)
        ticks = sorted({tick for low, high, _ in held for tick in (low, high)})
        liquidity = np.array(
            [
                float(sum(amount for low, high, amount in held if low <= one < high))
                for one in ticks[:-1]
            ]
        )
        roots = np.array([sqrt_price_at_tick(tick) / 2**96 for tick in ticks])
        root = sqrt_price / 2**96
        if not sells_0:
            roots, liquidity, root = 1 / roots[::-1], liquidity[::-1].copy(), 1 / root
        place = int(np.searchsorted(roots, root, side="right")) - 1
        if not 0 <= place < len(liquidity) or not liquidity[place]:
            raise RiskError(f"no position holds the root price {sqrt_price}; add one that does")
        return cls(roots, liquidity, fee / FEE_SCALE, Place(root, place))

    @classmethod
    def around(cls, price: float, collateral: float, fee: float, width: float = inf) -> Pool:
        """Return one v3 range from price / width to price * width, that holds so much collateral.

        Asset units per collateral unit; `width` above 1. It holds as much worth of the asset.
        """
        if not (price > 0 and collateral > 0 and 0 <= fee < 1 and width > 1):
            raise RiskError(
                f"price is {price:g}, collateral {collateral:g}, fee {fee:g}, width {width:g}; "
                "pass a fee that is a part of one, a width above 1, the others above 0"
            )
        root, half = sqrt(price), sqrt(width)
        liquidity = np.array([collateral * root / (1 - 1 / half)])
        return cls(np.array([root / half, root * half]), liquidity, fee, Place(root, 0))

    @property
    def price(self) -> float:
        """Asset units per collateral unit."""
        return self.place.root**2

    def holdings(self) -> tuple[float, float]:
        """Return what the curve holds of collateral and asset, units, fees kept aside left out."""
        inside = np.clip(self.place.root, self.roots[:-1], self.roots[1:])
        collateral = self.liquidity * (1 / inside - 1 / self.roots[1:])
        return float(collateral.sum()), float((self.liquidity * (inside - self.roots[:-1])).sum())

    def sell(self, amount: float) -> Trade:
        """Return what selling exactly `amount` collateral units does."""
        return sell(self.roots, self.liquidity, self.fee, self.place, float(amount))


@njit
def sell(roots: Floats, liquidity: Floats, fee: float, place: Place, amount: float) -> Trade:
    """Return the trade that sells exactly `amount` collateral units, as far as the ranges go."""
    root, at = place.root, place.range
    left, bought = amount * (1.0 - fee), 0.0
    while True:
        depth, low = liquidity[at], roots[at]
        room = depth * (root - low) / (root * low) if low > 0.0 else inf
        if left < room:
            after = depth * root / (depth + left * root)
            bought += left * root * after
            return Trade(amount, -bought, amount * fee, 0.0, Place(after, at))
        bought += depth * (root - low)
        left -= room
        root = low
        if at == 0:
            over = left / (1.0 - fee)
            sold = amount - over
            return Trade(sold, -bought, sold * fee, over, Place(root, at))
        at -= 1


@njit
def move(roots: Floats, liquidity: Floats, fee: float, place: Place, target: float) -> Trade:
    """Return the trade that brings the pool's root to `target`, as far as the ranges go."""
    root, at = place.root, place.range
    collateral, asset = 0.0, 0.0
    if target < root:
        target = max(target, roots[0])
        while root > target:
            end = max(target, roots[at])
            collateral += liquidity[at] * (root - end) / (root * end)
            asset -= liquidity[at] * (root - end)
            root = end
            if root > target:
                at -= 1
        sold = collateral / (1.0 - fee)
        return Trade(sold, asset, sold - collateral, 0.0, Place(root, at))
    target = min(target, roots[-1])
    while root < target:
        end = min(target, roots[at + 1])
        collateral -= liquidity[at] * (end - root) / (root * end)
        asset += liquidity[at] * (end - root)
        root = end
        if root < target:
            at += 1
    sold = asset / (1.0 - fee)
    return Trade(collateral, sold, sold - asset, 0.0, Place(root, at))


@njit
def compound(liquidity: Floats, trade: Trade) -> Place:
    """Add a trade's fee to a v2 pool, whose liquidity it changes; return where it then stands."""
    root = trade.place.root
    collateral, asset = liquidity[0] / root, liquidity[0] * root
    if trade.collateral > 0.0:
        collateral += trade.fee
    else:
        asset += trade.fee
    liquidity[0] = np.sqrt(collateral * asset)
    return Place(np.sqrt(asset / collateral), 0)
