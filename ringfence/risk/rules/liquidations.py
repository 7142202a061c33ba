"""How much a liquidation moves, in floats, for jitted loops.

The rules are those of `ringfence.math.liquidation` (LIQ-4, LIQ-5) without their roundings. With
LTVs half a per cent apart or more, asset amounts are off from what the contract moves by no more
than RELATIVE of the position's debt, and UNITS / (1 - beta_max * target_ltv) units of the asset and
as many collateral units' worth; what is seized by as much at the price, one unit, and RELATIVE of
the collateral. Where a position is that near to where the rules switch (solvent or not, `min_debt`
left or not), floats may take the other branch.
"""

from __future__ import annotations

from typing import NamedTuple

from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import RiskParams
from ringfence.risk.work.jit import njit

RELATIVE = 1e-12
UNITS = 4.0


class Terms(NamedTuple):
    """A market's rules: LTVs, bonus, beta and cut as parts of one, the least debt in asset units.

    `RiskParams` in floats.
    """

    liquidation_ltv: float
    target_ltv: float
    base_bonus: float
    beta_max: float
    reserve_cut: float
    min_debt: float

    @classmethod
    def of(cls, risk: RiskParams) -> Terms:
        """Return the contract's parameters in floats."""
        return cls(
            risk.liquidation_ltv / WAD,
            risk.target_ltv / WAD,
            risk.base_bonus / WAD,
            risk.beta_max / WAD,
            risk.reserve_cut / WAD,
            float(risk.min_debt),
        )


class Moved(NamedTuple):
    """What a liquidation moves: collateral units seized, asset units of the rest.

    `retired` is the debt that goes, 0 where there can be no such liquidation.
    """

    seized: float
    repaid: float
    cut: float
    retired: float
    loss: float


@njit
def beta_of(ltv: float, terms: Terms) -> float:
    """Return seized value over repayment at an LTV above the liquidation LTV."""
    return min(terms.beta_max, 1.0 + terms.base_bonus + ltv - terms.liquidation_ltv)


@njit
def is_insolvent(collateral: float, debt: float, price: float, terms: Terms) -> bool:
    """Return whether the collateral does not pay for the debt and the bonus: L * beta >= 1."""
    value = collateral * price
    return debt >= 2.0 * value or debt * beta_of(debt / value, terms) >= value


@njit
def liquidate(
    collateral: float, debt: float, price: float, max_repay: float, terms: Terms
) -> Moved:
    """Return what liquidating an unhealthy position with at most `max_repay` asset units moves.

    Collateral in units, debt in asset units, price in asset units per collateral unit, all above 0.
    The design's worked case, in whole tokens:

    >>> moved = liquidate(1.0, 1_590.0, 1_800.0, 1e30, Terms(0.86, 0.80, 0.01, 1.08, 0.1, 100.0))
    >>> [round(amount, 4) for amount in moved]
    [0.4968, 865.3846, 2.8846, 865.3846, 0.0]
    """
    if is_insolvent(collateral, debt, price, terms):
        return _insolvent(collateral, debt, price, max_repay, terms)
    beta = beta_of(debt / (collateral * price), terms)
    full_repair = (debt - collateral * price * terms.target_ltv) / (1.0 - beta * terms.target_ltv)
    repaid = min(max_repay, full_repair, debt)
    if debt - repaid < terms.min_debt:
        if max_repay >= debt:
            repaid = debt
        elif debt <= terms.min_debt:
            return Moved(0.0, 0.0, 0.0, 0.0, 0.0)
        else:
            repaid = debt - terms.min_debt
    cut = repaid * (beta - 1.0) * terms.reserve_cut
    return Moved(beta * repaid / price, repaid, cut, repaid, 0.0)


@njit
def _insolvent(
    collateral: float, debt: float, price: float, max_repay: float, terms: Terms
) -> Moved:
    beta = terms.beta_max
    seized, retired, repaid = collateral, debt, collateral * price / beta
    if max_repay < repaid:
        seized, repaid = max_repay * beta / price, max_repay
        retired = debt * (seized / collateral)
        if retired < terms.min_debt or debt - retired < terms.min_debt:
            return Moved(0.0, 0.0, 0.0, 0.0, 0.0)
    cut = repaid * (beta - 1.0) * terms.reserve_cut
    return Moved(seized, repaid, cut, retired, max(retired - repaid, 0.0))
