"""Figures of losses: the traces that they draw and the numbers in them."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from ringfence.report.panel import POINTS
from ringfence.risk.answers.sensitivity import Swing
from ringfence.risk.answers.tail import Estimate
from ringfence.risk.errors import RiskError
from ringfence.risk.report.losses import (
    Grid,
    Option,
    agreement,
    distribution,
    edge,
    frontier,
    heat_map,
    tornado,
)
from tests.support.risk_panels import MADE_GRID, MADE_OPTIONS, MADE_OTHERS, MADE_SWINGS


def test_distribution__known_losses__shares_above_and_intervals() -> None:
    losses = np.array([0.0] * 8 + [10.0, 30.0])
    panel = distribution(losses, Estimate(10, 5, 20), Estimate(30, -inf, inf), "USDC")
    traces = {trace["name"]: trace for trace in panel.figure["data"] if trace["name"]}
    law = traces["loss"]
    assert list(zip(law["x"], law["y"], strict=True)) == [(0, 0.2), (10, 0.1), (30, 0.05)]
    assert traces["VaR 95"]["x"] == [10, 10]
    assert traces["ES 99"]["x"] == [30, 30]
    bars = [trace for trace in panel.figure["data"] if not trace["name"]]
    assert [bar["x"] for bar in bars] == [[5, 20]], "an interval without ends has no bar"
    assert ("ES 99", "30.00 (not known to not known)") in panel.rows
    assert "2 lose anything" in panel.caption


def test_distribution__all_lose__begins_at_one() -> None:
    panel = distribution(np.array([5.0, 7.0]), Estimate(5, 5, 7), Estimate(7, 5, 9), "USDC")
    law = panel.figure["data"][0]
    assert (law["x"][0], law["y"][0]) == (0, 1)


def test_distribution__many_paths__worst_are_told_apart() -> None:
    losses = np.arange(1.0, 10_001.0)
    panel = distribution(losses, Estimate(1, 1, 1), Estimate(2, 2, 2), "USDC")
    law = panel.figure["data"][0]
    assert len(law["x"]) <= 2 * POINTS + 1
    assert law["x"][-10:] == list(range(9_991, 10_001))


def test_distribution__nobody_loses__says_so_instead_of_drawing() -> None:
    panel = distribution(np.zeros(1_000), Estimate(0, 0, 0), Estimate(0, 0, inf), "USDC")
    assert panel.figure["data"] == []
    assert "0.37%" in panel.caption


def test_edge__rows__stop_before_the_first_loss() -> None:
    grid = Grid(np.array([0.7, 0.8]), np.array([0.01, 0.02, 0.03]),
                np.array([[0.1, 0.2], [0.0, 0.2], [0.0, 0.0]]))  # fmt: skip
    assert edge(grid) == [None, 0.7, 0.8]
    assert edge(grid, 0.1) == [0.7, 0.7, 0.8]


def test_grid__wrong_shape__is_refused() -> None:
    with pytest.raises(RiskError, match="a row a bonus"):
        Grid(np.array([0.7, 0.8]), np.array([0.01]), np.zeros((2, 1)))


def test_heat_map__made_grid__edge_runs_between_cells_without_and_with_loss() -> None:
    panel = heat_map(MADE_GRID)
    surface, contour = panel.figure["data"]
    assert surface["z"] == [[pytest.approx(100 * one) for one in row] for row in MADE_GRID.losses]
    assert (contour["x"][0], contour["x"][-1]) == (82.5, 87.5)
    assert (contour["y"][0], contour["y"][-1]) == pytest.approx((0, 10))
    assert "85.0%" in panel.caption


def test_heat_map__budget__edge_stands_where_the_loss_comes_to_be_above_it() -> None:
    grid = Grid(np.array([0.7, 0.8, 0.9]), np.array([0.01]), np.array([[0.0, 0.004, 0.02]]))
    panel = heat_map(grid, 0.005)
    contour = panel.figure["data"][1]
    assert set(contour["x"]) == {85}
    assert contour["name"] == "at most 0.5 % is lost left of it"
    assert "80.0%" in panel.caption


def test_heat_map__every_choice_loses__has_no_edge() -> None:
    panel = heat_map(Grid(np.array([0.7, 0.8]), np.array([0.01]), np.ones((1, 2))))
    assert len(panel.figure["data"]) == 1
    assert "no choice" in panel.caption


def test_frontier__options__in_order_with_the_budget_and_the_others() -> None:
    panel = frontier(MADE_OPTIONS[::-1], MADE_OTHERS, 0.01)
    line, budget, smart, whale = panel.figure["data"]
    assert line["y"] == sorted(line["y"])
    assert budget["x"] == [1, 1]
    assert (smart["name"], whale["name"]) == ("SmartLTV", "one whale")
    assert smart["y"] == [pytest.approx(1 / 0.18, rel=1e-5)]
    assert "4.37 times" in panel.caption


def test_frontier__nothing_within_the_budget__says_so() -> None:
    assert "nothing" in frontier([Option("a", 0.8, 0.1)], [], 0.01).caption


def test_tornado__swings__widest_on_top_from_the_base() -> None:
    panel = tornado(100.0, MADE_SWINGS, "ES 99, USDC")
    low, high = panel.figure["data"]
    assert low["y"][-1] == "volatility: 75% / 125%"
    assert (low["x"][-1], high["x"][-1]) == (-40, 90)
    assert low["base"] == high["base"] == [100, 100, 100]
    assert panel.rows[0] == ("volatility", "75%", 60.0, "125%", 190.0)
    assert "most with volatility" in panel.caption


def test_tornado__nothing_moves__says_so_instead_of_drawing() -> None:
    panel = tornado(0.0, [Swing("a", "1", "2", 0.0, 0.0)], "ES 99")
    assert panel.figure["data"] == []
    assert "nothing here moves it" in panel.caption


def test_tornado__no_assumption__is_refused() -> None:
    with pytest.raises(RiskError, match="no assumption"):
        tornado(1.0, [], "ES 99")


def test_agreement__equal__is_a_flat_zero() -> None:
    panel = agreement(np.zeros(300, np.int64), "positions", "steps")
    (trace,) = panel.figure["data"]
    assert set(trace["y"]) == {0}
    assert "zero everywhere" in panel.caption
    assert panel.rows == ((300, 0, 0),)


def test_agreement__one_differs__is_told_and_in_the_axis() -> None:
    panel = agreement(np.array([0, 0, -7]), "positions", "steps")
    assert panel.rows == ((3, 1, 7),)
    assert "1 differ, by 7 steps" in panel.caption
    low, _ = panel.figure["layout"]["yaxis"]["range"]
    assert low < -7
