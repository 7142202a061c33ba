"""Positions by the thousand: exact integers to begin with, then arrays of what the engines use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringfence.math.fixed_point import WAD
from ringfence.math.health import debt_up
from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.trigger import triggers


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions by the contract's integers: collateral units, scaled asset units, one index."""

    collateral: Sequence[int]
    scaled_debt: Sequence[int]
    debt_index: int = WAD


@dataclass(frozen=True, slots=True)
class Book:
    """Positions of one market, struct of arrays, one entry a position.

    triggers: int64, exact, at the liquidation LTV. collateral and debt: float64, whole tokens,
    within 2**-52 of the units they stand for, relatively.
    """

    triggers: Integers
    collateral: Floats
    debt: Floats

    @classmethod
    def of(cls, market: RiskMarket, positions: Positions) -> Book:
        """Return the book of some positions, in their order."""
        held, owed, index = positions.collateral, positions.scaled_debt, positions.debt_index
        debts = (debt_up(scaled, index) / 10**market.asset_decimals for scaled in owed)
        return cls(
            triggers(market, held, owed, index, market.risk.liquidation_ltv),
            np.fromiter((units / 10**market.collateral_decimals for units in held), np.float64),
            np.fromiter(debts, np.float64),
        )

    def sorted(self) -> Book:
        """Return the book with its triggers rising; equal ones keep their order."""
        order = np.argsort(self.triggers, kind="stable")
        return Book(self.triggers[order], self.collateral[order], self.debt[order])


@dataclass(frozen=True, slots=True)
class BookLaw:
    """How positions are drawn: LTVs uniform between two, sizes log-normal.

    LTVs are parts of one; None is the market's initial LTV. `size` is the median collateral, whole
    tokens, `spread` the standard deviation of its logarithm.
    """

    size: float
    spread: float = 1.0
    least_ltv: float = 0.0
    most_ltv: float | None = None


def random_positions(
    rng: np.random.Generator, market: RiskMarket, count: int, answer: int, law: BookLaw
) -> Positions:
    """Return `count` positions by a law at an answer and an index of 1e18.

    What was drawn becomes whole units, rounded down, LTVs so within float rounding of the law's.
    Raises RiskError for LTVs that are out of order or above the liquidation LTV.
    """
    most = market.initial_ltv / WAD if law.most_ltv is None else law.most_ltv
    if not 0 <= law.least_ltv <= most <= market.liquidation_ltv:
        raise RiskError(
            f"LTVs are drawn from {law.least_ltv} to {most} (limits 0 and the liquidation LTV "
            f"{market.liquidation_ltv}); reorder or narrow them"
        )
    sizes = law.size * np.exp(law.spread * rng.standard_normal(count))
    ltvs = rng.uniform(law.least_ltv, most, count)
    worth = sizes * market.worth(10**market.collateral_decimals, answer)
    whole = float(10**market.collateral_decimals)
    return Positions(
        [max(int(size * whole), 1) for size in sizes.tolist()],
        [int(debt * 10**market.asset_decimals) for debt in (worth * ltvs).tolist()],
    )


def random_book(
    rng: np.random.Generator, market: RiskMarket, count: int, answer: int, law: BookLaw
) -> Book:
    """Return the sorted book of `random_positions`."""
    return Book.of(market, random_positions(rng, market, count, answer, law)).sorted()
