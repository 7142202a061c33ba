"""How a trader splits capital over isolated positions under a budget of Expected Shortfall.

A slot is a market and a leverage; what becomes of one unit of margin in it is followed on drawn
paths by the contract's rules (`isolated` in `ringfence.risk.answers.cross`): it may be repaired, be
liquidated and leave what repayment and bonus do, or lose its margin, never more. All of it is
proportional to the margin, but for the least debt, which is left out, as are interest and what
trading costs. So the split is a linear programme over the scenarios (Rockafellar and Uryasev 2000,
equation 17), solved by cutting planes: each is the mean loss of the worst paths of the last split,
and a few dozen do for any number of paths (Kuenzi-Bay and Mayer 2006).

Capital that goes nowhere is kept in cash. Nobody tops up. Exposure is gross: a long and a short on
one token add up, though they hedge each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from scipy.optimize import linprog

from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.cross import Accounts, CrossMarket, isolated
from ringfence.risk.answers.loss import LateKeepers
from ringfence.risk.answers.tail import LEAST_TAIL, Estimate, expected_shortfall, mean
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.joint import JointPrices
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.work.tasks import Result, Task

Aim = Literal["exposure", "return"]

_TOLERANCE = 1e-6
"""Of the budget: HiGHS holds its constraints to 1e-7. The split is scaled down by what is above."""

_MOST_CUTS = 2_000


@dataclass(frozen=True, slots=True)
class Slot:
    """A position that capital may go to: the market's number, and collateral over equity."""

    market: int
    leverage: float


def slots_of(markets: Sequence[RiskMarket], leverages: Iterable[float]) -> list[Slot]:
    """Return each market's slots at those leverages that it opens.

    Raises RiskError for a leverage that no market opens.
    """
    most = [WAD / (WAD - market.initial_ltv) for market in markets]
    slots: list[Slot] = []
    for leverage in leverages:
        opened = [n for n, limit in enumerate(most) if 1 <= leverage <= limit * (1 + 1e-12)]
        if not opened:
            raise RiskError(
                f"no market opens a leverage of {leverage:g} (limits 1 and {max(most):.4g}, from "
                "the initial LTV); choose one between"
            )
        slots += [Slot(number, leverage) for number in opened]
    return sorted(slots, key=lambda slot: slot.market)


@dataclass(frozen=True, slots=True)
class Scenarios:
    """What becomes of a unit of margin, float64 [path, slot].

    equity: what is left at the end; exposure: what of the moving price the slot still bears then,
    at the price of the start: a long's collateral, a short's debt.
    """

    equity: Floats
    exposure: Floats

    @property
    def loss(self) -> Floats:
        """What of the unit is lost, 1 at most."""
        return 1.0 - self.equity


def scenarios(
    slots: Sequence[Slot], venues: list[CrossMarket], prices: Floats, keepers: LateKeepers
) -> Scenarios:
    """Return what slots become on relative prices, float64 [market, path, step]."""
    leverage = np.array([slot.leverage for slot in slots], np.float64)
    market = np.array([slot.market for slot in slots], np.int64)
    book = Accounts(np.arange(len(slots)), market, leverage, leverage - 1, np.zeros(len(slots)))
    found = isolated(book, venues, prices, keepers)
    falls = np.array([venue.falls for venue in venues])[market]
    end = prices[market, :, -1].T
    equity = found.held * np.where(falls, end, 1) - found.owed * np.where(falls, 1, end)
    return Scenarios(np.maximum(equity, 0), np.where(falls, found.held, found.owed))


@dataclass(frozen=True, slots=True)
class Allocation:
    """Margins by slot, float64 [slot], and what paths make of them.

    exposure and gain: means over paths; shortfall: the ES of the account's loss.
    """

    margins: Floats
    exposure: Estimate
    gain: Estimate
    shortfall: Estimate

    @classmethod
    def of(cls, found: Scenarios, margins: Floats, level: float) -> Allocation:
        """Return what becomes of margins, on the paths that they were chosen on or on others."""
        lost = found.loss @ margins
        return cls(
            margins,
            mean(found.exposure @ margins),
            mean(-lost),
            expected_shortfall(lost, level),
        )


def allocate(
    found: Scenarios, capital: float, budget: float, level: float, aim: Aim = "exposure"
) -> Allocation:
    """Return the split with the largest mean exposure, or return, whose ES is in the budget.

    The budget is a part of the capital, and holds for the account's loss at a level such as 0.95.
    """
    if not (0 < capital < float("inf") and 0 < budget <= 1):
        raise RiskError(
            f"capital is {capital:g}, the budget {budget:g} of it (limits: above 0, the budget up "
            "to 1, as no slot loses more than its margin); pass 0.05 for 5 %"
        )
    paths, slots = found.equity.shape
    if not 0 < level < 1 or round(paths * (1 - level)) < LEAST_TAIL:
        raise RiskError(
            f"of {paths:,} paths {paths * (1 - level):,.0f} are beyond a level of {level:g} (limit "
            f"{LEAST_TAIL}); pass more paths (csv:FILE has one, bootstrap:FILE any number) "
            "or a level such as 0.95"
        )
    worth = (found.exposure if aim == "exposure" else -found.loss).mean(axis=0)
    rows = [np.ones(slots)]
    for _ in range(_MOST_CUTS):
        solved = linprog(-worth, A_ub=np.array(rows), b_ub=np.ones(len(rows)), method="highs")
        if not solved.success:
            break
        losses = found.loss @ solved.x
        shortfall = expected_shortfall(losses, level).value
        if shortfall <= budget * (1 + _TOLERANCE):
            share = np.maximum(solved.x, 0) * min(1.0, budget / max(shortfall, budget))
            return Allocation.of(found, capital * share, level)
        rows.append(_tail(losses, level) @ found.loss / budget)
    raise RiskError(
        f"no split was found in {len(rows)} steps: {solved.message}; pass fewer leverages"
    )


def _tail(losses: Floats, level: float) -> Floats:
    """Return each path's weight in the ES: alike in the worst 1 - level, of one in part, else 0."""
    count = losses.size * (1 - level)
    weights = np.empty(losses.size)
    weights[np.argsort(-losses, kind="stable")] = np.clip(count - np.arange(losses.size), 0, 1)
    return weights / count


def _draw(given: Mapping[str, Any], rng: Generator) -> Result:
    prices: JointPrices = given["prices"]
    found = scenarios(given["slots"], given["venues"], prices.draw(rng), given["keepers"])
    return {"equity": found.equity, "exposure": found.exposure}


DRAW_SLOTS = Task("allocate", _draw)
