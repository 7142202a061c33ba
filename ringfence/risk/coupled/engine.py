"""Price, pool and keepers, each acting on the others: what a fall does to one market.

A step, in this order: the market's price moves; the arbitrageur brings the pool towards it; the
oracle answers anew if it deviates, or its heartbeat is over; keepers liquidate what pays, riskiest
first, and sell what they seize into the pool. `impact` is the share of what a sale moves the pool
by that the market at large follows and keeps: the feedback, from the next step on.

The cost of a step does not grow with positions that are not due: they lie in order of risk, and
those that were liquidated in part in a heap. Simplified: a day's interest is left out; keepers are
one in what they want, many in how much they can; a transaction's shared gas is spread evenly. As
the keeper's plan does, each takes of a position the size that earns most: the whole, or what takes
the pool to where a unit sold earns what it costs. What does not pay is looked at again once
the pool's price has made up for what is missing, or at the oracle's next answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled import steps as kernel
from ringfence.risk.coupled.pool import Place, Pool
from ringfence.risk.coupled.steps import Event, Ledger, World
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.liquidations import Terms
from ringfence.risk.rules.market import FEED_DECIMALS, RiskMarket


class Bound(NamedTuple):
    """How far an amount may be off: a part of it, and asset units, or their worth, besides."""

    relative: float
    units: float

    def allowed(self, amount: float, unit: float = 1.0) -> float:
        """Return how far an amount may be off whose token has `unit` units to an asset unit."""
        return self.relative * abs(amount) + self.units * unit


SCENARIO = Bound(1e-9, 50.0)
"""Of every amount of a scenario from its begin, compared to the contracts' own course of it."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Steps from `start` on in which the oracle gets no answers, and some keepers act on none.

    A keeper that sees a frozen head does what one does that is cut off: nothing of it succeeds.
    """

    start: int
    steps: int
    oracle: bool = False
    keepers: int = 0


NO_OUTAGE = Outage(0, 0)


@dataclass(frozen=True, slots=True)
class Keepers:
    """How many there are, and how many liquidations each can send a step.

    `gas` is what a liquidation costs, `most_loss` what clearing an insolvent position may cost, gas
    included; both in asset units.
    """

    count: int = 3
    capacity: int = 1_024
    gas: float = 0.0
    most_loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Feed:
    """The oracle: it answers anew past a deviation (a part of one) or a heartbeat, in steps.

    An answer older than `max_age` steps is stale: nothing can be liquidated.
    """

    deviation: float = 0.005
    heartbeat: int = 60
    max_age: int = 75


@dataclass(frozen=True, slots=True)
class RankedBook:
    """Positions in order of risk: collateral units, debt in asset units, both above 0.

    `key` is what they are ordered by: a position is due once its key is above the liquidation LTV
    times the price. `order` is where each stood in what the book was made of.
    """

    collateral: Floats
    debt: Floats
    key: Floats
    order: NDArray[np.int64]

    @classmethod
    def of(cls, collateral: Floats, debt: Floats, key: Floats | None = None) -> RankedBook:
        """Return positions in order; without keys, by debt over collateral.

        They are then due within two asset units of the debt of where the contract has them. Raises
        RiskError unless all are of some size.
        """
        if len(collateral) != len(debt) or not (np.all(collateral > 0) and np.all(debt > 0)):
            raise RiskError(
                f"{len(collateral)} collaterals and {len(debt)} debts; a book needs as many of "
                "each, all above 0"
            )
        key = debt / collateral if key is None else key
        order = np.argsort(-key, kind="stable")
        return cls(collateral[order], debt[order], key[order], order)


def exact_keys(market: RiskMarket, triggers: NDArray[np.int64]) -> Floats:
    """Return the keys of positions by the last answers at which the contract has them healthy.

    Half an answer off, so that no rounding of floats is in doubt: due exactly where the contract
    says, until a position is liquidated in part.
    """
    unit, ltv = _unit(market), market.liquidation_ltv
    if market.falls:
        return np.asarray(ltv * unit * (triggers - 0.5))
    return np.asarray(ltv * unit / (triggers + 0.5))


def _unit(market: RiskMarket) -> float:
    """Return the contract's price over the answer, in a short times it; asset per collateral."""
    one = 10**FEED_DECIMALS
    at_one = market.price(one) / PRICE_SCALE
    return float(at_one / one if market.falls else at_one * one)


@dataclass(frozen=True, slots=True)
class Scene:
    """What paths run through: the market at its first feed answer, its book, pool and keepers.

    `closed` is the share of the gap to the no-arbitrage band that a step closes, `impact` the share
    of a sale's move that the market keeps, `reserve` the vault's own equity, asset units.
    """

    market: RiskMarket
    answer: int
    book: RankedBook
    pool: Pool
    feed: Feed = field(default_factory=Feed)
    keepers: Keepers = field(default_factory=Keepers)
    outage: Outage = NO_OUTAGE
    closed: float = 1.0
    impact: float = 0.0
    reserve: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.closed <= 1 and 0 <= self.impact <= 1):
            raise RiskError(
                f"closed is {self.closed:g} and impact {self.impact:g}; both are parts of one"
            )
        if self.answer < 1 or self.keepers.count < self.outage.keepers:
            raise RiskError(
                f"the first answer is {self.answer}, {self.outage.keepers} of "
                f"{self.keepers.count} keepers are cut off; pass an answer above 0 and no more "
                "keepers than there are"
            )

    def world(self) -> World:
        """Return what the steps need of it."""
        outage = self.outage
        return World(
            unit=_unit(self.market),
            falls=self.market.falls,
            answer=self.answer,
            fee=float(self.pool.fee),
            compounds=self.pool.compounds,
            closed=float(self.closed),
            impact=float(self.impact),
            deviation=float(self.feed.deviation),
            heartbeat=self.feed.heartbeat,
            max_age=self.feed.max_age,
            capacity=self.keepers.capacity * self.keepers.count,
            gas=float(self.keepers.gas),
            most_loss=float(self.keepers.most_loss),
            reserve=float(self.reserve),
            out_from=outage.start,
            out_to=outage.start + outage.steps,
            oracle_out=outage.oracle,
            capacity_out=self.keepers.capacity * (self.keepers.count - outage.keepers),
        )


@dataclass(frozen=True, slots=True)
class Coupled:
    """What became of each path: arrays [path], asset units unless said.

    `seized` is in collateral units. `liquidated` counts positions, `liquidations` calls. `reserve`
    is what is left of it, `bad_debt` what would be written off at the last price if all that is
    insolvent then were liquidated, `pool_low` the pool's lowest price, asset units per collateral
    unit.
    """

    seized: Floats
    repaid: Floats
    reserve: Floats
    reserve_used: Floats
    lender_loss: Floats
    liquidations: Floats
    liquidated: Floats
    bad_debt: Floats
    keeper_profit: Floats
    pool_low: Floats


class Traced(NamedTuple):
    """One path step by step: `ledger` [step, Ledger], `events` [liquidation, Event]."""

    result: Coupled
    ledger: Floats
    events: Floats


def run(scene: Scene, paths: Floats) -> Coupled:
    """Return what becomes of paths of relative prices, float64 [path, step], column 0 being 1."""
    return _result(kernel.run_paths(*_inputs(scene, paths), _NONE, _NO_EVENTS)[0])


def trace(scene: Scene, path: Floats, most_events: int = 100_000) -> Traced:
    """Return what happens along one path, [step]; at most so many liquidations are listed."""
    ledger = np.zeros((len(path), len(Ledger)))
    events = np.zeros((most_events, len(Event)))
    totals, count = kernel.run_paths(*_inputs(scene, path[None]), ledger, events)
    return Traced(_result(totals), ledger, events[:count])


_NONE = np.zeros((0, len(Ledger)))
_NO_EVENTS = np.zeros((0, len(Event)))


def _inputs(
    scene: Scene, paths: Floats
) -> tuple[World, Terms, Floats, Floats, Floats, Floats, Floats, Place, Floats]:
    if paths.ndim != 2 or not np.all((paths > 0) & (paths < inf)):
        raise RiskError("a path is a row of relative prices above 0; there is one that is not")
    pool, book = scene.pool, scene.book
    return (
        scene.world(),
        Terms.of(scene.market.risk),
        book.collateral,
        book.debt,
        book.key,
        pool.roots,
        pool.liquidity,
        pool.place,
        np.ascontiguousarray(paths),
    )


def _result(totals: Floats) -> Coupled:
    def column(which: Ledger) -> Floats:
        return np.ascontiguousarray(totals[:, which])

    return Coupled(
        seized=column(Ledger.SEIZED),
        repaid=column(Ledger.REPAID),
        reserve=column(Ledger.RESERVE),
        reserve_used=column(Ledger.RESERVE_USED),
        lender_loss=column(Ledger.LENDER_LOSS),
        liquidations=column(Ledger.LIQUIDATIONS),
        liquidated=column(Ledger.LIQUIDATED),
        bad_debt=column(Ledger.BAD_DEBT),
        keeper_profit=column(Ledger.KEEPERS) - column(Ledger.GAS),
        pool_low=column(Ledger.POOL_LOW),
    )
