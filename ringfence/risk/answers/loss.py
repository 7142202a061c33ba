"""What lenders lose on many paths where liquidations do not move the price.

A keeper sees a position that is due and acts `delay` steps later, if it has been due ever since and
what is seized, sold at a discount, pays for the repayment and the cut. The contract's rules say
what then moves: LIQ-4 stops at the target LTV and what is left of the position goes on, LIQ-5 sells
all of it and writes off the rest of the debt. What is insolvent at the end of a path and has not
been liquidated is written off too, at the last answer. The reserve takes losses before lenders do.

Triggers and answers are exact integers until a position was liquidated; amounts are float64, whole
assets. Interest is left out: a book is priced over days.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringfence.risk.answers.tail import (
    Estimate,
    Precision,
    expected_shortfall,
    narrow_enough,
    share_of,
    value_at_risk,
)
from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import PriceModel
from ringfence.risk.rules.book import Book
from ringfence.risk.rules.liquidations import Terms, beta_of, is_insolvent, liquidate
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import answers_of
from ringfence.risk.work.jit import njit
from ringfence.risk.work.tasks import Result, Task

_FIGURES = 6
LENDER_LOSS, BAD_DEBT, PENDING, RESERVE_NEEDED, LIQUIDATED, REPAID = range(_FIGURES)


@dataclass(frozen=True, slots=True)
class LateKeepers:
    """How soon keepers act, steps after a position is due, and how far below the price they sell.

    The discount is a part of one: a swap's fee and its slippage.
    """

    delay: int = 0
    discount: float = 0.0

    def __post_init__(self) -> None:
        if self.delay < 0:
            raise RiskError(f"delay is {self.delay} steps (limit 0); raise it")
        if not 0 <= self.discount < 1:
            raise RiskError(f"discount is {self.discount} (limits: 0, below 1); pass 0.01 for 1 %")


@dataclass(frozen=True, slots=True)
class BookOutcome:
    """What became of a book, float64 [path], whole assets; `liquidated` counts liquidations.

    bad_debt: written off in all, `pending` of it at the end; lender_loss: what of it the reserve,
    fed by the cuts, did not bear; reserve_needed: at the start, so that lenders lose nothing;
    repaid: debt that keepers repaid.
    """

    lender_loss: Floats
    bad_debt: Floats
    pending: Floats
    reserve_needed: Floats
    liquidated: Floats
    repaid: Floats

    @classmethod
    def of(cls, results: Iterable[Mapping[str, NDArray[Any]]]) -> BookOutcome:
        """Return the outcomes of several tasks as one, in their order."""
        parts = list(results)
        return cls(*(np.concatenate([part[one.name] for part in parts]) for one in fields(cls)))


class _Rules(NamedTuple):
    terms: Terms
    falls: bool
    still: float
    delay: int
    discount: float


def outcome(
    market: RiskMarket, book: Book, answers: Integers, keepers: LateKeepers, reserve: float
) -> BookOutcome:
    """Return what becomes of a book on int64 answers [path, step]; the reserve in whole assets.

    In a step the reserve meets losses before cuts. Every amount is within 1e-12 of the book's debt
    of what the contract's integers give and, for each position and liquidation, eight times the
    larger of an asset unit and what a collateral unit is worth; unless an answer lies within two
    of a trigger that a liquidation left.
    """
    if answers.ndim != 2 or not answers.size or answers.min() < 1:
        raise RiskError(f"answers are {answers.shape}; pass [path, step], all 1 or more")
    sign = 1 if market.falls else -1
    keys = sign * book.triggers
    order = np.argsort(-keys, kind="stable")
    terms = Terms.of(market.risk)
    terms = terms._replace(min_debt=terms.min_debt / 10**market.asset_decimals)
    rules = _Rules(terms, market.falls, float(market.still), keepers.delay, keepers.discount)
    held, owed = book.collateral[order], book.debt[order]
    return BookOutcome(*_outcome(answers, keys[order], held, owed, rules, float(reserve)))


@njit
def _outcome(
    answers: Integers,
    triggers: Integers,
    collateral: Floats,
    debt: Floats,
    rules: _Rules,
    reserve: float,
) -> Floats:
    """Return the figures [figure, path]; triggers and answers signed so that low is bad."""
    paths, steps = answers.shape
    figures = np.zeros((_FIGURES, paths))
    keys, prices = np.empty(steps, np.int64), np.empty(steps)
    lows = np.empty(steps, np.int64)
    for path in range(paths):
        for step in range(steps):
            answer = answers[path, step]
            keys[step] = answer if rules.falls else -answer
            prices[step] = answer / rules.still if rules.falls else rules.still / answer
            lows[step] = keys[step] if step == 0 else min(lows[step - 1], keys[step])
        hits, gains = np.zeros(steps), np.zeros(steps)
        for position in range(triggers.size):
            if triggers[position] <= lows[-1]:
                break
            first = np.searchsorted(-lows, -triggers[position], side="right")
            _follow(
                keys, prices, first, triggers[position], collateral[position], debt[position],
                rules, hits, gains, figures[:, path],
            )  # fmt: skip
        _absorb(hits, gains, reserve, figures[:, path])
    return figures


@njit
def _follow(
    keys: Integers,
    prices: Floats,
    first: int,
    trigger: int,
    collateral: float,
    debt: float,
    rules: _Rules,
    hits: Floats,
    gains: Floats,
    figures: Floats,
) -> None:
    """Take a position from the first step at which it is due to the end of the path."""
    since = -1
    for step in range(first, keys.size):
        if keys[step] >= trigger:
            since = -1
            continue
        if since < 0:
            since = step
        terms = rules.terms
        if step - since < rules.delay or not pays(
            collateral, debt, prices[step], rules.discount, terms
        ):
            continue
        moved = liquidate(collateral, debt, prices[step], np.inf, terms)
        figures[LIQUIDATED] += 1
        figures[REPAID] += moved.repaid
        figures[BAD_DEBT] += moved.loss
        hits[step] += max(moved.loss - moved.cut, 0.0)
        gains[step] += max(moved.cut - moved.loss, 0.0)
        collateral, debt, since = collateral - moved.seized, debt - moved.retired, -1
        if debt <= 0.0:
            return
        trigger = _trigger(collateral, debt, rules)
    if keys[-1] < trigger and is_insolvent(collateral, debt, prices[-1], rules.terms):
        loss = liquidate(collateral, debt, prices[-1], np.inf, rules.terms).loss
        figures[BAD_DEBT] += loss
        figures[PENDING] += loss
        hits[-1] += loss


@njit
def pays(collateral: float, debt: float, price: float, discount: float, terms: Terms) -> bool:
    """Return whether the sale of what is seized pays for the repayment and the cut."""
    value, beta = collateral * price, terms.beta_max
    if debt < 2.0 * value:
        beta = beta_of(debt / value, terms)
    return beta * (1.0 - discount) >= 1.0 + (beta - 1.0) * terms.reserve_cut


@njit
def _trigger(collateral: float, debt: float, rules: _Rules) -> int:
    """Return the signed trigger of what a liquidation left."""
    ratio = debt / (rules.terms.liquidation_ltv * collateral)
    return ceil(ratio * rules.still) if rules.falls else ceil(-rules.still / ratio)


@njit
def _absorb(hits: Floats, gains: Floats, reserve: float, figures: Floats) -> None:
    """Let the reserve bear a path's losses, step by step, before its cuts come in."""
    level = 0.0
    for step in range(hits.size):
        reserve, level = reserve - hits[step], level - hits[step]
        figures[LENDER_LOSS] += max(-reserve, 0.0)
        figures[RESERVE_NEEDED] = max(figures[RESERVE_NEEDED], -level)
        reserve, level = max(reserve, 0.0) + gains[step], level + gains[step]


@dataclass(frozen=True, slots=True)
class Lot:
    """What one task draws: so many paths of a model, from a first answer, against a book."""

    market: RiskMarket
    book: Book
    model: PriceModel
    first: int
    keepers: LateKeepers
    reserve: float
    paths: int
    steps: int
    step_seconds: int


def _draw(given: Mapping[str, Any], rng: np.random.Generator) -> Result:
    lot: Lot = given["lot"]
    prices = lot.model.draw(rng, lot.paths, lot.steps, lot.step_seconds)
    answers = answers_of(prices, lot.first)
    found = outcome(lot.market, lot.book, answers, lot.keepers, lot.reserve)
    return {one.name: getattr(found, one.name) for one in fields(found)}


DRAW_LOSSES = Task("lender-loss", _draw)


@dataclass(frozen=True, slots=True)
class LossReport:
    """What lenders may lose, and whether the reserve is enough; whole assets.

    outcome: of all paths, to draw; narrow: whether the ES is as well known as was asked. `loss` is
    the share of paths on which lenders lose, `adequate` of those on which the reserve, with the
    cuts, bears it all; repaid_95 and liquidated_95: the VaR of what keepers repay and how often.
    """

    debt: float
    reserve: float
    outcome: BookOutcome
    narrow: bool
    var_95: Estimate
    es_99: Estimate
    loss: Estimate
    adequate: Estimate
    reserve_needed_99: Estimate
    repaid_95: Estimate
    liquidated_95: Estimate


def price_losses(
    lot: Lot, precision: Precision, work: Generator[Result, None, None], told: Callable[[int], None]
) -> LossReport:
    """Return the report on lots' results, taken until lenders' ES 99 is narrow enough.

    `told` gets the number of paths after each lot; the rest of the work is ended.
    """
    parts: list[Result] = []

    def losses() -> Iterator[Floats]:
        for part in work:
            parts.append(part)
            told(sum(one["lender_loss"].size for one in parts))
            yield part["lender_loss"]

    with closing(work):
        lost, narrow = narrow_enough(losses(), 0.99, precision)
    found = BookOutcome.of(parts)
    hit = int(np.count_nonzero(lost))
    return LossReport(
        debt=float(lot.book.debt.sum()),
        reserve=lot.reserve,
        outcome=found,
        narrow=narrow,
        var_95=value_at_risk(lost, 0.95).at_least(0),
        es_99=expected_shortfall(lost, 0.99).at_least(0),
        loss=share_of(hit, lost.size),
        adequate=share_of(lost.size - hit, lost.size),
        reserve_needed_99=value_at_risk(found.reserve_needed, 0.99).at_least(0),
        repaid_95=value_at_risk(found.repaid, 0.95).at_least(0),
        liquidated_95=value_at_risk(found.liquidated, 0.95).at_least(0),
    )
