"""Interest: the growth of the two indices; mirrors contracts/modules/accrual.vy.

Rates are per second scaled 1e18, times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from ringfence.math.balance_sheet import MAX_INDEX, BalanceSheet, scaled_assets, total_debt_up
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.rates import MAX_RATE

RateModel: TypeAlias = Callable[[int, int], int | None]
"""Rate per second, 1e18, from cash and debt in asset units; None where the model fails."""


def preview(
    stored: BalanceSheet,
    now: int,
    rate_model: RateModel,
    fallback_rate: int,
    reserve_factor: int,
) -> tuple[BalanceSheet, bool]:
    """Return the books at the time `now`, and whether the rate model failed."""
    if stored.last_accrual == now:
        return stored, False
    rate, failed = borrow_rate(rate_model(stored.cash, total_debt_up(stored)), fallback_rate)
    return grow(stored, rate, now, reserve_factor), failed


def borrow_rate(answer: int | None, fallback_rate: int) -> tuple[int, bool]:
    """Return the rate, at most MAX_RATE, and whether it is the fallback (LIVE-2)."""
    if answer is None:
        return fallback_rate, True
    return min(answer, MAX_RATE), False


def grow(stored: BalanceSheet, rate: int, timestamp: int, reserve_factor: int) -> BalanceSheet:
    """Return the books at a later `timestamp`, unix seconds, at a constant rate.

    Three terms of exp(rate * elapsed) on the debt index; the utilised part, less the reserve's
    `reserve_factor` (1e18), on the supply index. Indices saturate at their width.

    >>> half_lent = BalanceSheet(200 * WAD, 100 * WAD, 0, 100 * WAD, WAD, WAD)
    >>> year = 31_536_000
    >>> later = grow(half_lent, WAD // 10 // year, year, WAD // 10)
    >>> round(later.debt_index / WAD, 5), round(later.supply_index / WAD, 5)
    (1.10517, 1.04732)
    """
    x = rate * (timestamp - stored.last_accrual)
    x_squared = x * x
    growth = x + x_squared // (2 * WAD) + x_squared * x // (6 * PRICE_SCALE)
    debt_index = min(stored.debt_index * (WAD + growth) // WAD, MAX_INDEX)
    sheet = replace(stored, last_accrual=timestamp, debt_index=debt_index)

    debt = stored.total_scaled_debt * stored.debt_index
    if debt == 0:
        return sheet
    utilisation = WAD * debt // scaled_assets(stored)
    index_growth = WAD * (debt_index - stored.debt_index) // stored.debt_index
    lenders_growth = index_growth * utilisation * (WAD - reserve_factor) // WAD
    supply_index = min(
        stored.supply_index * (PRICE_SCALE + lenders_growth) // PRICE_SCALE, MAX_INDEX
    )
    return replace(sheet, supply_index=supply_index)
