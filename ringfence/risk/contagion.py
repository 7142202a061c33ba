"""How far a fall feeds on itself, how much a pool bears, and what an outage costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.risk import pool as pools
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled import Coupled, Outage, RankedBook, Scene, run
from ringfence.risk.errors import RiskError
from ringfence.risk.liquidations import Terms
from ringfence.risk.market import RiskMarket
from ringfence.risk.pool import Pool

BLOCK_SECONDS = 12


@dataclass(frozen=True, slots=True)
class Cascade:
    """The same paths without and with feedback: entry by entry the same prices at first."""

    impact: float
    without: Coupled
    with_feedback: Coupled

    @property
    def branching(self) -> float:
        """Positions that a liquidated position draws after it, on the average, over all paths.

        Of a branching process whose first generation are those liquidated without feedback: its
        whole is that over one less the ratio. 0 without liquidations.
        """
        first, whole = self.without.liquidated.sum(), self.with_feedback.liquidated.sum()
        return max(1.0 - float(first / whole), 0.0) if whole else 0.0


def cascade(scene: Scene, paths: Floats, impact: float) -> Cascade:
    """Return what becomes of paths without feedback, and with a share of sales' moves kept."""
    without, fed = (run(replace(scene, impact=share), paths) for share in (0.0, impact))
    return Cascade(impact, without, fed)


@dataclass(frozen=True, slots=True)
class Absorption:
    """What a pool bears of a market's liquidations, at one price of oracle and pool.

    `debt` is the most debt that is repaid out of what the pool gives, asset units, the last unit of
    it sold for what it costs; `fall` the part of its price that the pool then loses. `ltv` is the
    largest LTV at which selling a book's whole collateral at once still repays its debt with the
    reserve's cut, at most the market's liquidation LTV.
    """

    debt: float
    fall: float
    ltv: float


def absorption(pool: Pool, market: RiskMarket, collateral: float) -> Absorption:
    """Return what a pool bears at its own price; `collateral` is the book's, units.

    At the liquidation LTV: the bonus is the base one.
    """
    terms = Terms.of(market.risk)
    beta = 1 + terms.base_bonus
    part = 1 + (beta - 1) * terms.reserve_cut
    target = sqrt(pool.price * part / beta / (1 - pool.fee))
    borne, fall = 0.0, 0.0
    if target < pool.place.root:
        trade = pools.move(pool.roots, pool.liquidity, pool.fee, pool.place, target)
        borne = trade.collateral * pool.price / beta
        fall = 1 - trade.place.root**2 / pool.price
    whole = pool.sell(collateral)
    ltv = -whole.asset / (collateral * pool.price) / part
    return Absorption(borne, fall, min(ltv, terms.liquidation_ltv))


@dataclass(frozen=True, slots=True)
class Cut:
    """An outage of some blocks and what it costs: asset units, means over the paths.

    `loss` is the lenders' and what is still owed above its collateral's worth at the end, less the
    reserve that is left to pay for it.
    """

    blocks: int
    loss: float
    worst: float
    reserve_used: float
    liquidations: float


def outage_curve(
    scene: Scene,
    paths: Floats,
    blocks: Iterable[int],
    *,
    step_seconds: float,
    start: int,
    oracle: bool,
    keepers: int,
) -> list[Cut]:
    """Return the cost of outages that begin with a step and last so many blocks, whole steps up.

    Oracle and `keepers` of the keepers are cut off together; one keeper that a frozen head eclipses
    is `oracle=False, keepers=1`.
    """
    if step_seconds <= 0 or not (oracle or keepers):
        raise RiskError(
            f"steps are {step_seconds:g} s, oracle {oracle}, keepers {keepers}; cut something off, "
            "in steps that take time"
        )
    found = []
    for count in blocks:
        steps = int(np.ceil(count * BLOCK_SECONDS / step_seconds))
        result = run(replace(scene, outage=Outage(start, steps, oracle, keepers)), paths)
        loss = losses(result)
        found.append(
            Cut(
                count,
                float(loss.mean()),
                float(loss.max()),
                float(result.reserve_used.mean()),
                float(result.liquidations.mean()),
            )
        )
    return found


def losses(result: Coupled) -> Floats:
    """Return what lenders lost on each path and stand to lose, asset units, [path]."""
    pending: Floats = np.maximum(result.bad_debt - result.reserve, 0.0)
    return result.lender_loss + pending


def sudden(fall: float, over: int, steps: int) -> Floats:
    """Return one path, [1, step]: down by a part of one within `over` steps, evenly, then still."""
    if not (0 < fall < 1 and 0 < over < steps):
        raise RiskError(f"a fall of {fall:g} within {over} of {steps} steps; pass a part of one")
    path: Floats = (1 - fall) ** np.minimum(np.arange(steps) / over, 1.0)
    return path[None]


def draw_book(
    rng: np.random.Generator,
    market: RiskMarket,
    answer: int,
    *,
    count: int,
    debt: float,
    least_ltv: float = 1 / 3,
) -> RankedBook:
    """Return positions of LTVs uniform up to the initial one, and log-normal debts.

    `debt` is the sum, asset units, about: none is below the market's least debt.
    """
    sizes = rng.lognormal(0.0, 1.0, count)
    debts = np.maximum(sizes * (debt / sizes.sum()), market.risk.min_debt)
    ltvs = rng.uniform(least_ltv, market.initial_ltv / WAD, count)
    return RankedBook.of(debts / ltvs / (market.price(answer) / PRICE_SCALE), debts)


def curve_blocks(most: int) -> Sequence[int]:
    """Return blocks to ask for: none, then twice as many each time, the most included."""
    return [0, *(most >> n for n in range(most.bit_length() - 1, -1, -1))]
