"""The pool's depth against the pool itself, and what is sold against the contract's integers."""

from __future__ import annotations

import numpy as np
import pytest

from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.liquidation import liquidate
from ringfence.math.position_slot import PositionSlot
from ringfence.risk.answers.depth import Depth, most_sold
from ringfence.risk.coupled.pool import Pool
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.book import Book, BookLaw, Positions, random_positions
from ringfence.risk.rules.market import RiskMarket
from tests.support.risk import DOLLAR, holds, risk_market

FIRST = 2_000 * DOLLAR
LONG, SHORT = risk_market(), risk_market(6, 18, falls=False)


@pytest.mark.parametrize("amount", [0.001, 1.0, 5_000.0, 1e7])
def test_discount__any_sale__is_the_v2_pools(amount: float) -> None:
    pool, price = Pool.v2(45_000.0, 90e6), 2_000.0
    got = -pool.sell(amount).asset / (amount * price)
    depth = Depth(90e6, fee=pool.fee)
    assert float(depth.discount(np.array(amount * price))) == pytest.approx(1 - got, abs=1e-12)


@pytest.mark.parametrize("discount", [0.003, 0.01, 0.2])
def test_sellable__at_a_discount__is_what_has_it(discount: float) -> None:
    depth = Depth(90e6, fee=0.003)
    assert depth.discount(np.array(depth.sellable(discount))) == pytest.approx(discount, abs=1e-15)


def test_sellable__below_the_fee__nothing() -> None:
    assert Depth(90e6, fee=0.003).sellable(0.002) == 0


@pytest.mark.parametrize("depth", [(0.0, 0.0, 1), (1.0, 1.0, 1), (1.0, 0.0, 0)])
def test_depth__no_pool__says_what_to_pass(depth: tuple[float, float, int]) -> None:
    with pytest.raises(RiskError, match="pass a worth above 0"):
        Depth(*depth)


def _positions(market: RiskMarket) -> Positions:
    size = 1.0 if market.falls else 2_000.0
    law = BookLaw(size, least_ltv=0.6)
    return random_positions(np.random.default_rng(4), market, 20, FIRST, law)


@pytest.mark.parametrize("market", [LONG, SHORT], ids=["long", "short"])
def test_most_sold__one_fall__the_contracts_seizures(market: RiskMarket) -> None:
    positions = _positions(market)
    answer = FIRST * 17 // 20 if market.falls else FIRST * 20 // 17
    price, seized = market.price(answer), 0
    for held, owed in zip(positions.collateral, positions.scaled_debt, strict=True):
        if not holds(market, held, owed, WAD, market.risk.liquidation_ltv, answer):
            slot = PositionSlot(held, owed, 0)
            seized += liquidate(slot, WAD, price, MAX_UINT256, market.risk).seized
    answers = np.array([[FIRST, answer, FIRST], [FIRST, FIRST, FIRST]])
    found = most_sold(market, Book.of(market, positions), answers, 0, 1)
    worth = seized * price / PRICE_SCALE / 10**market.asset_decimals
    assert seized
    assert found == pytest.approx([worth, 0.0], rel=1e-6)


def test_most_sold__two_falls__count_together_only_within_a_refill() -> None:
    book = Book.of(LONG, _positions(LONG))
    first, second = FIRST * 17 // 20, FIRST * 15 // 20
    path = np.array([[FIRST, first, first, second, second]])
    one, two, three = (float(most_sold(LONG, book, path, 0, refill)[0]) for refill in (1, 2, 3))
    alone = float(most_sold(LONG, book, path[:, :3], 0, 1)[0])
    assert one == two == pytest.approx(max(alone, three - alone), rel=1e-12)
    assert 0 < alone < three


def test_most_sold__back_before_keepers_act__nothing() -> None:
    book = Book.of(LONG, _positions(LONG))
    path = np.array([[FIRST, FIRST * 17 // 20, FIRST * 17 // 20, FIRST]])
    assert most_sold(LONG, book, path, 2, 1) == 0
    assert most_sold(LONG, book, path, 1, 1) > 0
