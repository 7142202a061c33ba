"""How many days of a market, price, pool and keepers coupled, one core runs through a second."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.figures import Figure
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.liquidation import RiskParams
from ringfence.risk.answers.contagion import draw_book
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import Keepers, Scene, run
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.rules.market import RiskMarket

POSITIONS = 100_000
STEPS = 1_440
VOLATILITY = 0.9
"""A year's; the paths are geometric Brownian."""
TARGET = 2_000.0

_YEAR_STEPS = 365 * STEPS
_RISK = RiskParams(
    liquidation_ltv=86 * WAD // 100,
    target_ltv=83 * WAD // 100,
    base_bonus=WAD // 100,
    beta_max=1_077 * WAD // 1_000,
    reserve_cut=WAD // 10,
    min_debt=100 * 10**6,
)
_ANSWER = 2_000 * 10**8


def _scene() -> Scene:
    """Return a market of 50 million USDC of debt over a pool of 20,000 WETH."""
    market = RiskMarket("WETH/USDC", 80 * WAD // 100, _RISK, 18, 6)
    rng = np.random.default_rng(1)
    book = draw_book(rng, market, _ANSWER, count=POSITIONS, debt=50e6 * 10**6)
    pool = Pool.around(market.price(_ANSWER) / PRICE_SCALE, 20_000e18, 0.0005)
    return Scene(market, _ANSWER, book, pool, keepers=Keepers(gas=0.5e6), impact=0.1)


def _paths(count: int, seed: int) -> Floats:
    deviation = VOLATILITY / np.sqrt(_YEAR_STEPS)
    rng = np.random.default_rng(seed)
    moves = rng.normal(-(deviation**2) / 2, deviation, (count, STEPS - 1))
    return np.exp(np.concatenate([np.zeros((count, 1)), np.cumsum(moves, axis=1)], axis=1))


def measure(paths: int = 4_000) -> list[Figure]:
    """Return day-paths a second of one core, its own time, and what happened on them.

    The paths are drawn before the clock starts: drawing them is the price model's work.
    """
    scene, days = _scene(), _paths(paths, 2)
    run(scene, days[:2])
    wall, own = time.perf_counter(), time.process_time()
    result = run(scene, days)
    wall, own = time.perf_counter() - wall, time.process_time() - own
    return [
        Figure(
            f"coupled day-paths, {POSITIONS:,} positions",
            paths / own,
            "/s a core",
            TARGET,
            at_least=True,
        ),
        Figure("the same by the clock on the wall", paths / wall, "/s"),
        Figure("liquidations a path, mean", float(result.liquidations.mean()), ""),
        Figure("liquidations a path, most", float(result.liquidations.max()), ""),
    ]
