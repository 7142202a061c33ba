"""Small coupled scenes for tests: one market, one pool, a book, paths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import RiskParams
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import RankedBook, Scene
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.rules.market import RiskMarket

ETHER = 10**18
USDC = 10**6
ANSWER = 2_000 * 10**8
RISK = RiskParams(
    liquidation_ltv=86 * WAD // 100,
    target_ltv=83 * WAD // 100,
    base_bonus=WAD // 100,
    beta_max=1_077 * WAD // 1_000,
    reserve_cut=WAD // 10,
    min_debt=100 * USDC,
)
LONG = RiskMarket("long", 80 * WAD // 100, RISK, 18, 6)


def book(ltvs: Floats, debts: Floats) -> RankedBook:
    """Positions of these LTVs at 2,000 and debts in whole USDC."""
    return RankedBook.of(debts / ltvs / 2_000 * ETHER, debts * USDC)


def scene(positions: RankedBook, *, depth: float = 5_000, **changes: Any) -> Scene:
    """A long market at 2,000 over a v2 pool of `depth` WETH."""
    pool = Pool.v2(depth * ETHER, depth * 2_000 * USDC, 0.0005)
    return Scene(**{"market": LONG, "answer": ANSWER, "book": positions, "pool": pool} | changes)


def crowd(count: int = 500, seed: int = 1) -> RankedBook:
    """Positions from 1.5 to 5 times leverage, about a thousand USDC of debt each."""
    rng = np.random.default_rng(seed)
    debts = np.maximum(rng.lognormal(7, 1, count), 100)
    return book(rng.uniform(0.33, 0.8, count), debts)


def fall(share: float, steps: int, rest: int = 0) -> Floats:
    """A path that loses a share of its price within some steps, evenly, and rests."""
    down = np.exp(np.log(1 - share) * np.arange(steps + 1) / steps)
    return np.concatenate([down, np.full(rest, down[-1])])


def walk(steps: int, seed: int, volatility: float = 3.0) -> Floats:
    """A geometric Brownian path of one-minute steps, volatility a year."""
    deviation = volatility * np.sqrt(60 / 31_536_000)
    moves = np.random.default_rng(seed).normal(-(deviation**2) / 2, deviation, steps - 1)
    return np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
