"""LIQ-3 to LIQ-6 for one liquidation, stated from the design's formulas."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.liquidation import RiskParams
from ringfence.math.position_slot import PositionSlot
from tests.support.model.pair import MismatchError

REPAIR_UNITS = 4
"""How far below the target a repair may end, in asset units besides one collateral unit.

Rounding gives 2 + 2 * target at most: the debt and R* round up (at most one unit each), the
retired debt, its value times beta and the value of what is left round down.
"""


def ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def require(holds: bool, message: str) -> None:
    """Raise MismatchError with a message that opens with an invariant's id."""
    if not holds:
        raise MismatchError(message)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a position stands at a price, by the design's formulas."""

    debt: int
    value: int
    is_healthy: bool
    beta: int
    is_solvent: bool


def standing(slot: PositionSlot, debt_index: int, high: int, risk: RiskParams) -> Standing:
    """Work out a position's standing; beta counts for one that is not healthy."""
    debt = ceil_div(slot.scaled_debt * debt_index, WAD)
    value = slot.collateral * high // PRICE_SCALE
    ltv = ceil_div(debt * WAD, value) if value else MAX_UINT256
    beta = risk.beta_max
    if ltv < 2 * WAD:
        beta = min(beta, WAD + risk.base_bonus + ltv - risk.liquidation_ltv)
    return Standing(
        debt,
        value,
        debt * WAD <= value * risk.liquidation_ltv,
        beta,
        ltv < 2 * WAD and ltv * beta < PRICE_SCALE,
    )


def check_liquidation(
    old: PositionSlot,
    new: PositionSlot,
    debt_index: int,
    high: int,
    risk: RiskParams,
    repaid: int,
    loss: int,
) -> bool:
    """Hold what a liquidation did to LIQ-3 to LIQ-6; return whether the position was solvent."""
    before = standing(old, debt_index, high, risk)
    after = standing(new, debt_index, high, risk)
    require(not before.is_healthy, "LIQ-3: a position within its LTV was liquidated")
    if before.is_solvent:
        _check_repair(old, new, before, after, debt_index, high, risk)
        require(loss == 0, "LIQ-4: a solvent liquidation booked a loss")
        exchanged = (old.scaled_debt - new.scaled_debt) * debt_index // WAD
    else:
        _check_pro_rata(old, new)
        booked = max(before.debt - after.debt - repaid, 0)
        require(loss == booked, "LIQ-5: the loss is not debt retired - paid")
        worth = ceil_div((old.collateral - new.collateral) * high, PRICE_SCALE)
        require((repaid - 1) * before.beta <= worth * WAD, "LIQ-5: the collateral was overpaid")
        exchanged = repaid
    seized = old.collateral - new.collateral
    most = (before.beta * exchanged + WAD) * PRICE_SCALE
    require(seized * high * WAD <= most, "LIQ-6: more was seized than beta allows")
    require(before.beta <= risk.beta_max, "LIQ-6: beta is above beta_max")
    left = after.debt
    require(left == 0 or left >= min(risk.min_debt, before.debt), "LIQ-6: dust was left")
    return before.is_solvent


def _check_repair(
    old: PositionSlot,
    new: PositionSlot,
    before: Standing,
    after: Standing,
    debt_index: int,
    high: int,
    risk: RiskParams,
) -> None:
    require(new.collateral > 0, "LIQ-4: a solvent position lost all")
    require(
        new.scaled_debt * old.collateral < old.scaled_debt * new.collateral,
        "LIQ-4: scaled debt over collateral did not fall",
    )
    target = standing(replace(new, collateral=new.collateral - 1), debt_index, high, risk).value
    require(
        after.debt == 0 or (after.debt + REPAIR_UNITS) * WAD >= target * risk.target_ltv,
        "LIQ-4: the liquidation went past the target",
    )
    require(after.debt < before.debt, "LIQ-4: no debt was repaid")
    require(after.is_healthy or after.is_solvent, "LIQ-4: a solvent position became insolvent")


def _check_pro_rata(old: PositionSlot, new: PositionSlot) -> None:
    if not new.collateral:
        require(new.scaled_debt == 0, "LIQ-5: debt was left without collateral")
        return
    require(
        new.scaled_debt * old.collateral >= old.scaled_debt * new.collateral,
        "LIQ-5: scaled debt over collateral fell",
    )
    require(
        (new.scaled_debt - 1) * old.collateral < old.scaled_debt * new.collateral,
        "LIQ-5: scaled debt over collateral rose by a unit or more",
    )
