"""Many seeds of a scenario: the same bytes on any number of workers, each the run of its seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ringfence.risk.errors import RiskError
from ringfence.risk.work.tasks import Processes, Workers
from ringfence.sim.scenario import Scenario, load_scenario
from ringfence.sim.vectorised.engine import outcome_of, play_scenario
from ringfence.sim.vectorised.from_scenario import Opened, open_scenario
from ringfence.sim.vectorised.scenario_runs import BATCH, FIGURES, run_seeds, summary
from tests.support.risk_tasks import THREAD
from tests.support.simulated import DAY, write

SEEDS = range(136, 136 + BATCH + 2)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(DAY)


@pytest.fixture(scope="module")
def opened(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return open_scenario(scenario, 1, tmp_path_factory.mktemp("opened"))


def figures(opened: Opened, scenario: Scenario, workers: Workers) -> np.ndarray:
    return np.concatenate([*run_seeds(opened, scenario, SEEDS, workers, print)])


def test_run_seeds__two_workers_or_none__same_bytes(opened: Opened, scenario: Scenario) -> None:
    found = figures(opened, scenario, THREAD)
    assert found.shape == (len(SEEDS), len(FIGURES))
    assert found.tobytes() == figures(opened, scenario, Processes(2)).tobytes()


def test_run_seeds__one_seed__is_its_single_run_wherever_it_was_opened(
    opened: Opened, scenario: Scenario, tmp_path: Path
) -> None:
    """What was opened with seed 1 is what seed 136 opens: all begin at one price."""
    played = play_scenario(open_scenario(scenario, SEEDS[0], tmp_path), scenario, SEEDS[0])
    end = outcome_of(played, scenario, "day", "", SEEDS[0])
    row = dict(zip(FIGURES, figures(opened, scenario, THREAD)[0], strict=True))
    assert row["liquidations"] == len(end.liquidations) == 15
    assert row["positions liquidated"] == len({one.position for one in end.liquidations})
    assert row["repaid"] == pytest.approx(end.markets[0].repaid / 1e6)
    ether = end.steps[-1].answer / 1e8
    reserve = end.markets[0].reserve / 1e6 + end.markets[1].reserve / 1e18 * ether
    assert row["reserve"] == pytest.approx(reserve)
    earned = end.keepers[0].usdc / 1e6 - end.keepers[0].gas_cost / 1e18 * ether
    assert row["keeper's profit"] == pytest.approx(earned)
    assert row["pool's low"] == played.low * 1e12


def test_summary__worst_is_the_most_or_the_least_by_figure() -> None:
    rows = np.array([[float(run)] * len(FIGURES) for run in (2, 1, 3)])
    found = {one.name: one for one in summary(rows, [7, 8, 9])}
    assert (found["loss"].worst, found["loss"].worst_seed) == (3, 9)
    assert (found["reserve"].worst, found["reserve"].worst_seed) == (1, 8)
    assert found["pool's low"].worst_seed == 8
    assert found["loss"].mean.value == 2
    assert found["loss"].mean.low < 2 < found["loss"].mean.high


def test_summary__few_runs__only_a_profit_may_be_below_zero() -> None:
    rows = np.array([[0.0] * len(FIGURES), [0.0] * len(FIGURES), [9.0] * len(FIGURES)])
    for one in summary(rows, [7, 8, 9]):
        assert (one.mean.low < 0) == (one.name == "keeper's profit"), one.name
        assert one.mean.low < one.mean.value == 3 < one.mean.high


def test_run_seeds__path_of_a_csv__is_refused(opened: Opened, tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, [2_000.0, 1_900.0]))
    with pytest.raises(RiskError, match="the same for every seed; play it once"):
        next(run_seeds(opened, scenario, [1, 2], THREAD, print))
