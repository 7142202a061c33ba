"""Choices: inside the budget on paths that nobody searched on, and inside the contract's bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

from ringfence.deploy.market import Risk
from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.caps import CAPS, TRY, Sales
from ringfence.risk.answers.choose import CONFIRM, CONTRACT, SEARCH, Choices, choose, judged
from ringfence.risk.answers.depth import Depth
from ringfence.risk.answers.judge import Bench, Drawn, Judge, Law, Setting, Work, worst_of
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.models import DEFAULT_MODELS
from ringfence.risk.prices.stress import stress_days
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.work.tasks import Result, Task, run_tasks
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
SALES = Sales(gas=20.0, positions=16)


def work(task: Task, inputs: Sequence[Mapping[str, object]]) -> Iterator[Result]:
    return run_tasks(task, inputs, 1, THREAD, print)


def bench(laws: Mapping[str, Law] = LAWS, work: Work = work) -> Bench:
    return Bench(SETTING, laws, work)


@pytest.fixture(scope="module")
def asked() -> Bench:
    """A bench that has found the choices."""
    return bench()


@pytest.fixture(scope="module")
def found(asked: Bench) -> Choices:
    return choose(asked, SALES, BONUSES, BUDGET, OTHERS)


def test_choose__each_choice__inside_the_budget_on_paths_of_another_seed(found: Choices) -> None:
    for index, law in enumerate(LAWS.values()):
        judge = Judge(SETTING, Drawn.of(SETTING, law, default_rng(100 + index)))
        for one in (*found.by_bonus, *found.frontier):
            assert judge.es(one.market, SETTING.cap).value <= one.budget


def test_choose__each_choice__inside_on_every_law_by_the_figures_that_it_tells(
    found: Choices,
) -> None:
    assert [one.market.risk.base_bonus for one in found.by_bonus] == list(BONUSES)
    for one in (*found.by_bonus, *found.frontier):
        assert one.passes
        assert set(one.es) == set(LAWS)
        assert one.used == max(es.high for es in one.es.values()) == one.es[one.worst].high
        assert one.binds in LAWS
    assert found.best.market.risk.liquidation_ltv == max(
        one.market.risk.liquidation_ltv for one in found.by_bonus
    )


def test_choose__what_it_tells__is_of_paths_that_nothing_was_searched_on(found: Choices) -> None:
    """Searched on stream 0, confirmed on stream 1 or a later one."""
    law = LAWS["merton"]
    ends = {}
    for stream in range(6):
        rng = default_rng(np.random.SeedSequence(1, spawn_key=(0, stream)))
        judge = Judge(SETTING, Drawn.of(SETTING, law, rng))
        ends[stream] = judge.es(found.by_bonus[0].market, SETTING.cap)
    assert len(set(ends.values())) == len(ends)
    told = found.by_bonus[0].es["merton"]
    assert told != ends[0]
    assert told in ends.values()


def test_choose__each_cap__late_and_coupled_inside_and_the_next_one_forbidden(
    found: Choices,
) -> None:
    for one in (*found.by_bonus, found.own):
        assert one.size
        assert one.size.cap in [part * SETTING.cap for part in CAPS]
        assert set(one.size.late) == set(one.size.coupled) == set(LAWS)
        assert (one.cap == one.size.cap) == (one.size.used <= BUDGET)
        assert one.size.used == max(
            es[worst_of(es)].high for es in (one.size.late, one.size.coupled)
        )
        assert (one.size.binds in LAWS) == (one.size.cap < CAPS[0] * SETTING.cap)
    assert found.best.cap


def test_judged__asked_again__on_other_paths_with_nearly_the_same_answer(
    asked: Bench, found: Choices
) -> None:
    market, before = found.best.market, asked.asked
    one, two = (judged(asked, [market])[0] for _ in range(2))
    assert asked.asked == before + 2
    assert one["kou"] != two["kou"]
    assert one["kou"].value == pytest.approx(two["kou"].value, rel=1.0)


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
        choose(bench(), SALES, BONUSES, 1e-9, ())
    text = str(error.value)
    assert text.startswith("budget is 1e-09 of the debt (limit: ")
    assert "raise it, lower the cap of 18,000,000" in text


@pytest.mark.parametrize("budget", [0.0, -0.1, 1.0, float("nan")])
def test_choose__budget_that_is_no_share__says_its_limits(budget: float) -> None:
    with pytest.raises(RiskError, match="budgets above 0 and below 1"):
        choose(bench(), SALES, BONUSES, budget, ())


@pytest.mark.parametrize("bonus", [-PERCENT, 120 * PERCENT])
def test_choose__bonus_that_no_contract_takes__says_its_limits(bonus: int) -> None:
    with pytest.raises(RiskError, match=r"pass 0\.01 for 1 %"):
        choose(bench(), SALES, (bonus,), BUDGET, ())


def test_choose__tail_of_too_few_paths__refused_and_not_passed_for_no_loss() -> None:
    """Calm paths lose nothing in any market, however few: that is no figure."""
    calm = {**LAWS, "gbm": Law(DEFAULT_MODELS["gbm"], 1_999)}
    with pytest.raises(RiskError) as error:
        choose(bench(calm, Script(90 * PERCENT, 90 * PERCENT)), SALES, (PERCENT,), BUDGET, ())
    assert str(error.value) == (
        "gbm has 1,999 paths (limit: 2,000, of which 20 are beyond 99%); pass more --paths"
    )


class Script:
    """Work that searches up to an LTV, confirms up to another, and passes some caps only.

    What fails is at 0.1 of the debt, what passes at 0.001.
    """

    def __init__(self, ltv: int, inside: int, caps: Sequence[float] = CAPS) -> None:
        self.ltv, self.inside = ltv, inside
        self.caps = {part * SETTING.cap for part in caps}
        self.streams: list[object] = []

    def __call__(self, task: Task, inputs: Sequence[Mapping[str, Any]]) -> Iterator[Result]:
        self.streams.append(inputs[0]["stream"])
        for given in inputs:
            if task is SEARCH:
                rows = [[self.ltv] * len(given["budgets"])] * len(given["bonuses"])
                yield {"ltv": np.array(rows), "least": np.zeros(len(rows))}
            elif task is CONFIRM:
                ltvs = [market.risk.liquidation_ltv for market in given["markets"]]
                yield {"es": self._rows(ltv <= self.inside for ltv in ltvs)}
            else:
                assert task is TRY
                rows_ = self._rows(cap in self.caps for _, cap in given["tried"])
                yield {"late": np.zeros_like(rows_), "coupled": rows_}

    def _rows(self, passes: Iterable[bool]) -> Floats:
        return np.array([(0.0, 0.0, 0.001 if one else 0.1) for one in passes])


def test_choose__fails_on_fresh_paths__goes_down_until_it_passes_on_fresh_ones_again() -> None:
    script = Script(90 * PERCENT, 89 * PERCENT)
    best = choose(bench(work=script), SALES, (PERCENT,), BUDGET, ()).best
    assert best.market.risk.liquidation_ltv == 89 * PERCENT
    assert best.binds == "merton"
    assert best.used == 0.001
    assert script.streams == list(range(len(script.streams)))


def test_choose__no_ltv_is_confirmed__refuses_and_says_which_law() -> None:
    script = Script(51 * PERCENT, 0)
    with pytest.raises(RiskError, match=r"limit: 0\.1, to which merton may come"):
        choose(bench(work=script), SALES, (PERCENT,), BUDGET, ())


def test_choose__top_of_the_grid__the_contract_binds() -> None:
    top = SETTING.grid(PERCENT)[-1]
    best = choose(bench(work=Script(top, top)), SALES, (PERCENT,), BUDGET, ()).best
    assert best.binds == CONTRACT


def test_choose__cap_that_passes_below_ones_that_do_not__is_found() -> None:
    """Only one cap passes: a bisection would not have come by it."""
    for part in (CAPS[0], CAPS[3], CAPS[-2], CAPS[-1]):
        script = Script(80 * PERCENT, 80 * PERCENT, [part])
        best = choose(bench(work=script), SALES, (PERCENT,), BUDGET, ()).best
        assert best.cap == part * SETTING.cap
        assert best.size
        assert best.size.binds == ("" if part == CAPS[0] else "merton")


def test_choose__several_caps_pass__the_largest() -> None:
    script = Script(80 * PERCENT, 80 * PERCENT, CAPS[5::2])
    best = choose(bench(work=script), SALES, (PERCENT,), BUDGET, ()).best
    assert best.cap == CAPS[5] * SETTING.cap


def test_choose__no_cap_passes__refuses_and_says_which_law() -> None:
    script = Script(80 * PERCENT, 80 * PERCENT, ())
    with pytest.raises(RiskError) as error:
        choose(bench(work=script), SALES, (PERCENT,), BUDGET, ())
    assert "limit: 0.1, to which merton may come with sales" in str(error.value)
    assert "smallest cap that is tried, 1,125,000" in str(error.value)


@pytest.mark.parametrize("budget", [0.25, 0.5, 0.99])
def test_choose__large_budget__frontier_leaves_out_what_is_1_or_above(budget: float) -> None:
    script = Script(80 * PERCENT, 80 * PERCENT)
    others = [budget / 2, budget * 2, budget * 4]
    frontier = choose(bench(work=script), SALES, (PERCENT,), budget, others).frontier
    assert [one.budget for one in frontier] == [
        one for one in (budget / 2, budget, budget * 2) if one < 1
    ]


def test_choose__frontier_confirmed_lower_at_a_looser_budget__takes_the_tighter_ones() -> None:
    """What is inside a budget is inside each larger one: a bad draw does not bend the frontier."""

    class BadDraw(Script):
        """Fails everything but the market at budget 0.009 at first."""

        def _rows(self, passes: Iterable[bool]) -> Floats:
            rows = super()._rows(passes)
            if len(self.streams) == 2:
                rows[1:, 2] = 0.1
            return rows

    script = BadDraw(80 * PERCENT, 80 * PERCENT)
    found = choose(bench(work=script), SALES, (PERCENT,), BUDGET, OTHERS)
    assert [one.market.risk.liquidation_ltv for one in found.frontier] == [80 * PERCENT] * 3
    assert [one.budget for one in found.frontier] == [0.009, 0.012, 0.02]
    assert found.best.market == found.frontier[1].market
    assert found.best.budget == BUDGET
