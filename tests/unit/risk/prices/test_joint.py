"""Prices that move together: how they correlate, and that each is its model's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.joint import JointPrices
from ringfence.risk.prices.models import parse_model
from ringfence.risk.prices.paths import DAY, YEAR, Gbm


def test_draw__returns__correlate_and_keep_the_model_s_variance() -> None:
    found = JointPrices([0, 1, 2], Gbm(0.9), 0.6, 400, 100, DAY).draw(default_rng(1))
    assert found.shape == (3, 400, 101)
    returns = np.diff(np.log(found), axis=2).reshape(3, -1)
    expected = 0.6 + 0.4 * np.eye(3)
    assert np.corrcoef(returns) == pytest.approx(expected, abs=0.02)
    assert returns.std(axis=1) == pytest.approx(0.9 * (DAY / YEAR) ** 0.5, rel=0.01)


def test_draw__one_path_at_a_time__keeps_the_model_s_variance() -> None:
    """A last lot may be of one path: the mean that the mix keeps must not be that path's own."""
    rng = default_rng(1)
    lots = [JointPrices([0, 1], Gbm(0.9), 0.6, 1, 1, YEAR).draw(rng) for _ in range(4_000)]
    ends = np.log(np.concatenate(lots, axis=1)[..., -1])
    assert ends.std(axis=1) == pytest.approx([0.9, 0.9], rel=0.04)


@pytest.mark.parametrize("drift", [0.0, 0.5])
def test_draw__a_drift__is_the_model_s(drift: float) -> None:
    found = JointPrices([0, 1], Gbm(0.5, drift), 0.6, 40_000, 1, YEAR).draw(default_rng(1))
    assert found[..., -1].mean(axis=1) == pytest.approx(np.exp([drift] * 2), rel=0.015)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 1.0])
def test_draw__a_stress_day__falls_as_far_as_it_did(correlation: float) -> None:
    day = parse_model("stress:2020-03-12")
    found = JointPrices([0, 1], day, correlation, 5, 1_440, 60).draw(default_rng(1))
    assert found.min(axis=2) == pytest.approx(np.full((2, 5), 0.52), abs=0.001)


def test_draw__markets_on_one_token__share_its_price() -> None:
    prices = JointPrices([0, 1, 0], Gbm(0.9), 0.6, 3, 4, DAY)
    one, other, same = prices.draw(default_rng(1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_draw__one_token__is_the_model_itself() -> None:
    [found] = JointPrices([0], Gbm(0.9), 0.2, 3, 4, DAY).draw(default_rng(1))
    assert found == pytest.approx(Gbm(0.9).draw(default_rng(1), 3, 4, DAY))


@pytest.mark.parametrize("correlation", [-0.1, 1.1, float("nan")])
def test_joint_prices__no_share__refused(correlation: float) -> None:
    with pytest.raises(RiskError, match="correlation"):
        JointPrices([0, 1], Gbm(0.9), correlation, 1, 1, DAY)
