"""Closed forms for a liquidation LTV, to put beside what the paths say. Parts of one throughout."""

from __future__ import annotations

from math import exp, log, sqrt

from ringfence.risk.answers.depth import Depth
from ringfence.risk.errors import RiskError


def smart_ltv(
    confidence: float, volatility: float, liquidity: float, cap: float, bonus: float
) -> float:
    """Return SmartLTV: exp(-c * sigma / sqrt(l / d)) - bonus, 0 at least.

    c: the confidence or risk factor, z * sqrt(T * p) for liquidity that is back after T and a share
    p of the debt that is sold; sigma: volatility over the time that T counts; l: what can be sold
    at a discount of the bonus; d: the debt cap, in l's unit. Source: RiskDAO, A Smart Contract
    Formula for LTV Ratio (2023); B.Protocol's smart-ltv, src/core/SmartLTV.sol, whose test has

    >>> round(smart_ltv(3, 0.1, 1_000_000, 200_000, 0.05), 8)
    0.82444657
    """
    if not (cap > 0 and liquidity >= 0 and confidence >= 0 and volatility >= 0 <= bonus):
        raise RiskError(
            f"cap is {cap:g}, liquidity {liquidity:g}, confidence {confidence:g}, volatility "
            f"{volatility:g}, bonus {bonus:g}; pass a cap above 0, none of the others below"
        )
    if liquidity == 0:
        return 0.0
    return max(exp(-confidence * volatility / sqrt(liquidity / cap)) - bonus, 0.0)


def smart_level(ltv: float, volatility: float, liquidity: float, cap: float, bonus: float) -> float:
    """Return the c at which `smart_ltv` gives an LTV: B.Protocol's risk level of a market.

    Of what it gives, volatility above 0; negative where LTV and bonus are more than 1.

    >>> round(smart_level(0.82444657, 0.1, 1_000_000, 200_000, 0.05), 6)
    3.0
    """
    return -log(ltv + bonus) * sqrt(liquidity / cap) / volatility


def one_whale(depth: Depth, cap: float, bonus: float) -> float:
    """Return the LTV at which one position that owes the whole cap can just be sold at once.

    All of its collateral, worth cap / LTV, goes through the pool and brings in the cap and the
    bonus; the price stands still. 0 where the pool cannot pay that much.

    >>> round(one_whale(Depth(100_000_000, fee=0.0), 10_000_000, 0.0), 12)
    0.9
    """
    needed = cap * (1 + bonus)
    return max((1 - depth.fee) * (1 - needed / depth.value) / (1 + bonus), 0.0)
