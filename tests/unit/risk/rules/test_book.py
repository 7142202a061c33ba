"""Books: exact where it matters, close where it does not, drawn by a law."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ringfence.math.fixed_point import WAD
from ringfence.math.health import debt_up
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.book import Book, BookLaw, Positions, random_book, random_positions
from ringfence.risk.rules.trigger import trigger
from tests.support.risk import DOLLAR, LIQUIDATION_LTV, PERCENT, holds, risk_market

ANSWER = 2_000 * DOLLAR
LAW = BookLaw(5.0, spread=1.5, least_ltv=0.3)


def test_of__positions__holds_their_triggers_and_close_floats() -> None:
    market = risk_market()
    positions = Positions(
        [3, 2**112 - 1, 12_345 * WAD], [7, 2**104 - 1, 10**10 + 1], 17 * WAD // 10
    )
    book = Book.of(market, positions)
    pairs = zip(positions.collateral, positions.scaled_debt, strict=True)
    for at, (held, owed) in enumerate(pairs):
        expected = trigger(market, held, owed, positions.debt_index, LIQUIDATION_LTV)
        assert book.triggers[at] == expected
        exact = Fraction(held, 10**18), Fraction(debt_up(owed, positions.debt_index), 10**6)
        for close, true in zip((book.collateral[at], book.debt[at]), exact, strict=True):
            assert abs(Fraction(float(close)) - true) <= true / 2**52


@pytest.mark.parametrize("falls", [True, False])
def test_random_positions__any_market__keep_to_the_law(falls: bool) -> None:
    market = risk_market(18, 6, falls=falls)
    drawn = random_positions(np.random.default_rng(1), market, 4_000, ANSWER, LAW)
    for held, owed in zip(drawn.collateral, drawn.scaled_debt, strict=True):
        assert holds(market, held, owed, WAD, 81 * PERCENT, ANSWER)
    book = Book.of(market, drawn)
    ltvs = book.debt / (book.collateral * market.worth(WAD, ANSWER))
    assert 0.299 < ltvs.min() < 0.31
    assert 0.79 < ltvs.max() < 0.801
    assert abs(np.median(ltvs) - 0.55) < 0.02
    assert abs(np.log(book.collateral / 5).mean()) < 0.1
    assert abs(np.log(book.collateral).std() - 1.5) < 0.1


def test_random_book__same_seed__is_the_same_and_sorted() -> None:
    one, two = (
        random_book(np.random.default_rng(3), risk_market(), 500, ANSWER, LAW) for _ in range(2)
    )
    assert one.triggers.tobytes() == two.triggers.tobytes()
    assert one.debt.tobytes() == two.debt.tobytes()
    assert (np.diff(one.triggers) >= 0).all()


def test_sorted__any_book__keeps_each_position_together() -> None:
    book = Book(np.array([3, 1, 2]), np.array([30.0, 10.0, 20.0]), np.array([300.0, 100.0, 200.0]))
    rising = book.sorted()
    assert rising.triggers.tolist() == [1, 2, 3]
    assert rising.collateral.tolist() == [10, 20, 30]
    assert rising.debt.tolist() == [100, 200, 300]


@pytest.mark.parametrize(("least", "most"), [(-0.1, 0.5), (0.6, 0.5), (0.1, 0.87)])
def test_random_positions__impossible_ltvs__are_refused(least: float, most: float) -> None:
    law = BookLaw(1.0, least_ltv=least, most_ltv=most)
    with pytest.raises(RiskError, match="reorder or narrow"):
        random_positions(np.random.default_rng(1), risk_market(), 1, ANSWER, law)
