"""Choices: inside the budget on paths that nobody searched on, and inside the contract's bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from numpy.random import default_rng

from ringfence.deploy.market import Risk
from ringfence.math.fixed_point import WAD
from ringfence.risk.choose import CAPS, CONTRACT, SEARCH, Choices, Work, choose
from ringfence.risk.depth import Depth
from ringfence.risk.errors import RiskError
from ringfence.risk.judge import Drawn, Judge, Law, Setting
from ringfence.risk.market import RiskMarket
from ringfence.risk.models import DEFAULT_MODELS
from ringfence.risk.stress import stress_days
from ringfence.risk.work import Result, Task, run_tasks
from tests.support.risk import DOLLAR, PERCENT, risk_market
from tests.support.risk_tasks import THREAD

SETTING = Setting(
    risk_market(), 2_000 * DOLLAR, 18e6, Depth(90e6, refill=1), delay=1, positions=8,
    steps=288, step_seconds=300,
)  # fmt: skip
LAWS = {
    "merton": Law(DEFAULT_MODELS["merton"], 6_000),
    "kou": Law(DEFAULT_MODELS["kou"], 6_000),
    "crash": Law(stress_days()["2021-05-19"], 5, given=True),
}
BONUSES, BUDGET, OTHERS = (PERCENT, 4 * PERCENT), 0.012, (0.009, 0.02)


def work(task: Task, inputs: Sequence[Mapping[str, object]]) -> Iterator[Result]:
    return run_tasks(task, inputs, 1, THREAD, print)


@pytest.fixture(scope="module")
def found() -> Choices:
    return choose(SETTING, LAWS, BONUSES, BUDGET, OTHERS, work)


def test_choose__each_choice__inside_the_budget_on_fresh_paths(found: Choices) -> None:
    for index, law in enumerate(LAWS.values()):
        judge = Judge(SETTING, Drawn.of(SETTING, law, default_rng(100 + index)))
        for one in (*found.by_bonus, *found.frontier):
            assert judge.es(one.market, SETTING.cap).value <= one.budget


def test_choose__each_choice__inside_on_every_law_and_no_larger_one_is(found: Choices) -> None:
    assert [one.market.risk.base_bonus for one in found.by_bonus] == list(BONUSES)
    for one in found.by_bonus:
        assert one.passes
        assert set(one.es) == set(LAWS)
        assert one.used == max(es.high for es in one.es.values()) == one.es[one.worst].high
        assert one.binds in LAWS
    best = found.best
    assert best.market.risk.liquidation_ltv == max(
        one.market.risk.liquidation_ltv for one in found.by_bonus
    )
    index = list(LAWS).index(best.binds)
    rng = default_rng(np.random.SeedSequence(1, spawn_key=(index,)))
    judge = Judge(SETTING, Drawn.of(SETTING, LAWS[best.binds], rng))
    risk = best.market.risk
    above = SETTING.at(risk.liquidation_ltv + WAD // 200, risk.base_bonus)
    assert judge.es(above, SETTING.cap).high > BUDGET
    assert judge.es(best.market, best.cap).high <= BUDGET
    assert best.cap in [cap * SETTING.cap for cap in CAPS]


def test_choose__looser_budget__never_a_smaller_ltv(found: Choices) -> None:
    ltvs = [one.market.risk.liquidation_ltv for one in found.frontier]
    assert [one.budget for one in found.frontier] == [0.009, 0.012, 0.02]
    assert ltvs == sorted(ltvs)
    assert ltvs[0] < ltvs[-1]
    assert [one.leverage for one in found.frontier] == sorted(
        one.leverage for one in found.frontier
    )


def test_choose__each_choice__a_market_file_takes_it(found: Choices) -> None:
    for one in (*found.by_bonus, *found.frontier):
        _accepts(one.market)


@pytest.mark.parametrize("bonus", [0, PERCENT // 2, 10 * PERCENT])
def test_grid__every_ltv__a_market_file_takes_it_and_not_the_next(bonus: int) -> None:
    ltvs = SETTING.grid(bonus)
    for ltv in ltvs:
        _accepts(SETTING.at(ltv, bonus))
    if ltvs[-1] + WAD // 200 < WAD:
        with pytest.raises(ValueError, match="beta_max"):
            _accepts(SETTING.at(ltvs[-1] + WAD // 200, bonus))


def _accepts(market: RiskMarket) -> None:
    """Raise what the market file raises at these parameters."""
    risk = market.risk
    names = ("target_ltv", "liquidation_ltv", "base_bonus", "beta_max")
    given = {name: Decimal(getattr(risk, name)).scaleb(-18) for name in names}
    initial = Decimal(market.initial_ltv).scaleb(-18)
    Risk.model_validate({**given, "initial_ltv": initial, "min_debt": Decimal(100)})


def test_choose__own_parameters__judged_alike(found: Choices) -> None:
    assert found.own.market == SETTING.market
    assert found.own.passes == (found.own.used <= BUDGET)
    assert set(found.own.es) == set(LAWS)


def test_choose__budget_that_nothing_is_inside__says_the_limit_and_what_to_do() -> None:
    with pytest.raises(RiskError) as error:
        choose(SETTING, LAWS, BONUSES, 1e-9, (), work)
    text = str(error.value)
    assert text.startswith("budget is 1e-09 of the debt (limit: ")
    assert "raise it, lower the cap of 18,000,000" in text


@pytest.mark.parametrize("budget", [0.0, -0.1, 1.0])
def test_choose__budget_that_is_no_share__says_its_limits(budget: float) -> None:
    with pytest.raises(RiskError, match="budgets above 0 and below 1"):
        choose(SETTING, LAWS, BONUSES, budget, (), work)


@pytest.mark.parametrize("bonus", [-PERCENT, 120 * PERCENT])
def test_choose__bonus_that_no_contract_takes__says_its_limits(bonus: int) -> None:
    with pytest.raises(RiskError, match=r"pass 0\.01 for 1 %"):
        choose(SETTING, LAWS, (bonus,), BUDGET, (), work)


def _scripted(ltv: int, inside: int) -> Work:
    """Return work whose search says `ltv`, and whose confirmation passes up to `inside` only."""

    def run(task: Task, inputs: Sequence[Mapping[str, object]]) -> Iterator[Result]:
        for given in inputs:
            if task is SEARCH:
                yield {"ltv": np.array([[ltv]]), "least": np.array([0.0])}
                continue
            ends = []
            markets = given["markets"]
            assert isinstance(markets, tuple)
            for market, _ in markets:
                ends.append(0.001 if market.risk.liquidation_ltv <= inside else 0.1)
            es = np.array([(0.0, 0.0, end) for end in ends])
            yield {"es": es, "cap": np.array([8] * len(ends))}

    return run


def test_choose__a_law_that_loses_more_at_the_smallest_ltv__goes_down_until_it_passes() -> None:
    scripted = _scripted(90 * PERCENT, 89 * PERCENT)
    best = choose(replace(SETTING), LAWS, (PERCENT,), BUDGET, (), scripted).best
    assert best.market.risk.liquidation_ltv == 89 * PERCENT
    assert best.binds == "merton"


def test_choose__no_ltv_passes__refuses() -> None:
    with pytest.raises(RiskError, match="limit: 0,"):
        choose(SETTING, LAWS, (PERCENT,), BUDGET, (), _scripted(51 * PERCENT, 0))


def test_choose__top_of_the_grid__the_contract_binds() -> None:
    top = SETTING.grid(PERCENT)[-1]
    best = choose(SETTING, LAWS, (PERCENT,), BUDGET, (), _scripted(top, top)).best
    assert best.binds == CONTRACT
