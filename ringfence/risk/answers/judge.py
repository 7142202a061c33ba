"""What lenders' ES 99 is in a market with given parameters, debt cap and pool, under one price law.

The book is even: positions of equal debt, LTVs evenly spaced up to the initial LTV, the debt cap in
all. Initial and target LTV keep their distance below the liquidation LTV; beta_max is the largest
that the contract takes, rounded down. Keepers sell into a pool: what its depth lets them sell at
once where the largest bonus pays for that, else in parts, one a refill, so that they are late.
At one asking every market is judged on the same paths (common random numbers).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from ringfence.deploy.market import MIN_LTV_GAP, largest_beta_max
from ringfence.deploy.units import to_wad
from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.depth import Depth, most_sold
from ringfence.risk.answers.loss import LateKeepers, outcome
from ringfence.risk.answers.tail import Estimate, expected_shortfall, share_of
from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import PriceModel
from ringfence.risk.rules.book import Book, Positions
from ringfence.risk.rules.liquidations import Terms
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import answers_of
from ringfence.risk.work.tasks import Result, Task

LTV_STEP = WAD // 200
LEAST_LTV = WAD // 2
"""The grid of liquidation LTVs: half a per cent apart, from one half."""
BETA_STEP = Decimal("0.001")
DISCOUNT_STEP = 0.0025
"""Paths are judged together where their discounts, rounded up to this, are the same."""
ROUNDING = 1e-9
"""Of the discount that beta_max just pays for."""
LEVEL = 0.99
CHUNK = 500
"""Paths that are drawn at a time: most of them make nothing due and are let go."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What markets are judged in. The cap is in whole assets.

    reserve: at the start, a share of the debt; delay: keepers', in steps; least: the book's lowest
    LTV, a share of the initial one; first: the feed's answer at the start.
    """

    market: RiskMarket
    first: int
    cap: float
    depth: Depth
    reserve: float = 0.0
    delay: int = 5
    least: float = 0.6
    positions: int = 32
    steps: int = 1_440
    step_seconds: int = 60

    def __post_init__(self) -> None:
        if not (self.cap > 0 and 0 < self.least <= 1 and self.reserve >= 0):
            raise RiskError(
                f"cap is {self.cap:g}, least {self.least:g}, reserve {self.reserve:g}; pass a cap "
                "above 0, a least LTV above 0 and up to 1, and no reserve below 0"
            )

    @property
    def target_gap(self) -> int:
        """Target below liquidation LTV, 1e18: the market's own."""
        return self.market.risk.liquidation_ltv - self.market.risk.target_ltv

    @property
    def initial_gap(self) -> int:
        """Initial below liquidation LTV, 1e18: the market's own."""
        return self.market.risk.liquidation_ltv - self.market.initial_ltv

    def at(self, ltv: int, bonus: int) -> RiskMarket:
        """Return the market at a liquidation LTV and bonus, 1e18, with the largest beta_max."""
        risk = replace(
            self.market.risk, liquidation_ltv=ltv, target_ltv=ltv - self.target_gap,
            base_bonus=bonus, beta_max=_beta_max(ltv, bonus),
        )  # fmt: skip
        return replace(self.market, initial_ltv=ltv - self.initial_gap, risk=risk)

    def grid(self, bonus: int) -> list[int]:
        """Return the liquidation LTVs that a contract with this bonus takes, rising.

        Mirrors the bounds of `ringfence.deploy.market.Risk`; the gaps have theirs already.
        """
        ltvs = range(-(-LEAST_LTV // LTV_STEP) * LTV_STEP, WAD, LTV_STEP)
        return [ltv for ltv in ltvs if self.takes(ltv, bonus)]

    def takes(self, ltv: int, bonus: int) -> bool:
        """Return whether a contract takes a liquidation LTV with a bonus, 1e18 both."""
        least = self.initial_gap + to_wad(MIN_LTV_GAP)
        return least <= ltv < WAD and _beta_max(ltv, bonus) > WAD + bonus

    def nearest(self) -> int:
        """Return an answer at least as near as any trigger of any market that is judged."""
        ltv = max(self.market.risk.liquidation_ltv, WAD - LTV_STEP)
        initial = ltv - self.initial_gap
        if self.market.falls:
            return self.first * initial // ltv + 1
        return self.first * ltv // initial - 1


@cache
def _beta_max(ltv: int, bonus: int) -> int:
    one = Decimal(WAD)
    return to_wad(largest_beta_max(ltv / one, bonus / one).quantize(BETA_STEP, ROUND_FLOOR))


def even_book(setting: Setting, market: RiskMarket, cap: float) -> Book:
    """Return the even book that owes `cap` whole assets."""
    count = setting.positions
    owed = int(cap / count * 10**market.asset_decimals)
    spread = (np.arange(count) + 0.5) / count
    ltvs = market.initial_ltv / WAD * (setting.least + (1 - setting.least) * spread)
    unit = market.worth(10**market.collateral_decimals, setting.first)
    held = cap / count / ltvs / unit * float(10**market.collateral_decimals)
    return Book.of(market, Positions([int(one) for one in held], [owed] * count)).sorted()


@dataclass(frozen=True, slots=True)
class Law:
    """A price law and how many paths of it are judged.

    `given` says that it is a day that was, of which only the way between its hours is drawn.
    """

    model: PriceModel
    paths: int
    given: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """Of a law's paths those that make any position due in any market that is judged.

    answers: int64 [path, step]; extremes: int64 [path], each one's worst answer.
    """

    law: Law
    answers: Integers
    extremes: Integers

    @classmethod
    def of(cls, setting: Setting, law: Law, rng: Generator) -> Drawn:
        """Return what is drawn, CHUNK paths at a time."""
        falls, parts = setting.market.falls, []
        for begin in range(0, law.paths, CHUNK):
            count = min(CHUNK, law.paths - begin)
            prices = law.model.draw(rng, count, setting.steps, setting.step_seconds)
            answers = answers_of(prices, setting.first)
            worst = answers.min(axis=1) if falls else answers.max(axis=1)
            parts.append(answers[_due(worst, setting.nearest(), falls=falls)])
        kept = np.concatenate(parts)
        return cls(law, kept, kept.min(axis=1) if falls else kept.max(axis=1))

    @classmethod
    def asked(cls, given: Mapping[str, Any], rng: Generator) -> Drawn:
        """Return what a task draws of its `law`: each `stream`, from 0, has paths of its own."""
        return cls.of(given["setting"], given["law"], rng.spawn(given["stream"] + 1)[-1])

    def due(self, market: RiskMarket, book: Book) -> Integers:
        """Return the answers [path, step] that make any of a market's positions due."""
        nearest = int(book.triggers.max() if market.falls else book.triggers.min())
        return self.answers[_due(self.extremes, nearest, falls=market.falls)]


Work = Callable[[Task, Sequence[Mapping[str, object]]], Iterable[Result]]


@dataclass(slots=True)
class Bench:
    """Laws, each asked by a task of its own; mutable: no two askings see the same paths.

    `work` runs a task on inputs, one a law, and gives each index the same random numbers each time.
    """

    setting: Setting
    laws: Mapping[str, Law]
    work: Work
    asked: int = 0

    def ask(self, task: Task, **given: object) -> list[Result]:
        """Return each law's answer, on paths that nothing was asked about before."""
        common = {"setting": self.setting, "stream": self.asked, **given}
        self.asked += 1
        return list(self.work(task, [{**common, "law": law} for law in self.laws.values()]))

    def estimates(self, found: Sequence[Result], name: str, index: int) -> dict[str, Estimate]:
        """Return by law what stands at an index of its answer of this name, [index, 3]."""
        rows = zip(self.laws, found, strict=True)
        return {law: Estimate(*of[name][index].tolist()) for law, of in rows}


def worst_of(es: Mapping[str, Estimate]) -> str:
    """Return the law whose interval ends highest."""
    return max(es, key=lambda law: es[law].high)


def row_of(es: Estimate) -> tuple[float, float, float]:
    """Return an estimate as a task's answer has it."""
    return es.value, es.low, es.high


def _due(extremes: Integers, trigger: int, *, falls: bool) -> npt.NDArray[np.bool_]:
    return extremes < trigger if falls else extremes > trigger


def loss_shares(setting: Setting, market: RiskMarket, drawn: Drawn, cap: float) -> Floats:
    """Return lenders' loss as a share of the debt, float64 [path], of all of the law's paths.

    Those on which nothing is due are last.
    """
    book = even_book(setting, market, cap)
    answers = drawn.due(market, book)
    shares = np.zeros(drawn.law.paths)
    if not len(answers):
        return shares
    sold = most_sold(market, book, answers, setting.delay, setting.depth.refill)
    debt, lost = float(book.debt.sum()), np.empty(len(answers))
    plans = _plans(setting, market, sold)
    for discount, delay in np.unique(plans, axis=0):
        rows = (plans == (discount, delay)).all(axis=1)
        keepers = LateKeepers(int(delay), float(discount))
        found = outcome(market, book, answers[rows], keepers, setting.reserve * debt)
        lost[rows] = found.lender_loss / debt
    shares[: len(lost)] = lost
    return shares


def _plans(setting: Setting, market: RiskMarket, sold: Floats) -> Floats:
    """Return at what discount and with what delay keepers sell so much: [path, (part, steps)].

    At once, where beta_max pays for that; else in as few equal parts, a refill apart, as it pays
    for, all of them as late as the last. Where it does not even pay for the fee, nothing is sold.
    """
    depth, terms = setting.depth, Terms.of(market.risk)
    bonus = (terms.beta_max - 1) * (1 - terms.reserve_cut)
    most = bonus / terms.beta_max * (1 - ROUNDING)
    discounts = np.ceil(depth.discount(sold) / DISCOUNT_STEP) * DISCOUNT_STEP
    once = depth.sellable(most)
    if once == 0:
        return np.column_stack(
            (discounts.clip(max=1 - DISCOUNT_STEP), np.full(len(sold), setting.delay))
        )
    parts = np.maximum(np.ceil(sold / once), 1)
    return np.column_stack((discounts.clip(max=most), setting.delay + depth.refill * (parts - 1)))


def largest(count: int, holds: Callable[[int], bool]) -> int:
    """Return the last index below `count` at which something holds, by bisection; -1 if none.

    Where it holds at more indices it never returns a smaller one.

    >>> largest(10, lambda index: index**2 < 30)
    5
    """
    low, high = -1, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


class Found(NamedTuple):
    """What paths alone say of a market: its ES, the worst loss, the number of losses."""

    es: Estimate
    worst: float
    hit: int

    @classmethod
    def of(cls, shares: Floats) -> Found:
        """Return what losses say, shares of the debt [path]."""
        es = expected_shortfall(shares, LEVEL)
        return cls(es, float(shares.max()), int(np.count_nonzero(shares)))

    def most(self, paths: int) -> float:
        """Return how often as many paths may lose as did (Clopper and Pearson), over the tail."""
        return min(share_of(self.hit, paths).high / (1 - LEVEL), 1.0)


@dataclass(slots=True)
class Judge:
    """What becomes of markets under one law; mutable: it remembers what it has judged."""

    setting: Setting
    drawn: Drawn
    _known: dict[tuple[RiskMarket, float], Found] = field(default_factory=dict)

    def es(self, market: RiskMarket, cap: float) -> Estimate:
        """Return lenders' ES 99 as a share of the debt, with an upper end.

        Of a day that was it is the worst path's loss. Of a law it is the interval's; where too few
        paths lose for one, it is that of the least risky market on the grid, of the same bonus and
        no lower LTV, where enough do; where they are too few in any, how often more may lose than
        did (Clopper and Pearson) times the worst loss, both in the riskiest; the whole debt, where
        none does.
        """
        found = self._found(market, cap)
        if self.drawn.law.given:
            return replace(found.es, high=found.worst)
        if isfinite(found.es.high):
            return found.es
        other = self._found(self.riskier(market, cap), cap)
        seen = isfinite(other.es.high)
        often = other.most(self.drawn.law.paths)
        high = other.es.high if seen else often * (other.worst or 1.0)
        return replace(found.es, high=high)

    def riskier(self, market: RiskMarket, cap: float) -> RiskMarket:
        """Return the least risky market, of this bonus and no lower LTV, where enough paths lose.

        The riskiest where there is none.
        """
        bonus = market.risk.base_bonus
        ltvs = self.setting.grid(bonus)

        def unknown(index: int) -> bool:
            return not isfinite(self._found(self.setting.at(ltvs[index], bonus), cap).es.high)

        first = 1 + largest(len(ltvs), unknown)
        first = max(first, bisect_left(ltvs, market.risk.liquidation_ltv))
        return self.setting.at(ltvs[min(first, len(ltvs) - 1)], bonus)

    def _found(self, market: RiskMarket, cap: float) -> Found:
        key = market, cap
        if key not in self._known:
            self._known[key] = Found.of(loss_shares(self.setting, market, self.drawn, cap))
        return self._known[key]
