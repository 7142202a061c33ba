"""Figures of prices: the traces that they draw and the numbers in them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from ringfence.report.panel import FigureError
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.models import DEFAULT_MODELS
from ringfence.risk.prices.paths import DAY, Gbm
from ringfence.risk.report.prices import drawn_quantiles, fan, stress_replay, tail_fit
from tests.support.risk_panels import MADE_FITS, MADE_RETURNS

FIVE = np.tile(np.array([0.8, 0.9, 1.0, 1.1, 1.2])[:, None], (1, 3))


def test_fan__known_paths__draws_their_quantiles_and_the_trigger() -> None:
    panel = fan(FIVE, DAY, trigger=0.95)
    traces = {trace["name"]: trace for trace in panel.figure["data"] if trace["name"]}
    assert traces["half lie below"]["y"] == [1.0, 1.0, 1.0]
    assert traces["25 to 75 %"]["y"] == [1.1, 1.1, 1.1]
    assert traces["liquidation"]["y"] == [0.95, 0.95]
    assert panel.figure["layout"]["xaxis"]["title"]["text"] == "time, hours"
    assert panel.rows[-1][0] == 48
    assert panel.rows[-1][4] == 1.0
    assert "5 drawn paths" in panel.caption


def test_fan__many_steps__is_thinned_to_its_ends() -> None:
    panel = fan(np.ones((2, 5_001)), DAY)
    line = panel.figure["data"][-1]
    assert len(line["x"]) == 240
    assert (line["x"][0], line["x"][-1]) == (0, 5_000)
    assert panel.figure["layout"]["xaxis"]["title"]["text"] == "time, days"


def test_fan__path_without_a_number__is_refused() -> None:
    with pytest.raises(FigureError, match="not a number"):
        fan(np.array([[1.0, np.nan]]), DAY)


def test_drawn_quantiles__gbm__are_the_normal_ones() -> None:
    deviation = 0.9 / np.sqrt(365)
    shares = np.array([0.05, 0.5, 0.95])
    found = drawn_quantiles(Gbm(0.9), DAY, shares, default_rng(1))
    expected = deviation * np.array([-1.6449, 0.0, 1.6449]) - deviation**2 / 2
    np.testing.assert_allclose(found, expected, atol=4e-4)


def test_tail_fit__fat_tails__normal_law_falls_short_and_the_true_one_does_not() -> None:
    panel = tail_fit(MADE_RETURNS, MADE_FITS, DAY, default_rng(1))
    assert [trace["name"] for trace in panel.figure["data"]] == ["as seen", "student-t", "gbm"]
    _, true, normal = panel.figure["data"]
    assert true["y"] == normal["y"] == sorted(true["y"])
    assert true["y"][0] == pytest.approx(100 * MADE_RETURNS.min(), rel=1e-3)
    assert normal["x"][0] > true["x"][0]
    assert panel.columns == ("share below", "as seen, %", "student-t, %", "gbm, %")


def test_stress_replay__two_days__says_how_many_pass_the_trigger() -> None:
    days = {"one": np.array([1.0, 0.7, 0.8]), "two": np.array([1.0, 0.9, 1.0])}
    panel = stress_replay(days, 3_600, trigger=0.75)
    assert [trace["name"] for trace in panel.figure["data"]] == ["one", "two", "liquidation"]
    assert panel.rows == (("one", 0.7, 1.0, 0.8), ("two", 0.9, 1.0, 1.0))
    assert "1 of 2 pass" in panel.caption
    assert "0 of 2 pass" in stress_replay(days, 3_600, trigger=1.2).caption


def test_stress_replay__no_day__is_refused() -> None:
    with pytest.raises(RiskError, match="no day"):
        stress_replay({}, 60)


def test_tail_fit__any_model_there_is__can_be_drawn() -> None:
    for model in DEFAULT_MODELS.values():
        found = drawn_quantiles(model, DAY, np.array([0.01, 0.99]), default_rng(1))
        assert found[0] < 0 < found[1]
