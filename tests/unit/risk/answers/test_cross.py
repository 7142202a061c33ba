"""Isolated against cross: what is worked by hand, and agreement with the contract's rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import default_rng

from ringfence.risk.answers.cross import (
    KEPT,
    LOST,
    OTHER_LOST,
    Accounts,
    CrossMarket,
    compare,
    isolated,
)
from ringfence.risk.answers.loss import LateKeepers, outcome
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import Gbm
from ringfence.risk.rules.book import Book
from ringfence.risk.rules.liquidations import Terms
from ringfence.risk.rules.stepper import answers_of
from tests.support.risk import DOLLAR, risk_market

TERMS = Terms(0.86, 0.80, 0.01, 1.077, 0.10, 100.0)
VENUES = [CrossMarket(TERMS), CrossMarket(TERMS)]


def accounts(
    account: list[int], market: list[int], value: list[float], debt: list[float], spare: list[float]
) -> Accounts:
    return Accounts(
        np.array(account), np.array(market), np.array(value), np.array(debt), np.array(spare)
    )


def still(*paths: list[float]) -> np.ndarray:
    """Return prices [market, 1 path, step]."""
    return np.array([[path] for path in paths])


def test_compare__small_fall_of_one_market__only_isolated_loses_its_slot() -> None:
    # Slot 0 ends at LTV 0.87; both together at 1,583 of 2,820.
    book = accounts([0, 0], [0, 1], [1_000, 2_000], [783, 800], [0])
    found = compare(book, VENUES, still([1, 0.9], [1, 1]), LateKeepers())
    assert found.isolated.state.tolist() == [[LOST, KEPT]]
    assert found.cross_leverage.state.tolist() == [[KEPT, KEPT]]
    assert found.isolated.held[0, 1] == 2_000
    assert found.isolated.owed[0, 1] == 800


def test_compare__crash_of_one_market__cross_takes_the_other_slot_and_spares_lenders() -> None:
    # Slot 0 is worth 500 of its 780 and the other has 260 to give: 1,180 of 1,540 is in bounds;
    # at 300 + 640 it is not, and all that slot 0 has does not repair it.
    book = accounts([0, 0], [0, 1], [1_000, 640], [780, 400], [0])
    found = compare(book, VENUES, still([1, 0.3], [1, 1]), LateKeepers())
    assert found.isolated.state.tolist() == [[LOST, KEPT]]
    assert found.cross_leverage.state.tolist() == [[LOST, OTHER_LOST]]
    assert found.isolated.lender_loss[0] == pytest.approx(780 - 300 / 1.077)
    # Insolvent together: 1,180 against 940.
    assert found.cross_leverage.lender_loss[0] == pytest.approx(1_180 - 940 / 1.077)
    assert found.cross_leverage.lender_loss[0] < found.isolated.lender_loss[0]
    assert found.isolated.capital[0] == pytest.approx(240)
    assert found.cross_leverage.capital[0] == 0


def test_compare__spare_put_in__saves_the_account_and_is_lost_in_a_crash() -> None:
    book = accounts([0], [0], [1_000], [800], [100])
    mild = compare(book, VENUES, still([1, 0.9], [1, 1]), LateKeepers())
    assert mild.isolated.state.tolist() == mild.cross_leverage.state.tolist() == [[LOST]]
    assert mild.cross_capital.state.tolist() == [[KEPT]]
    assert mild.cross_capital.capital[0] == pytest.approx(900 - 700)
    crash = compare(book, VENUES, still([1, 0.5], [1, 1]), LateKeepers())
    assert crash.isolated.capital[0] == crash.cross_leverage.capital[0] == 100
    assert crash.cross_capital.capital[0] == 0
    assert crash.cross_capital.lender_loss[0] == pytest.approx(crash.isolated.lender_loss[0] - 100)


def test_compare__more_spare_than_debt__what_is_left_stays_capital() -> None:
    book = accounts([0, 1], [0, 1], [1_000, 1_000], [400, 800], [500, 0])
    found = compare(book, VENUES, still([1, 0.9], [1, 1]), LateKeepers()).cross_capital
    assert found.owed.tolist() == [[0, 800]]
    assert found.capital[0] == pytest.approx(900 + 100 + 200)


def test_compare__short__rises_against_it() -> None:
    book = accounts([0], [0], [1_000], [800], [0])
    short = [CrossMarket(TERMS, falls=False)]
    assert compare(book, short, still([1, 0.5]), LateKeepers()).isolated.state.tolist() == [[KEPT]]
    assert compare(book, short, still([1, 1.1]), LateKeepers()).isolated.state.tolist() == [[LOST]]


@pytest.mark.parametrize("falls", [True, False])
@pytest.mark.parametrize("keepers", [LateKeepers(), LateKeepers(3, 0.02)])
def test_isolated__one_market__as_the_contract_s_rules_have_it(
    falls: bool, keepers: LateKeepers
) -> None:
    rng, count = default_rng(3), 30
    market = replace(risk_market(18, 18, falls=falls), initial_ltv=0)
    value, ltv = rng.uniform(1_000, 9_000, count), rng.uniform(0.6, 0.8, count)
    prices = Gbm(3.0).draw(rng, 30, 60, 3_600)
    answers = answers_of(prices, 10_000 * DOLLAR)
    # The first answer is the collateral's price in the long, the debt's in the short.
    first = 10_000.0
    held, debt = (value / first, value * ltv) if falls else (value, value * ltv / first)
    level = debt * DOLLAR / (0.86 * held) if falls else 0.86 * held * DOLLAR / debt
    triggers = (np.ceil if falls else np.floor)(level).astype(np.int64)
    one = outcome(market, Book(triggers, held, debt), answers, keepers, 0.0)
    slots = np.arange(count)
    book = Accounts(slots, slots * 0, value, value * ltv, np.zeros(count))
    terms = Terms.of(market.risk)._replace(min_debt=0.0)
    relative = (answers / answers[0, 0])[np.newaxis]
    found = isolated(book, [CrossMarket(terms, falls)], relative, keepers)
    if falls:  # a short's loss is in what it owes, which moves
        assert found.lender_loss == pytest.approx(one.bad_debt, rel=1e-9, abs=1e-6)
        assert one.bad_debt.any() == bool(keepers.delay)
    touched = np.zeros(30, np.int64)
    for slot in range(count):
        alone = Book(triggers[[slot]], held[[slot]], debt[[slot]])
        touched += outcome(market, alone, answers, keepers, 0.0).liquidated > 0
    assert np.array_equal(found.lost, touched)
    assert touched.any()
    assert not found.other_lost.any()


@pytest.mark.parametrize(
    ("account", "market", "spare", "word"),
    [
        ([], [], [], "not empty"),
        ([0, 0], [0], [0], "pass equal ones"),
        ([1], [0], [0, 0], "out of order"),
        ([0, 2], [0, 0], [0, 0, 0], "out of order"),
        ([0, 1], [0, 0], [0], "1 entries for 2 accounts"),
    ],
)
def test_accounts__unusable__refused(
    account: list[int], market: list[int], spare: list[float], word: str
) -> None:
    with pytest.raises(RiskError, match=word):
        accounts(account, market, [1.0] * len(account), [0.5] * len(account), spare)


def test_isolated__prices_of_other_markets__refused() -> None:
    book = accounts([0], [1], [1], [0.5], [0])
    for venues, prices, word in (
        (VENUES, still([1]), "2 markets"),
        (VENUES[:1], still([1]), "beyond the 1 given"),
        (VENUES, np.ones((2, 3)), "pass "),
    ):
        with pytest.raises(RiskError, match=word):
            isolated(book, venues, prices, LateKeepers())
