"""How far a fall feeds on itself, how much a pool bears, and what an outage costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np

from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled import pool as pools
from ringfence.risk.coupled.engine import Coupled, Outage, RankedBook, Scene, run
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.liquidations import Terms
from ringfence.risk.rules.market import RiskMarket

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
    reserve that is left to pay for it; `keeper_profit` that of all keepers, their gas paid.
    """

    blocks: int
    loss: float
    worst: float
    reserve_used: float
    liquidations: float
    keeper_profit: float


@dataclass(frozen=True, slots=True)
class Eclipse:
    """One keeper that sees a frozen head for some blocks while the others go on: `cut` for all.

    The rest is its own: means over the paths, asset units. Keepers are alike and race by lot: one
    has an even share of what those who act do in a step, calls and profit. `missed` calls and
    `missed_profit`, its gas paid, are its share of the day without an outage less with it; below 0
    where it later shares in what the others left.

    `failed` are the calls that it sends on the head that froze: what pays on it in the outage's
    first step, as far as its capacity goes; the others have liquidated these by the time that they
    land. `burned` is their gas if it sends each once, as who waits for a new head or a receipt
    does, `burned_again` if it sends them every step of the outage. A call that fails is taken to
    cost what one that succeeds does.
    """

    cut: Cut
    missed: float
    missed_profit: float
    failed: float
    burned: float
    burned_again: float


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

    Oracle and `keepers` of the keepers are cut off together.
    """
    if not (oracle or keepers):
        raise RiskError(
            f"oracle {oracle}, keepers {keepers}: nothing is cut off; cut something off"
        )
    found = []
    for count in blocks:
        outage = Outage(start, steps_of(count, step_seconds), oracle, keepers)
        found.append(_cut(count, run(replace(scene, outage=outage), paths)))
    return found


def eclipse_curve(
    scene: Scene, paths: Floats, blocks: Iterable[int], *, step_seconds: float, start: int
) -> list[Eclipse]:
    """Return the cost of eclipses of one keeper that begin with a step and last so many blocks."""
    keepers = scene.keepers
    before, first, day = (_done(run(scene, paths[:, :end])) for end in (start, start + 1, None))
    # Alone, nobody is first: what it sent would be good, if it landed.
    room = keepers.capacity if keepers.count > 1 else 0
    failed = float(np.minimum(first[0] - before[0], room).mean())
    found = []
    for count in blocks:
        steps = steps_of(count, step_seconds)
        eclipsed = replace(scene, outage=Outage(start, steps, keepers=1))
        result = run(eclipsed, paths)
        # What happens until a step does not hang on what comes after it.
        within = _done(run(eclipsed, paths[:, : start + steps])) - before
        calls, profit = (day - (_done(result) - within)).mean(axis=1) / keepers.count
        sent = failed if steps else 0.0
        burned = sent * keepers.gas
        found.append(
            Eclipse(_cut(count, result), float(calls), float(profit), sent, burned, burned * steps)
        )
    return found


def steps_of(blocks: int, step_seconds: float) -> int:
    """Return the steps that some blocks take, rounded up; raise RiskError for steps of no time."""
    if step_seconds <= 0:
        raise RiskError(f"steps are {step_seconds:g} s; pass some that take time")
    return ceil(blocks * BLOCK_SECONDS / step_seconds)


def _cut(blocks: int, result: Coupled) -> Cut:
    loss = losses(result)
    return Cut(
        blocks,
        float(loss.mean()),
        float(loss.max()),
        float(result.reserve_used.mean()),
        float(result.liquidations.mean()),
        float(result.keeper_profit.mean()),
    )


def _done(result: Coupled) -> Floats:
    """Return all keepers' calls and their profit, [2, path]."""
    return np.stack((result.liquidations, result.keeper_profit))


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
    """Return positions of LTVs uniform up to the initial one, and debts log-normal above the least.

    `debt` is their sum, asset units. Raises RiskError for more positions than it can carry.
    """
    least = market.risk.min_debt
    if debt < count * least:
        owed, asked = (one / 10**market.asset_decimals for one in (count * least, debt))
        raise RiskError(
            f"{count:,} positions owe {owed:,.15g} at least, the book's debt is {asked:,.15g}; "
            "pass fewer or a larger debt"
        )
    sizes = rng.lognormal(0.0, 1.0, count)
    debts = least + sizes * ((debt - count * least) / sizes.sum())
    ltvs = rng.uniform(least_ltv, market.initial_ltv / WAD, count)
    return RankedBook.of(debts / ltvs / (market.price(answer) / PRICE_SCALE), debts)


def curve_blocks(most: int) -> Sequence[int]:
    """Return blocks to ask for: none, then twice as many each time, the most included."""
    return [0, *(most >> n for n in range(most.bit_length() - 1, -1, -1))]
