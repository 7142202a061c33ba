"""Whole scenarios, keepers and all: the vectorised engine against the bytecode, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import pytest

from ringfence.evm import InProcessEngine
from ringfence.math import accrual
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import RiskParams
from ringfence.risk.rules import left_alone, trigger
from ringfence.risk.rules.liquidations import Terms
from ringfence.risk.rules.market import RiskMarket
from ringfence.sim.outcome import Outcome
from ringfence.sim.scenario import Scenario, load_scenario
from ringfence.sim.vectorised.compare import Compared, StepCompared, compare
from ringfence.sim.vectorised.engine import outcome_of, play_scenario, simulate_vectorised
from ringfence.sim.vectorised.from_scenario import Opened, open_scenario
from tests.support.simulated import DAY, edge, play, write

LONG, SHORT = "weth-usdc-conservative", "usdc-weth-short"
FIRST = {LONG: "long #1", SHORT: "short"}
"""The first position of each market, as it is called."""

ON = 7
"""The step past the trigger."""

SWINGS = (1_800.0, 1_790.0, 1_000.0, 1_010.0, 1_700.0, 2_600.0, 2_700.0, 2_100.0)
"""A fall that leaves a long insolvent, and a rise that does so to a short."""

OFF = "off = [[1.16, 1.24]]"
"""When the price is at its lowest."""


@dataclass(frozen=True)
class Real:
    """A scenario, where it begins, and the bytecode's play of it."""

    scenario: Scenario
    opened: Opened
    outcome: Outcome

    def compared(self) -> tuple[Outcome, Compared]:
        """Play it vectorised, and compare."""
        played = play_scenario(self.opened, self.scenario, 1)
        found = outcome_of(played, self.scenario, "small", "", 1)
        return found, compare(self.outcome, found, self.markets)

    @property
    def markets(self) -> dict[str, RiskMarket]:
        return {name: one.market for name, one in self.opened.vaults.items()}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Real]:
    """The scenario that stands at a market's first trigger, then past it, then swings."""
    made: dict[str, Real] = {}

    def of(market: str) -> Real:
        if market not in made:
            folder = tmp_path_factory.mktemp(market)
            path = write(folder, [*edge(folder, market, at=ON - 1).prices, *SWINGS], keeper=OFF)
            scenario = load_scenario(path)
            outcome = play(InProcessEngine(traced=False), path, folder)
            made[market] = Real(scenario, open_scenario(scenario, 1, folder), outcome)
        return made[market]

    return of


def held(compared: Compared) -> dict[str, bool]:
    return {check.name.split("_")[0]: check.held for check in compared.checks()}


@pytest.mark.parametrize("market", [LONG, SHORT])
def test_play__trigger_then_one_past_it_then_insolvency__is_the_bytecodes_play(
    real: Callable[[str], Real], market: str
) -> None:
    found, compared = real(market).compared()
    assert compared.agrees, compared.checks()
    assert held(compared) == {"integers": True, "floats": True, "ends": True}
    assert compared.steps[ON - 1].quiet
    who = FIRST[market]
    assert compared.steps[ON].due == compared.steps[ON].sold == ((who,), (who,))
    sold = found.liquidations
    assert {one.market for one in sold} == {LONG, SHORT}
    assert any(one.loss > 0 for one in sold)
    assert any(one.socialised > 0 for one in sold)
    idle = [one for one in compared.steps if one.due[0] and not one.sold[0]]
    assert [one.time for one in idle] == [4_200]
    assert found.held
    words = [one.word for one in real(market).outcome.positions]
    assert [one.word for one in found.positions] == words


def _down(value: int, by: int) -> int:
    return value // by


def test_compare__needed_value_rounded_down__is_found_out(
    monkeypatch: pytest.MonkeyPatch, real: Callable[[str], Real]
) -> None:
    case = real(LONG)
    monkeypatch.setattr(trigger, "div_up", _down)
    _assert_differs_from_the_trigger_on(case.compared()[1])


@pytest.mark.parametrize("market", [LONG, SHORT])
def test_compare__trigger_one_answer_too_far__is_found_out(
    monkeypatch: pytest.MonkeyPatch, real: Callable[[str], Real], market: str
) -> None:
    case, exact = real(market), trigger.trigger

    def further(market: RiskMarket, *words: int) -> int:
        return exact(market, *words) + (-1 if market.falls else 1)

    for module in (trigger, left_alone):
        monkeypatch.setattr(module, "trigger", further)
    _assert_differs_from_the_trigger_on(case.compared()[1])


def _assert_differs_from_the_trigger_on(compared: Compared) -> None:
    assert not compared.agrees
    assert not held(compared)["integers"]
    assert next(one.step for one in compared.steps if not one.equal) == ON
    assert len(compared.steps[ON].due[0]) == 1
    assert not compared.steps[ON].due[1]


def test_compare__cut_that_is_off_by_a_millionth__is_beyond_the_bound(
    monkeypatch: pytest.MonkeyPatch, real: Callable[[str], Real]
) -> None:
    exact = Terms.of

    def more(risk: RiskParams) -> Terms:
        return exact(risk)._replace(reserve_cut=risk.reserve_cut / WAD * 1.000001)

    case = real(LONG)
    monkeypatch.setattr(Terms, "of", more)
    found, compared = case.compared()
    assert not found.held
    assert held(compared) == {"integers": True, "floats": False, "ends": False}


def test_compare__interest_that_stands_still__is_beyond_the_bound(
    monkeypatch: pytest.MonkeyPatch, real: Callable[[str], Real]
) -> None:
    exact = accrual.preview

    def still(sheet: BalanceSheet, *words: Any) -> tuple[BalanceSheet, bool]:
        later, failed = exact(sheet, *words)
        return replace(later, debt_index=sheet.debt_index), failed

    case = real(LONG)
    monkeypatch.setattr(accrual, "preview", still)
    _found, compared = case.compared()
    assert held(compared) == {"integers": False, "floats": False, "ends": False}


def test_compare__the_same_play_twice__is_equal_to_the_unit(real: Callable[[str], Real]) -> None:
    case = real(LONG)
    same = compare(case.outcome, case.outcome, case.markets)
    assert same.agrees
    assert {one.amounts + one.pool for one in same.steps} == {0.0}
    assert set(same.ends.values()) == {0.0}


def test_compare__liquidations_that_one_lacks__are_infinitely_far_off(
    real: Callable[[str], Real],
) -> None:
    case = real(LONG)
    compared = compare(case.outcome, replace(case.outcome, liquidations=()), case.markets)
    assert held(compared) == {"integers": False, "floats": False, "ends": True}
    assert compared.steps[ON].sold == (("long #1",), ())
    assert compared.steps[ON].amounts == float("inf")


@pytest.mark.parametrize("which", ["amounts", "pool"])
def test_compared__no_number__is_not_within_the_bound(which: str) -> None:
    step = StepCompared(
        0, 0, (1, 1), ((), ()), ((), ()), **{"amounts": 0.0, "pool": 0.0, which: nan}
    )
    assert held(Compared((step,), {"cash": nan})) == {
        "integers": True, "floats": False, "ends": False,
    }  # fmt: skip


def test_simulate_vectorised__day__has_the_bytecodes_form_and_names_what_it_leaves_out(
    tmp_path: Path, real: Callable[[str], Real]
) -> None:
    scenario = load_scenario(DAY)
    found = simulate_vectorised(
        scenario, name="day", sha256="", seed=scenario.seed, folder=tmp_path
    )
    assert found.left_out == (
        "4 rules of traders",
        "3 rules of lenders",
        "keeper slow-keeper",
        "attacker inflator",
        "attacker self-liquidator",
        "attacker laggard",
    )
    assert found.outcome.summary().keys() == real(LONG).outcome.summary().keys()
    assert found.outcome.held
    assert len(found.outcome.liquidations) == 15
    assert 0 < found.pool_low < min(one.price for one in found.outcome.steps)
