"""Caps: what sales that move the price cost, against the engines that it is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from numpy.random import default_rng

from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.caps import Sales, coupled_es, coupled_shares, scene
from ringfence.risk.answers.contagion import losses
from ringfence.risk.answers.depth import Depth
from ringfence.risk.answers.judge import Drawn, Found, Judge, Law, Setting, even_book
from ringfence.risk.coupled.engine import run
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.models import DEFAULT_MODELS
from ringfence.risk.prices.paths import Merton
from ringfence.risk.prices.stress import stress_days
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import answers_of
from tests.support.risk import DOLLAR, PERCENT, risk_market

SETTING = Setting(
    risk_market(), 2_000 * DOLLAR, 18e6, Depth(90e6, refill=1), delay=1, positions=8,
    steps=288, step_seconds=300,
)  # fmt: skip
SHORT = replace(
    SETTING, market=risk_market(6, 18, falls=False), cap=9_000.0, depth=Depth(45e3, refill=1)
)
JUMPS = Law(Merton(1.0, 100.0, 0, 0.09), 400)
RARE = Law(DEFAULT_MODELS["merton"], 400)
SALES = Sales(positions=8)


def market(setting: Setting = SETTING, ltv: int = 88) -> RiskMarket:
    return setting.at(ltv * PERCENT, 2 * PERCENT)


def drawn(setting: Setting = SETTING, law: Law = JUMPS) -> Drawn:
    return Drawn.of(setting, law, default_rng(3))


def mean(setting: Setting, sales: Sales, cap: float | None = None) -> float:
    shares = coupled_shares(setting, sales, market(setting), drawn(setting), cap or setting.cap)
    return float(shares.mean())


def rises(values: list[float]) -> bool:
    return values[0] > 0 and all(one < two for one, two in pairwise(values))


@pytest.mark.parametrize("setting", [SETTING, SHORT], ids=["long", "short"])
def test_coupled_shares__paths_let_go__lose_nothing(setting: Setting) -> None:
    """Every path run as it was drawn, none let go: the same losses."""
    of, prices = market(setting), JUMPS.model.draw(default_rng(3), 400, 288, 300)
    stage = scene(setting, SALES, of, even_book(setting, of, setting.cap))
    whole = losses(run(stage, (answers_of(prices, setting.first) + 0.5) / setting.first))
    kept = coupled_shares(setting, SALES, of, drawn(setting), setting.cap)
    assert len(drawn(setting).due(of, even_book(setting, of, setting.cap))) < 400
    assert np.sort(kept) == pytest.approx(np.sort(whole / stage.book.debt.sum()), rel=1e-12)
    assert kept.max() > 0


def test_coupled_shares__impact_or_cap_up__rises() -> None:
    assert rises([mean(SETTING, replace(SALES, impact=impact)) for impact in (0.0, 0.25, 1.0)])
    assert rises([mean(SETTING, SALES, cap) for cap in (18e6, 36e6, 144e6)])


def test_coupled_shares__gas_above_every_profit__what_is_insolvent_at_the_end_is_lost() -> None:
    """Nobody liquidates: what is lost is what clearing it would cost, the bonus too."""
    shares = coupled_shares(SETTING, replace(SALES, gas=1e9), market(), drawn(), SETTING.cap)
    book = even_book(SETTING, market(), SETTING.cap)
    last = drawn().due(market(), book)[:, -1] / DOLLAR
    value, risk = book.collateral * last[:, None], market().risk
    beta = np.minimum(risk.beta_max, WAD + risk.base_bonus - risk.liquidation_ltv) / WAD
    beta = np.minimum(beta + book.debt / value, risk.beta_max / WAD)
    lost = np.where(book.debt * beta >= value, book.debt - value / (risk.beta_max / WAD), 0)
    short = np.maximum(lost, 0).sum(axis=1)
    assert shares[: len(last)] == pytest.approx(short / book.debt.sum(), abs=1e-9)
    assert short.max() > 0
    assert not np.array_equal(
        shares, coupled_shares(SETTING, SALES, market(), drawn(), SETTING.cap)
    )


def test_coupled_shares__cap_up__as_in_a_pool_that_much_shallower() -> None:
    shallow = replace(SETTING, depth=Depth(90e6 / 4, refill=1))
    assert mean(SETTING, SALES, 4 * 18e6) == pytest.approx(mean(shallow, SALES, 18e6), rel=1e-6)


def test_scene__refill__a_steps_part_of_the_pool_and_the_same_move_of_the_market() -> None:
    """A small sale moves the market as the whole pool's would, a step's pool holds a fifth."""
    slow = replace(SETTING, depth=Depth(90e6, refill=5))
    book = even_book(SETTING, market(), 18e6)
    one, five = (scene(of, SALES, market(), book) for of in (SETTING, slow))
    asset = 10**6
    assert one.pool.holdings()[0] * one.pool.price == pytest.approx(90e6 * asset, rel=1e-9)
    assert five.pool.holdings()[0] == pytest.approx(one.pool.holdings()[0] / 5, rel=1e-9)
    moves = [
        of.impact * (1 - of.pool.sell(1e15).place.root ** 2 / of.pool.price) for of in (one, five)
    ]
    assert moves[0] == pytest.approx(moves[1], rel=1e-4)
    assert mean(slow, SALES) > mean(SETTING, SALES)


def test_scene__short__gas_and_depth_in_the_asset() -> None:
    book = even_book(SHORT, market(SHORT), SHORT.cap)
    of = scene(SHORT, Sales(gas=0.01), market(SHORT), book)
    assert of.keepers.gas == pytest.approx(0.01 * 10**18)
    assert of.pool.holdings()[1] == pytest.approx(45e3 * 10**18, rel=1e-9)
    assert of.book.debt.sum() == pytest.approx(9_000 * 10**18, rel=1e-9)


def test_coupled_es__day_that_was__ends_at_its_worst_path() -> None:
    law = Law(stress_days()["2021-05-19"], 10, given=True)
    judge, of = Judge(SETTING, drawn(law=law)), market(ltv=96)
    shares = coupled_shares(SETTING, SALES, of, judge.drawn, 4 * SETTING.cap)
    assert coupled_es(judge, SALES, of, 4 * SETTING.cap).high == shares.max() > 0


def test_coupled_es__enough_paths_lose__is_the_tails_own() -> None:
    law = Law(JUMPS.model, 4_000)
    judge = Judge(SETTING, drawn(law=law))
    shares = coupled_shares(SETTING, SALES, market(), judge.drawn, SETTING.cap)
    found = coupled_es(judge, SALES, market(), SETTING.cap)
    assert found == Found.of(shares).es
    assert found.high < inf


def test_coupled_es__too_few_paths_lose__is_bounded_and_not_by_what_was_seen() -> None:
    """A sample without any loss does not pass for certainty."""
    judge, of = Judge(SETTING, drawn(law=RARE)), market(ltv=70)
    shares = coupled_shares(SETTING, SALES, of, judge.drawn, SETTING.cap)
    found = coupled_es(judge, SALES, of, SETTING.cap)
    assert Found.of(shares).es.high == inf
    riskier = judge.riskier(of, SETTING.cap)
    worst = coupled_shares(SETTING, SALES, riskier, judge.drawn, SETTING.cap).max()
    assert found.value <= found.high <= Found.of(shares).most(400) * worst
    assert found.high > 0


@pytest.mark.parametrize(
    "wrong", [{"impact": -0.1}, {"impact": 1.1}, {"gas": -1.0}, {"gas": inf}, {"positions": 0}]
)
def test_sales__impossible__says_what_to_pass(wrong: dict[str, float]) -> None:
    with pytest.raises(RiskError, match="pass a part of one, no gas below 0"):
        replace(SALES, **wrong)
