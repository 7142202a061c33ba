"""Markets for the risk engine's tests, and the mirror's word on a position."""

from __future__ import annotations

from ringfence.math.fixed_point import WAD
from ringfence.math.health import debt_up, is_healthy, value_down
from ringfence.math.liquidation import RiskParams
from ringfence.risk.rules.market import RiskMarket

PERCENT = WAD // 100
LIQUIDATION_LTV = 86 * PERCENT
DOLLAR = 10**8
"""An answer."""


def risk_market(
    collateral_decimals: int = 18,
    asset_decimals: int = 6,
    *,
    falls: bool = True,
    still: int = DOLLAR,
    initial: int = 80 * PERCENT,
) -> RiskMarket:
    """The conservative market's parameters, on tokens of any decimals."""
    risk = RiskParams(
        LIQUIDATION_LTV, 80 * PERCENT, PERCENT, 10_770 * WAD // 10_000, 10 * PERCENT, 10_000
    )
    return RiskMarket("test", initial, risk, collateral_decimals, asset_decimals, falls, still)


def holds(
    market: RiskMarket, collateral: int, scaled_debt: int, debt_index: int, ltv: int, answer: int
) -> bool:
    """Whether the mirror calls a position healthy at an answer."""
    value = value_down(collateral, market.price(answer))
    return is_healthy(debt_up(scaled_debt, debt_index), value, ltv)
