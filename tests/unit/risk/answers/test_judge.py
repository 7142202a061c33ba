"""A market's ES 99 under a law: what it must rise with, and that nothing is left out of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from numpy.random import default_rng

from ringfence.risk.answers.depth import Depth, most_sold
from ringfence.risk.answers.judge import (
    LEVEL,
    Drawn,
    Judge,
    Law,
    Setting,
    even_book,
    largest,
    loss_shares,
)  # fmt: skip
from ringfence.risk.answers.loss import LateKeepers, outcome
from ringfence.risk.answers.tail import expected_shortfall, share_of
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.models import DEFAULT_MODELS
from ringfence.risk.prices.paths import Gbm, Merton, PriceModel
from ringfence.risk.prices.stress import stress_days
from ringfence.risk.rules.stepper import answers_of
from tests.support.risk import DOLLAR, PERCENT, risk_market

SETTING = Setting(
    risk_market(), 2_000 * DOLLAR, 18e6, Depth(90e6, refill=1), delay=1, positions=8,
    steps=288, step_seconds=300,
)  # fmt: skip
DEEP = replace(SETTING, depth=Depth(9e9))
SHORT = replace(SETTING, market=risk_market(6, 18, falls=False), cap=9_000.0, depth=Depth(45e5))
WILD, SLOW = Law(Gbm(3.0), 2_000), replace(SETTING, delay=6)
JUMPS, BONUS = Law(DEFAULT_MODELS["merton"], 3_000), 2 * PERCENT


def drawn(law: Law = JUMPS, setting: Setting = SETTING, seed: int = 7) -> Drawn:
    return Drawn.of(setting, law, default_rng(seed))


def es(setting: Setting, law: Law = WILD, ltv: int = 88) -> float:
    judge = Judge(setting, drawn(law, setting))
    return judge.es(setting.at(ltv * PERCENT, BONUS), setting.cap).value


def rises(values: list[float]) -> bool:
    """Whether each is above the one before, and the first is something."""
    return values[0] > 0 and all(one < two for one, two in pairwise(values))


def test_es__liquidation_ltv_up__rises() -> None:
    judge = Judge(SETTING, drawn())
    ltvs = range(82 * PERCENT, 97 * PERCENT, 2 * PERCENT)
    found = [judge.es(SETTING.at(ltv, BONUS), SETTING.cap) for ltv in ltvs]
    assert rises([one.value for one in found])
    highs = [one.high for one in found]
    assert highs == sorted(highs)


def test_es__delay_up__rises() -> None:
    assert rises([es(replace(SETTING, delay=delay)) for delay in (3, 6, 12)])


def test_es__volatility_up__rises() -> None:
    laws = [Law(Gbm(volatility), 2_000) for volatility in (3.0, 4.0, 5.0)]
    assert rises([es(SLOW, law) for law in laws])


def test_es__pool_shallower_or_refill_slower__rises() -> None:
    assert rises([es(replace(SLOW, depth=Depth(value))) for value in (9e8, 4e7, 1e7)])
    assert rises([es(replace(SLOW, depth=Depth(2e7, refill=refill))) for refill in (1, 4, 12)])


def test_es__cap_up__as_in_a_pool_that_much_shallower() -> None:
    judge, market = Judge(SLOW, drawn(WILD, SLOW)), SLOW.at(88 * PERCENT, BONUS)
    caps = [18e6, 72e6, 144e6]
    found = [judge.es(market, cap).value for cap in caps]
    assert rises(found)
    shallow = [es(replace(SLOW, depth=Depth(90e6 * 18e6 / cap, refill=1))) for cap in caps]
    assert found == pytest.approx(shallow, rel=1e-6)


def test_es__no_sale_pays_for_the_fee__more_than_where_it_does() -> None:
    assert es(replace(SLOW, depth=Depth(90e6, fee=0.5))) > 10 * es(SLOW)


def test_es__reserve__bears_its_share() -> None:
    assert rises([es(replace(SETTING, reserve=share), JUMPS) for share in (0.02, 0.01, 0.0)])


@pytest.mark.parametrize("setting", [DEEP, SHORT], ids=["long", "short"])
def test_loss_shares__paths_let_go__lose_nothing(setting: Setting) -> None:
    """Every path judged by itself, in a pool that takes any sale at once: the same losses."""
    model: PriceModel = Merton(1.0, 100.0, 0, 0.09)
    prices = model.draw(default_rng(3), 400, 288, 300)
    answers, market = answers_of(prices, setting.first), setting.at(90 * PERCENT, BONUS)
    book = even_book(setting, market, setting.cap)
    sold = most_sold(market, book, answers, setting.delay, setting.depth.refill)
    debt, shares = float(book.debt.sum()), []
    for path, discount in zip(answers, setting.depth.discount(sold), strict=True):
        keepers = LateKeepers(setting.delay, float(np.ceil(discount / 0.0025) * 0.0025))
        found = outcome(market, book, path[None], keepers, 0.0).lender_loss
        shares.append(float(found[0]) / debt)
    found = loss_shares(setting, market, drawn(Law(model, 400), setting, 3), setting.cap)
    assert len(drawn(Law(model, 400), setting, 3).answers) < 400
    assert np.sort(found) == pytest.approx(np.sort(shares), abs=1e-12)
    assert max(shares) > 0


def test_even_book__any_cap__owes_it_below_the_initial_ltv() -> None:
    book = even_book(SETTING, SETTING.market, 5e6)
    ltvs = book.debt / (book.collateral * 2_000)
    assert book.debt.sum() == pytest.approx(5e6, rel=1e-9)
    assert ltvs.max() < 0.80 < ltvs.max() + 0.025
    assert ltvs.min() == pytest.approx(0.8 * (0.6 + 0.4 / 16), rel=1e-9)


def test_es__enough_paths_lose__is_the_tails_own() -> None:
    of, market = drawn(), SETTING.at(90 * PERCENT, BONUS)
    shares = loss_shares(SETTING, market, of, SETTING.cap)
    assert Judge(SETTING, of).es(market, SETTING.cap) == expected_shortfall(shares, LEVEL)


def test_es__too_few_paths_lose__ends_where_the_next_riskier_market_does() -> None:
    judge = Judge(SETTING, drawn())
    ends = [
        expected_shortfall(
            loss_shares(SETTING, SETTING.at(ltv, BONUS), judge.drawn, SETTING.cap), LEVEL
        ).high
        for ltv in SETTING.grid(BONUS)
    ]
    seen = next(index for index, end in enumerate(ends) if end < inf)
    assert seen > 0
    assert ends[:seen] == [inf] * seen
    for ltv in (SETTING.grid(BONUS)[0], SETTING.grid(BONUS)[seen - 1]):
        assert judge.es(SETTING.at(ltv, BONUS), SETTING.cap).high == ends[seen]


def test_es__too_few_paths_lose_in_any_market__as_often_as_may_be_the_worst() -> None:
    of = drawn(Law(JUMPS.model, 500))
    riskiest = SETTING.at(SETTING.grid(BONUS)[-1], BONUS)
    shares = loss_shares(SETTING, riskiest, of, SETTING.cap)
    often = share_of(int((shares > 0).sum()), 500).high / (1 - LEVEL)
    found = Judge(SETTING, of).es(SETTING.at(70 * PERCENT, BONUS), SETTING.cap)
    assert found.high == pytest.approx(min(often, 1) * shares.max(), rel=1e-12)
    assert found.high > found.value


def test_es__no_path_loses_in_any_market__as_often_as_may_be_the_whole_debt() -> None:
    calm = drawn(Law(Gbm(0.1), 2_000))
    found = Judge(SETTING, calm).es(SETTING.at(70 * PERCENT, BONUS), SETTING.cap)
    assert found.value == 0
    assert found.high == pytest.approx(share_of(0, 2_000).high / (1 - LEVEL), rel=1e-12)


def test_es__day_that_was__ends_at_its_worst_path() -> None:
    of = drawn(Law(stress_days()["2021-05-19"], 10, given=True))
    market = SETTING.at(97 * PERCENT, BONUS)
    found = Judge(SETTING, of).es(market, SETTING.cap)
    assert found.high == loss_shares(SETTING, market, of, SETTING.cap).max() > 0


def test_largest__holds_at_more_indices__never_smaller() -> None:
    rng = default_rng(2)
    for _ in range(200):
        some = rng.random(30) < 0.6
        more = some | (rng.random(30) < 0.3)
        found = largest(30, some.__getitem__)
        assert found <= largest(30, more.__getitem__)
        assert found == -1 or some[found]


@pytest.mark.parametrize("wrong", [{"cap": 0.0}, {"least": 0.0}, {"least": 1.1}, {"reserve": -1.0}])
def test_setting__impossible__says_what_to_pass(wrong: dict[str, float]) -> None:
    with pytest.raises(RiskError, match="pass a cap above 0"):
        replace(SETTING, **wrong)
