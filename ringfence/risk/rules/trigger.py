"""The one answer at which a position stops being healthy: the contract's comparison, turned around.

A position is healthy at an answer iff its value times the LTV is at least its debt (modules/
health.vy). Value and price are monotone in the answer, and each of the contract's floors has an
exact inverse in integers, so that one number replaces the comparison: healthy iff
answer >= trigger in a long, iff answer <= trigger in a short. Answers have 8 decimals and lie from
1 to MAX_ANSWER.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD, div_up
from ringfence.math.health import debt_up
from ringfence.math.oracles import scale_factor
from ringfence.risk.arrays import Integers
from ringfence.risk.rules.market import FEED_DECIMALS, RiskMarket

MAX_ANSWER = 2**63 - 2
"""The largest answer, so that in an int64 there is one above: the trigger that none reaches."""


def trigger(
    market: RiskMarket, collateral: int, scaled_debt: int, debt_index: int, ltv: int
) -> int:
    """Return the smallest answer at which the position is within `ltv`; in a short the largest.

    Collateral units, scaled asset units; index and LTV 1e18. Where every answer will do, a long
    gets 1 and a short MAX_ANSWER; where none does, MAX_ANSWER + 1 and 0.

    1,590 USDC owed for 1 WETH; the value that is needed is whole USDC units, hence the zeros:

    >>> from ringfence.math.liquidation import RiskParams
    >>> market = RiskMarket("weth-usdc", 0, RiskParams(0, 0, 0, 0, 0, 0), 18, 6)
    >>> trigger(market, WAD, 1_590 * 10**6, WAD, 86 * WAD // 100)
    184883721000
    """
    value = div_up(debt_up(scaled_debt, debt_index) * WAD, ltv)
    if value == 0:
        return 1 if market.falls else MAX_ANSWER
    if collateral == 0 or value > MAX_UINT256 // PRICE_SCALE:
        return MAX_ANSWER + 1 if market.falls else 0
    price = div_up(value * PRICE_SCALE, collateral)
    scale = scale_factor(
        market.asset_decimals + FEED_DECIMALS, market.collateral_decimals + FEED_DECIMALS
    )
    if market.falls:
        return min(div_up(price * market.still, scale), MAX_ANSWER + 1)
    return min(scale * market.still // price, MAX_ANSWER)


def triggers(
    market: RiskMarket,
    collateral: Iterable[int],
    scaled_debt: Iterable[int],
    debt_index: int,
    ltv: int,
) -> Integers:
    """Return the triggers of many positions, in their order: int64 [position]."""
    pairs = zip(collateral, scaled_debt, strict=True)
    return np.fromiter(
        (trigger(market, held, owed, debt_index, ltv) for held, owed in pairs), np.int64
    )
