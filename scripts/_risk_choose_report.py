"""The figures of `ape run risk choose --report`, on paths that nothing was chosen on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ringfence.math.fixed_point import WAD
from ringfence.report.panel import Panel
from ringfence.risk.answers.choose import Choices, judged
from ringfence.risk.answers.judge import LTV_STEP, Bench, Setting, worst_of
from ringfence.risk.report.losses import Grid, Option, frontier, heat_map
from ringfence.risk.rules.market import RiskMarket
from scripts._risk_choose_show import Asked, closed_forms

ROWS = 8
"""Bonuses of the map, evenly spaced between those that were tried."""
COLUMN = 8 * LTV_STEP
"""From one liquidation LTV of the map to the next."""
_FINE = WAD // 10_000
"""Bonuses are whole multiples of it."""


def panels(bench: Bench, found: Choices, asked: Asked) -> list[Panel]:
    """Return the map of losses by LTV and bonus, and the frontier with other methods beside it."""
    setting, best = bench.setting, found.best
    bonuses = _bonuses(asked.bonuses)
    ltvs = _ltvs(setting, bonuses)
    forms = closed_forms(best, asked)
    others = {
        name: setting.at(_down(forms[key]), best.market.risk.base_bonus)
        for name, key in (("SmartLTV", "smart_ltv"), ("one whale", "one_whale"))
        if setting.takes(_down(forms[key]), best.market.risk.base_bonus)
    }
    cells = [setting.at(ltv, bonus) for bonus in bonuses for ltv in ltvs]
    highs = _highs(bench, [*cells, *others.values()])
    losses = np.array(highs[: len(cells)]).reshape(len(bonuses), len(ltvs))
    grid = Grid(np.array(ltvs) / WAD, np.array(bonuses) / WAD, losses)
    beside = [
        _option(name, market, high)
        for (name, market), high in zip(others.items(), highs[len(cells) :], strict=True)
    ]
    line = [_option(f"budget {one.budget:.2%}", one.market, one.used) for one in found.frontier]
    own = _option("the file's own", found.own.market, found.own.used)
    return [heat_map(grid, asked.budget), frontier(line, [*beside, own], asked.budget)]


def _highs(bench: Bench, markets: Sequence[RiskMarket]) -> list[float]:
    """Return the highest upper end of each market's ES 99, a share of the debt."""
    return [es[worst_of(es)].high for es in judged(bench, markets)]


def _option(name: str, market: RiskMarket, high: float) -> Option:
    return Option(name, market.liquidation_ltv, high)


def _bonuses(tried: Sequence[int]) -> list[int]:
    low, high = min(tried), max(tried)
    ends = (low, high) if low < high else (low, low + LTV_STEP)
    return [round(one / _FINE) * _FINE for one in np.linspace(*ends, ROWS)]


def _ltvs(setting: Setting, bonuses: Sequence[int]) -> list[int]:
    """Return the map's LTVs, rising to the largest that a contract takes with every bonus."""
    grids = [setting.grid(bonus) for bonus in bonuses]
    low, top = max(grid[0] for grid in grids), min(grid[-1] for grid in grids)
    return list(range(top, low - 1, -COLUMN))[::-1]


def _down(ltv: float) -> int:
    """Return an LTV, a part of one, on the grid, 1e18."""
    return int(ltv * WAD) // LTV_STEP * LTV_STEP
