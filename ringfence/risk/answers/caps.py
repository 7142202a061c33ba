"""The debt cap that a market bears where sales move the price, and lenders' ES 99 at it.

The coupled engine's book is the judge's, at a cap, beside a Uniswap pool of full range; keepers do
what pays, gas counted, and the market keeps a share of what sales move the pool by. The pool's
depth is there once within `refill` steps: a step finds that part of it, full, and a unit sold moves
the market as the whole pool would have it. Keepers are not late here: a cap has to hold against the
judge's late keepers, who sell at a price that stands still, as well.

Caps are tried from the largest down, each on paths that none was tried on before, and the first
that both engines have inside the budget under every law is taken: it need not hold at smaller ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.random import Generator

from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.risk.answers.contagion import losses
from ringfence.risk.answers.judge import (
    Bench,
    Drawn,
    Found,
    Judge,
    Setting,
    even_book,
    row_of,
    worst_of,
)
from ringfence.risk.answers.tail import Estimate
from ringfence.risk.arrays import Floats
from ringfence.risk.coupled.engine import Keepers, RankedBook, Scene, exact_keys, run
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.book import Book
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.work.tasks import Result, Task

CAPS = tuple(2 ** (power / 3) for power in range(6, -13, -1))
"""Debt caps that are tried, times the one asked for, falling: from 4 to 1 / 16."""


IMPACT = 0.25
"""Of the pool's move: it is a quarter of all that the token trades on, nothing of it comes back."""
POSITIONS = 64


@dataclass(frozen=True, slots=True)
class Sales:
    """What sales do and cost: `impact`, the share of the pool's move that the market keeps; `gas`.

    Gas is of a liquidation, whole assets; `positions` is how many owe the cap, evenly.
    """

    impact: float = IMPACT
    gas: float = 0.0
    positions: int = POSITIONS

    def __post_init__(self) -> None:
        if not (0 <= self.impact <= 1 and 0 <= self.gas < np.inf and self.positions >= 1):
            raise RiskError(
                f"impact is {self.impact:g}, gas {self.gas:g}, positions {self.positions}; pass a "
                "part of one, no gas below 0, at least one position"
            )


def scene(setting: Setting, sales: Sales, market: RiskMarket, book: Book) -> Scene:
    """Return a market's book beside what a step finds of the pool."""
    asset, depth = float(10**market.asset_decimals), setting.depth
    price = market.price(setting.first) / PRICE_SCALE
    ranked = RankedBook.of(
        book.collateral * float(10**market.collateral_decimals),
        book.debt * asset,
        exact_keys(market, book.triggers),
    )
    return Scene(
        market,
        setting.first,
        ranked,
        Pool.around(price, depth.value / depth.refill * asset / price, depth.fee),
        keepers=Keepers(gas=sales.gas * asset),
        impact=sales.impact / depth.refill,
        reserve=setting.reserve * float(ranked.debt.sum()),
    )


def coupled_shares(
    setting: Setting, sales: Sales, market: RiskMarket, drawn: Drawn, cap: float
) -> Floats:
    """Return lenders' loss as a share of the debt, float64 [path], of all of the law's paths.

    Where nothing is due nothing is sold, and nothing is lost: those paths are last.
    """
    book = even_book(replace(setting, positions=sales.positions), market, cap)
    answers, shares = drawn.due(market, book), np.zeros(drawn.law.paths)
    if len(answers):
        of = scene(setting, sales, market, book)
        # Half an answer more, so that the feed, which rounds down, gives the answer.
        found = losses(run(of, (answers + 0.5) / setting.first))
        shares[: len(answers)] = found / of.book.debt.sum()
    return shares


def coupled_es(judge: Judge, sales: Sales, market: RiskMarket, cap: float) -> Estimate:
    """Return lenders' ES 99 as a share of the debt where sales move the price, with an upper end.

    Of a day that was it is the worst path's loss. Where too few paths lose for an interval, it is
    the lower of two: the interval's end in the judge's riskier market, and how often more may lose
    than did (Clopper and Pearson) times the worst loss in either, or the whole debt without one.
    """

    def of(one: RiskMarket) -> Found:
        return Found.of(coupled_shares(judge.setting, sales, one, judge.drawn, cap))

    found, law = of(market), judge.drawn.law
    if law.given:
        return replace(found.es, high=found.worst)
    if isfinite(found.es.high):
        return found.es
    other = of(judge.riskier(market, judge.setting.cap))
    often = found.most(law.paths) * (max(found.worst, other.worst) or 1.0)
    return replace(found.es, high=min(other.es.high, often))


def _try(given: Mapping[str, Any], rng: Generator) -> Result:
    """Return one law's ES 99 at each market and cap, late and coupled, [market, 3] each."""
    judge = Judge(given["setting"], Drawn.asked(given, rng))
    late = [judge.es(market, cap) for market, cap in given["tried"]]
    coupled = [coupled_es(judge, given["sales"], market, cap) for market, cap in given["tried"]]
    return {
        "late": np.array([row_of(one) for one in late]),
        "coupled": np.array([row_of(one) for one in coupled]),
    }


TRY = Task("choose-cap", _try)


@dataclass(frozen=True, slots=True)
class Size:
    """A debt cap, whole assets, and lenders' ES 99 at it by law, shares of the debt.

    late: keepers late, the price unmoved; coupled: sales move it. `binds`: the law that forbids the
    next larger cap, empty at the largest that is tried. Where none that was tried is inside the
    budget, the smallest stands here, and does not pass.
    """

    cap: float
    late: Mapping[str, Estimate]
    coupled: Mapping[str, Estimate]
    binds: str = ""

    @property
    def worst(self) -> str:
        """The law whose interval ends highest, in either engine."""
        return max(self.late, key=lambda law: max(self.late[law].high, self.coupled[law].high))

    @property
    def used(self) -> float:
        """The highest upper end."""
        return max(one[worst_of(one)].high for one in (self.late, self.coupled))


def sizes(bench: Bench, sales: Sales, markets: Sequence[RiskMarket], budget: float) -> list[Size]:
    """Return each market's largest cap inside a budget, of CAPS, or the smallest that was tried."""
    found: dict[int, Size] = {}
    binds = [""] * len(markets)
    for part in CAPS:
        open_ = [index for index in range(len(markets)) if index not in found]
        if not open_:
            break
        cap = part * bench.setting.cap
        answers = bench.ask(TRY, sales=sales, tried=tuple((markets[one], cap) for one in open_))
        for row, index in enumerate(open_):
            late, coupled = (bench.estimates(answers, name, row) for name in ("late", "coupled"))
            one = Size(cap, late, coupled, binds[index])
            binds[index] = one.worst
            if one.used <= budget or part == CAPS[-1]:
                found[index] = one
    return [found[index] for index in range(len(markets))]
