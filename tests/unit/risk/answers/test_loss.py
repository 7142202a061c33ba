"""Lender loss against the contract's integers, and against what must hold of it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.health import debt_up, is_healthy, ltv_up, value_down
from ringfence.math.liquidation import beta_of, is_solvent, liquidate
from ringfence.math.position_slot import PositionSlot
from ringfence.risk.answers.loss import DRAW_LOSSES, BookOutcome, LateKeepers, Lot, outcome
from ringfence.risk.arrays import Integers
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import Gbm
from ringfence.risk.rules.book import Book, BookLaw, Positions, random_book, random_positions
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import answers_of
from tests.support.risk import DOLLAR, risk_market

LONG, FIRST = risk_market(), 2_000 * DOLLAR
SHORT = risk_market(6, 18, falls=False)
LAW = BookLaw(1.0, least_ltv=0.6)
FIGURES = [one.name for one in fields(BookOutcome)]


@dataclass
class Mirror:
    """One path by the integer mirror, asset units; mutable: a loop fills it."""

    bad_debt: int = 0
    pending: int = 0
    liquidated: int = 0
    repaid: int = 0


def follow(
    market: RiskMarket, slot: PositionSlot, answers: list[int], keepers: LateKeepers, found: Mirror
) -> list[tuple[int, int]]:
    """Take one position along a path; return its losses less cuts with their steps."""
    moves, since, risk = [], None, market.risk
    for step, answer in enumerate(answers):
        price = market.price(answer)
        debt, value = debt_up(slot.scaled_debt, WAD), value_down(slot.collateral, price)
        if is_healthy(debt, value, risk.liquidation_ltv):
            since = None
            continue
        since = step if since is None else since
        beta = beta_of(ltv_up(debt, value), risk)
        cost = WAD + (beta - WAD) * risk.reserve_cut // WAD
        if step - since >= keepers.delay and beta * (1 - keepers.discount) >= cost:
            moved = liquidate(slot, WAD, price, MAX_UINT256, risk)
            found.liquidated += 1
            found.repaid += moved.repaid
            found.bad_debt += moved.loss
            moves.append((step, moved.loss - moved.cut))
            left = slot.scaled_debt - moved.scaled_retired
            slot, since = PositionSlot(slot.collateral - moved.seized, left, 0), None
            if not left:
                return moves
    ltv = ltv_up(debt, value)
    if not is_healthy(debt, value, risk.liquidation_ltv) and not is_solvent(
        ltv, beta_of(ltv, risk)
    ):
        loss = liquidate(slot, WAD, price, MAX_UINT256, risk).loss
        found.bad_debt += loss
        found.pending += loss
        moves.append((len(answers) - 1, loss))
    return moves


def mirrored(
    market: RiskMarket, positions: Positions, answers: Integers, keepers: LateKeepers, reserve: int
) -> list[dict[str, int]]:
    """Return the figures of each path in asset units."""
    rows = []
    for path in answers.tolist():
        found, moves = Mirror(), []
        for held, owed in zip(positions.collateral, positions.scaled_debt, strict=True):
            moves += follow(market, PositionSlot(held, owed, 0), path, keepers, found)
        lost, left, level, needed = 0, reserve, 0, 0
        for _, _, net in sorted((step, net < 0, net) for step, net in moves):
            left, level = left - net, level - net
            lost, left, needed = lost + max(-left, 0), max(left, 0), max(needed, -level)
        rows.append(vars(found) | {"lender_loss": lost, "reserve_needed": needed})
    return rows


def wild(market: RiskMarket, count: int = 20) -> tuple[Positions, Integers]:
    """Return positions, and paths that see repairs, write-offs and what is pending at the end."""
    law = LAW if market.falls else replace(LAW, size=2_000.0)
    positions = random_positions(default_rng(4), market, count, FIRST, law)
    return positions, answers_of(Gbm(3.0).draw(default_rng(5), 30, 60, 3_600), FIRST)


@pytest.mark.parametrize("market", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize(
    "keepers", [LateKeepers(), LateKeepers(3), LateKeepers(2, 0.02), LateKeepers(0, 0.09)]
)
def test_outcome__small_books__within_the_stated_bound_of_the_mirror(
    market: RiskMarket, keepers: LateKeepers
) -> None:
    positions, answers = wild(market)
    whole, debt = 10**market.asset_decimals, sum(positions.scaled_debt)
    reserve = debt // 1_000
    found = outcome(market, Book.of(market, positions), answers, keepers, reserve / whole)
    rows = mirrored(market, positions, answers, keepers, reserve)
    exact = {name: np.array([float(row[name]) for row in rows]) for name in FIGURES}
    assert np.array_equal(found.liquidated, exact["liquidated"])
    prices = [market.price(int(answer)) for answer in (answers.min(), answers.max())]
    unit = max(1.0, max(prices) / PRICE_SCALE)
    bound = 1e-12 * debt + 8 * unit * (len(positions.collateral) + found.liquidated)
    for name in set(FIGURES) - {"liquidated"}:
        assert (np.abs(getattr(found, name) * whole - exact[name]) <= bound).all(), name
    if keepers.discount == 0.09:  # no bonus pays for it
        assert not found.liquidated.any()
        assert found.pending.any()
    elif keepers.delay:
        assert (found.bad_debt > found.pending).any()
        assert (found.lender_loss > 0).any()
        assert (found.lender_loss < found.bad_debt).any()


def test_outcome__shuffled_book__same_bytes_but_for_the_order_of_sums() -> None:
    positions, answers = wild(LONG)
    book = Book.of(LONG, positions)
    order = default_rng(6).permutation(20)
    shuffled = Book(book.triggers[order], book.collateral[order], book.debt[order])
    for one, other in zip(both(book, answers), both(shuffled, answers), strict=True):
        assert np.array_equal(one, other)


def both(book: Book, answers: Integers) -> list[NDArray[np.float64]]:
    found = outcome(LONG, book, answers, LateKeepers(2), 1.0)
    return [getattr(found, name) for name in FIGURES]


@pytest.fixture(scope="module")
def crowd() -> Book:
    return random_book(default_rng(1), LONG, 500, FIRST, BookLaw(1.0, least_ltv=0.5, most_ltv=0.7))


def mean_loss(book: Book, volatility: float, delay: int, market: RiskMarket = LONG) -> float:
    """Return the mean over common random numbers, without any reserve."""
    answers = answers_of(Gbm(volatility).draw(default_rng(2), 300, 240, 3_600), FIRST)
    return float(outcome(market, book, answers, LateKeepers(delay), 0.0).lender_loss.mean())


def test_outcome__longer_delay__loses_no_less(crowd: Book) -> None:
    found = [mean_loss(crowd, 3.0, delay) for delay in (0, 1, 3, 6, 12)]
    assert found == sorted(found)
    assert found[0] < found[1] < found[-1]


def test_outcome__wilder_prices__loses_no_less(crowd: Book) -> None:
    found = [mean_loss(crowd, volatility, 3) for volatility in (0.5, 1.0, 2.0, 3.0, 4.0)]
    assert found == sorted(found)
    assert found[1] < found[-1]


def test_outcome__higher_liquidation_ltv__loses_no_less() -> None:
    found = []
    for percent in (82, 84, 86, 88):
        risk = replace(LONG.risk, liquidation_ltv=percent * WAD // 100, beta_max=105 * WAD // 100)
        market = replace(LONG, risk=risk)
        law = BookLaw(1.0, least_ltv=0.5, most_ltv=0.7)
        book = random_book(default_rng(1), market, 500, FIRST, law)
        found.append(mean_loss(book, 3.0, 3, market))
    assert found == sorted(found)
    assert found[0] < found[-1]


@pytest.mark.parametrize("given", [{"delay": -1}, {"discount": 1.0}, {"discount": -0.1}])
def test_keepers__unusable__refused(given: dict[str, float]) -> None:
    with pytest.raises(RiskError, match=next(iter(given))):
        LateKeepers(**given)  # type: ignore[arg-type]


def test_outcome__answers_unusable__refused(crowd: Book) -> None:
    for answers in (np.ones(3, np.int64), np.zeros((1, 3), np.int64), np.ones((0, 3), np.int64)):
        with pytest.raises(RiskError, match="answers are"):
            outcome(LONG, crowd, answers, LateKeepers(), 0.0)


def test_draw_losses__one_lot__is_the_outcome_of_its_paths(crowd: Book) -> None:
    lot = Lot(LONG, crowd, Gbm(3.0), FIRST, LateKeepers(3), 1.0, 10, 240, 3_600)
    found = BookOutcome.of([DRAW_LOSSES.call({"lot": lot}, default_rng(8))] * 2)
    answers = answers_of(Gbm(3.0).draw(default_rng(8), 10, 240, 3_600), FIRST)
    once = outcome(LONG, crowd, answers, LateKeepers(3), 1.0)
    assert once.lender_loss.any()
    for name in FIGURES:
        assert np.array_equal(getattr(found, name), np.tile(getattr(once, name), 2))
