"""One position's future, held to the mirror step by step and to the closed form."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from ringfence.deploy.units import to_units
from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.rebalance import Policy
from ringfence.risk.answers.trader import (
    Holding,
    Seen,
    look,
    opened,
    outlook,
    surviving_leverage,
    top_up,
    worst_answer,
)
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.passage import gbm_hit_monitored
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import NEVER, answers_of
from ringfence.risk.rules.trigger import trigger
from tests.support.risk import DOLLAR, LIQUIDATION_LTV, holds, risk_market

ANSWER = 2_000 * DOLLAR
LONG, SHORT = risk_market(), risk_market(6, 18, falls=False)
BOTH = pytest.mark.parametrize("market", [LONG, SHORT], ids=["long", "short"])
POLICY = Policy(4.0, 0.1, fee=0.0005, slippage=0.001)


def walks(count: int, steps: int, deviation: float, seed: int = 4) -> Floats:
    moves = np.random.default_rng(seed).normal(-(deviation**2) / 2, deviation, (count, steps))
    return np.exp(np.concatenate((np.zeros((count, 1)), np.cumsum(moves, axis=1)), axis=1))


def margin(market: RiskMarket) -> int:
    return 10_000 * 10**market.collateral_decimals


def within(market: RiskMarket, holding: Holding, ltv: int, answer: int) -> bool:
    held, owed, index = holding.collateral, holding.scaled_debt, holding.debt_index
    return holds(market, held, owed, index, ltv, answer)


@BOTH
@pytest.mark.parametrize("leverage", [1.0, 3.0, 5.0])
def test_opened__a_leverage__is_collateral_over_equity_and_may_be_opened(
    market: RiskMarket, leverage: float
) -> None:
    holding = opened(market, leverage, margin(market), ANSWER)
    assert within(market, holding, market.initial_ltv, ANSWER)
    value = holding.collateral * market.price(ANSWER) // 10**36
    assert value / (value - holding.debt) == pytest.approx(leverage, rel=1e-12)
    assert holding.collateral == int(margin(market) * leverage)


@BOTH
def test_opened__debt_below_the_markets_least__is_refused_with_what_would_do(
    market: RiskMarket,
) -> None:
    least = replace(market.risk, min_debt=7 * 10 ** (market.asset_decimals - 2) + 1)
    market = replace(market, risk=least)
    with pytest.raises(RiskError, match="least debt") as refused:
        opened(market, 3.3, 10 ** (market.collateral_decimals - 5), ANSWER)
    enough = re.search(r"a margin of ([\d.]+) or more", str(refused.value))
    assert enough
    units = to_units(Decimal(enough[1]), market.collateral_decimals)
    assert opened(market, 3.3, units, ANSWER).debt >= least.min_debt
    with pytest.raises(RiskError, match="least debt"):
        opened(market, 3.3, units * 99 // 100, ANSWER)
    assert opened(market, 1.0, 1, ANSWER).debt == 0


@pytest.mark.parametrize("leverage", [0.5, 5.01, float("nan")])
def test_opened__beyond_the_initial_ltv__is_refused(leverage: float) -> None:
    with pytest.raises(RiskError, match="cannot be opened"):
        opened(LONG, leverage, WAD, ANSWER)


@BOTH
def test_look__random_paths__is_the_mirror_s_at_every_step(market: RiskMarket) -> None:
    paths = walks(40, 30, 0.02)
    holding = opened(market, 4.5, margin(market), ANSWER)
    seen = look(market, holding, ANSWER, paths)
    for ltv, first in ((market.initial_ltv, seen.call), (LIQUIDATION_LTV, seen.liquidation)):
        expected = [
            next(
                (at for at, one in enumerate(path) if not within(market, holding, ltv, one)), NEVER
            )
            for path in answers_of(paths, ANSWER).tolist()
        ]
        assert first.tolist() == expected
        assert 0 < expected.count(NEVER) < 40
    assert (seen.call <= seen.liquidation).all()


@BOTH
def test_look__trigger_and_the_answer_past_it__turns_between_them(market: RiskMarket) -> None:
    holding = opened(market, 4.0, margin(market), ANSWER)
    at = trigger(market, holding.collateral, holding.scaled_debt, WAD, LIQUIDATION_LTV)
    past = -1 if market.falls else 1
    paths = np.array([[ANSWER, at, at, at], [ANSWER, at, at + past, at]]) / ANSWER
    assert answers_of(paths, ANSWER)[:, 1:].tolist() == [[at] * 3, [at, at + past, at]]
    assert look(market, holding, ANSWER, paths).liquidation.tolist() == [NEVER, 2]


def test_look__gbm__meets_the_shifted_barrier() -> None:
    days, steps, volatility = 30, 240, 0.9
    years = days / 365
    holding = opened(LONG, 4.0, margin(LONG), ANSWER)
    paths = walks(40_000, steps, volatility * (years / steps) ** 0.5)
    seen = look(LONG, holding, ANSWER, paths)
    told = outlook(LONG, holding, ANSWER, seen, days * 86_400 // steps).liquidation
    low, high = told.chance.interval(0.9999)
    assert low < gbm_hit_monitored(0.75 / 0.86, years, steps, volatility) < high
    assert high - low < 0.02
    assert 0 < told.seconds[0] < told.seconds[1] < told.seconds[2] <= days * 86_400


@BOTH
def test_join__batches__is_the_whole(market: RiskMarket) -> None:
    paths = walks(12, 20, 0.03)
    holding = opened(market, 4.0, margin(market), ANSWER)
    whole = look(market, holding, ANSWER, paths, POLICY)
    halves = (look(market, holding, ANSWER, half, POLICY) for half in (paths[:5], paths[5:]))
    joined = Seen.join(list(halves))
    for name in ("call", "liquidation", "worst"):
        assert getattr(joined, name).tobytes() == getattr(whole, name).tobytes()
    assert joined.rebalanced is not None
    assert whole.rebalanced is not None
    assert joined.rebalanced.equity.tobytes() == whole.rebalanced.equity.tobytes()


@BOTH
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99, 1.0])
def test_worst_answer__a_confidence__is_kept_by_as_many_paths(
    market: RiskMarket, confidence: float
) -> None:
    worst = np.random.default_rng(5).permutation(np.arange(1_000, 1_200))
    found = worst_answer(market, worst, confidence)
    kept = (worst >= found) if market.falls else (worst <= found)
    assert kept.sum() == round(confidence * 200)


@BOTH
def test_top_up__at_an_answer__is_the_least_that_holds(market: RiskMarket) -> None:
    holding = opened(market, 4.0, margin(market), ANSWER)
    bad = ANSWER * 7 // 10 + 3 if market.falls else ANSWER * 14 // 10 + 3
    for ltv in (market.initial_ltv, LIQUIDATION_LTV):
        added = top_up(market, holding, ltv, bad)
        assert added > 0
        for more, good in ((added, True), (added - 1, False)):
            topped = Holding(holding.collateral + more, holding.scaled_debt)
            assert within(market, topped, ltv, bad) == good
    assert top_up(market, holding, LIQUIDATION_LTV, ANSWER) == 0


def test_top_up__no_price__is_refused() -> None:
    market = risk_market(18, 2, still=10**30)
    with pytest.raises(RiskError, match="a price of 0"):
        top_up(market, Holding(WAD, 1), LIQUIDATION_LTV, 1)


@BOTH
@pytest.mark.parametrize("move", [0.05, 0.2, 0.48])
def test_surviving_leverage__a_worst_answer__is_within_its_bound_of_the_contract_s(
    market: RiskMarket, move: float
) -> None:
    worst = int(ANSWER * (1 - move) if market.falls else ANSWER / (1 - move))
    most = float(surviving_leverage(market, ANSWER, worst))
    inside = opened(market, most * (1 - 1e-6), margin(market), ANSWER)
    assert within(market, inside, LIQUIDATION_LTV, worst)
    if most < 4.999:
        outside = opened(market, most * (1 + 1e-6), margin(market), ANSWER)
        assert not within(market, outside, LIQUIDATION_LTV, worst)
    else:
        assert most == pytest.approx(5.0)


@BOTH
def test_outlook__top_ups_and_leverage__hold_in_as_many_paths_as_told(market: RiskMarket) -> None:
    paths = walks(1_000, 25, 0.02)
    holding = opened(market, 4.5, margin(market), ANSWER)
    seen = look(market, holding, ANSWER, paths, POLICY)
    told = outlook(market, holding, ANSWER, seen, 3_600, {"first": paths[0], "last": paths[-1]})
    for confidence, added in told.top_up_to_no_liquidation.items():
        topped = Holding(holding.collateral + added, holding.scaled_debt)
        kept = look(market, topped, ANSWER, paths).liquidation == NEVER
        assert kept.sum() >= confidence * 1_000
    for confidence, leverage in told.leverage.items():
        smaller = opened(market, leverage * (1 - 1e-6), margin(market), ANSWER)
        kept = look(market, smaller, ANSWER, paths).liquidation == NEVER
        assert kept.sum() >= confidence * 1_000
    assert told.top_up_to_no_call[0.95] > told.top_up_to_no_liquidation[0.95] > 0
    for name, path in (("first", paths[:1]), ("last", paths[-1:])):
        for part, survives in ((1 - 1e-6, True), (1 + 1e-6, False)):
            leverage = told.paths_leverage[name] * part
            if leverage < 5:
                one = opened(market, leverage, margin(market), ANSWER)
                first = look(market, one, ANSWER, path).liquidation
                assert (first == NEVER).all() == survives
    assert told.rebalanced is not None
    assert told.rebalanced.liquidation.hits < told.liquidation.chance.hits
    assert seen.rebalanced is not None
    assert told.rebalanced.paid == seen.rebalanced.paid.mean()
