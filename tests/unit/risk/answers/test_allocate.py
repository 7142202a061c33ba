"""Capital over slots: closed answers, the whole linear programme, and budgets that hold."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.random import default_rng
from scipy.optimize import linprog
from scipy.special import ndtr
from scipy.stats import norm

from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.liquidation import NOTHING, liquidate
from ringfence.math.position_slot import PositionSlot
from ringfence.risk.answers.allocate import (
    DRAW_SLOTS,
    Aim,
    Allocation,
    Scenarios,
    Slot,
    allocate,
    scenarios,
    slots_of,
)
from ringfence.risk.answers.cross import CrossMarket
from ringfence.risk.answers.loss import LateKeepers
from ringfence.risk.answers.tail import expected_shortfall
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.joint import JointPrices
from ringfence.risk.prices.paths import DAY, YEAR, Gbm
from ringfence.risk.rules.liquidations import Terms
from scripts import _risk_joint
from scripts._risk_allocate import allocation
from tests.support.risk import PERCENT, risk_market
from tests.support.risk_tasks import THREAD

TERMS = Terms(0.86, 0.80, 0.01, 1.077, 0.10, 0.0)
LONG, SHORT = CrossMarket(TERMS), CrossMarket(TERMS, falls=False)
SLOTS = [Slot(market, leverage) for market in range(3) for leverage in (1.5, 2.5, 4.5)]
CAPITAL = 10_000.0


@cache
def drawn(seed: int, paths: int = 4_000, drift: float = 0.0) -> Scenarios:
    given = {
        "prices": JointPrices([0, 1, 0], Gbm(0.9, drift), 0.6, paths, 28, 6 * 3_600),
        "slots": SLOTS, "venues": [LONG, LONG, SHORT], "keepers": LateKeepers(1, 0.005),
    }  # fmt: skip
    return Scenarios(**DRAW_SLOTS.call(given, default_rng(seed)))


def by_whole_programme(found: Scenarios, budget: float, level: float, worth: np.ndarray) -> float:
    """The optimum of Rockafellar and Uryasev's programme, with every path a constraint."""
    paths, slots = found.loss.shape
    beyond = np.c_[found.loss, -np.ones(paths), -np.eye(paths)]
    sums = np.zeros((2, slots + 1 + paths))
    sums[0, :slots] = sums[1, slots] = 1
    sums[1, slots + 1 :] = 1 / (paths * (1 - level))
    solved = linprog(
        -np.r_[worth, np.zeros(1 + paths)], A_ub=np.r_[sums, beyond],
        b_ub=np.r_[1, budget, np.zeros(paths)],
        bounds=[(0, None)] * slots + [(None, None)] + [(0, None)] * paths,
    )  # fmt: skip
    return float(-solved.fun)


@pytest.mark.parametrize("level", [0.9, 0.913])
@pytest.mark.parametrize("budget", [0.03, 0.2])
@pytest.mark.parametrize("aim", ["exposure", "return"])
def test_allocate__cutting_planes__reach_the_whole_programme(
    level: float, budget: float, aim: Aim
) -> None:
    found = drawn(1, 300, 1.0)
    worth = (found.exposure if aim == "exposure" else -found.loss).mean(axis=0)
    split = allocate(found, CAPITAL, budget, level, aim)
    best = CAPITAL * by_whole_programme(found, budget, level, worth)
    assert split.margins @ worth == pytest.approx(best, rel=1e-5)
    assert (split.margins >= 0).all()
    assert split.margins.sum() <= CAPITAL * (1 + 1e-6)
    assert split.shortfall.value <= CAPITAL * budget * (1 + 1e-6)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_allocate__other_paths__budget_is_within_the_interval(level: float) -> None:
    budget = 0.08
    split = allocate(drawn(1), CAPITAL, budget, level)
    assert split.shortfall.value == pytest.approx(CAPITAL * budget)
    again = Allocation.of(drawn(2), split.margins, level)
    assert again.shortfall.low < CAPITAL * budget < again.shortfall.high


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_allocate__one_slot_without_debt__closed_form(level: float) -> None:
    """All of a unit's loss is the price's: ES = 1 - Phi(Phi^-1(1 - level) - sd) / (1 - level)."""
    prices = Gbm(0.9).draw(default_rng(4), 40_000, 1, 30 * DAY)[np.newaxis]
    found = scenarios([Slot(0, 1.0)], [LONG], prices, LateKeepers())
    sd = 0.9 * sqrt(30 * DAY / YEAR)
    shortfall = 1 - ndtr(norm.ppf(1 - level) - sd) / (1 - level)
    split = allocate(found, CAPITAL, 0.1, level)
    assert split.margins[0] == pytest.approx(CAPITAL * 0.1 / shortfall, rel=0.01)
    # No more than there is, however large the budget.
    assert allocate(found, CAPITAL, 1.0, level).margins[0] == pytest.approx(CAPITAL)


@pytest.mark.parametrize("slot", range(len(SLOTS)))
def test_allocate__one_slot__budget_over_its_shortfall(slot: int) -> None:
    found = drawn(1)
    alone = Scenarios(found.equity[:, [slot]], found.exposure[:, [slot]])
    one = expected_shortfall(alone.loss[:, 0], 0.95).value
    split = allocate(alone, CAPITAL, 0.05, 0.95)
    assert split.margins[0] == pytest.approx(min(CAPITAL, CAPITAL * 0.05 / one))


@pytest.mark.parametrize("aim", ["exposure", "return"])
def test_allocate__looser_budget__never_less(aim: Aim) -> None:
    found = drawn(3, drift=1.0)
    of = "exposure" if aim == "exposure" else "gain"
    reached = [
        getattr(allocate(found, CAPITAL, budget, 0.95, aim), of).value
        for budget in (0.001, 0.01, 0.05, 0.1, 0.3, 0.9, 1.0)
    ]
    assert all(more >= less * (1 - 1e-6) for less, more in pairwise(reached))
    assert reached[-1] > reached[0] * 2


def test_allocate__slot_that_only_loses__gets_nothing() -> None:
    found = drawn(1)
    paths = len(found.equity)
    # Liquidated whole on every path, and one that loses a little on all of them.
    equity = np.c_[found.equity, np.zeros(paths), np.full(paths, 0.99)]
    exposure = np.c_[found.exposure, np.zeros(paths), np.zeros(paths)]
    for aim in ("exposure", "return"):
        split = allocate(Scenarios(equity, exposure), CAPITAL, 0.1, 0.95, aim)
        assert split.margins[-2:].tolist() == [0, 0]
    fair = allocate(Scenarios(np.full((400, 1), 0.9), np.ones((400, 1))), 1.0, 1.0, 0.95, "return")
    assert fair.margins.tolist() == [0]


@pytest.mark.parametrize("falls", [True, False])
@pytest.mark.parametrize("ltv", [0.83, 0.9, 0.95, 1.2])
def test_scenarios__liquidated__is_left_what_the_mirror_leaves(falls: bool, ltv: float) -> None:
    leverage = 4.5
    # What the moving price comes to, so that the debt is `ltv` of the collateral.
    ratio = (leverage - 1) / leverage
    end = ratio / ltv if falls else ltv / ratio
    found = scenarios(
        [Slot(0, leverage)], [CrossMarket(TERMS, falls)], np.array([[[1.0, end]]]), LateKeepers()
    )
    position = PositionSlot(int(leverage * WAD), int((leverage - 1) * WAD), 0)
    price = int((end if falls else 1 / end) * PRICE_SCALE)
    risk = replace(risk_market(18, 18).risk, min_debt=0)
    moved = NOTHING if ltv < 0.86 else liquidate(position, WAD, price, MAX_UINT256, risk)
    left = (position.collateral - moved.seized) * price // PRICE_SCALE
    left -= position.scaled_debt - moved.scaled_retired
    worth = left / WAD * (1 if falls else end)
    assert found.equity[0, 0] == pytest.approx(max(worth, 0), abs=1e-9)
    assert (found.equity[0, 0] > 0) == (ltv < 0.93)


def test_scenarios__any_path__loses_no_more_than_its_margin() -> None:
    loss = drawn(1).loss
    assert loss.max() == 1
    assert (loss == 1).any(axis=0).any()
    assert loss.min() < 0


def test_slots_of__leverages__each_market_its_own() -> None:
    markets = [risk_market(), risk_market(initial=88 * PERCENT)]
    assert slots_of(markets, [2.0, 5.0, 7.0]) == [
        Slot(0, 2.0), Slot(0, 5.0), Slot(1, 2.0), Slot(1, 5.0), Slot(1, 7.0),
    ]  # fmt: skip
    for leverage in (0.5, 9.0):
        with pytest.raises(RiskError, match=r"limits 1 and 8\.333, from the initial LTV"):
            slots_of(markets, [2.0, leverage])


@pytest.mark.parametrize("budget", [-0.1, 0.0, 1.01, float("nan")])
def test_allocate__impossible_budget__refused(budget: float) -> None:
    with pytest.raises(RiskError, match=r"the budget .* of it \(limits: above 0"):
        allocate(drawn(1), CAPITAL, budget, 0.95)


@pytest.mark.parametrize("capital", [0.0, float("inf")])
def test_allocate__no_capital__refused(capital: float) -> None:
    with pytest.raises(RiskError, match=f"capital is {capital:g}"):
        allocate(drawn(1), capital, 0.1, 0.95)


@pytest.mark.parametrize("level", [0.0, 1.0, 0.999])
def test_allocate__too_few_paths_in_the_tail__refused(level: float) -> None:
    with pytest.raises(RiskError, match="beyond a level of"):
        allocate(drawn(1), CAPITAL, 0.1, level)


MARKETS = ("markets/weth-usdc-conservative.toml", "markets/usdc-weth-short.toml")
QUICK = (
    "--short", "usdc-weth-short", "--paths", "600", "--batch", "300", "--step", "3600",
    "--model", "gbm:volatility=0.9", "--days", "3", "--delay", "0",
)  # fmt: skip


@pytest.fixture
def _thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_risk_joint, "workers_of", lambda _workers, _scheduler: THREAD)


def run(*words: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(allocation, words, env={"COLUMNS": "200"})


@pytest.mark.usefixtures("_thread")
def test_allocate__command__tells_people_and_programs_the_same() -> None:
    result = run(*MARKETS, *QUICK, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["chosen"]["shortfall"]["value"] == pytest.approx(500)
    assert told["checked"]["shortfall"]["value"] != told["chosen"]["shortfall"]["value"]
    margins = [slot["margin"] for slot in told["slots"]]
    assert len(margins) == 8
    assert 0 < sum(margins) <= 10_000 * (1 + 1e-6)
    words = run(*MARKETS, *QUICK).stdout
    assert "600 paths of gbm:volatility=0.9 over 3 days to choose, as many to check" in words
    assert f"in cash: {10_000 - sum(margins):,.2f} of 10,000.00" in words
    assert "budget 500.00: 500.00 where chosen" in words


@pytest.mark.usefixtures("_thread")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--budget", "0"), "--budget is '0' (limits: 1e-06 and 1)"),
        (("--leverage", "20"), "no market opens a leverage of 20"),
        (("--level", "0.999"), "are beyond a level of 0.999 (limit 20)"),
        (("--short", "nothing"), "--short nothing is none of the markets"),
        (("--correlation", "2"), "--correlation is '2' (limits: 0 and 1)"),
    ],
)
def test_allocate__command_that_cannot_be_done__one_line(words: tuple[str, ...], line: str) -> None:
    result = run(*MARKETS, *QUICK, *words)
    assert result.exit_code == 1
    assert line in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
