"""Figures of outages, cascades, the pool and both margins: their traces and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ringfence.report.panel import FigureError
from ringfence.risk.errors import RiskError
from ringfence.risk.report.system import (
    Cutoff,
    Timeline,
    cascade,
    depth,
    eclipse,
    outage,
    pairs,
)
from tests.support.risk_panels import MADE_CUTOFFS, MADE_MISSED, MADE_TIMELINE


def test_outage__two_curves__mean_and_worst_of_each() -> None:
    panel = outage(MADE_CUTOFFS, "USDC")
    assert [trace["name"] for trace in panel.figure["data"]] == [
        "oracle and keepers", "oracle and keepers, worst path", "keepers", "keepers, worst path",
    ]  # fmt: skip
    assert panel.figure["data"][0]["x"] == [0, 50, 150, 300]
    assert "oracle and keepers for 300 blocks costs most, 2,078 USDC" in panel.caption
    assert len(panel.rows) == 8


def test_outage__one_path_only__has_no_worst_line() -> None:
    panel = outage({"oracle": [Cutoff(0, 0.0, 0.0), Cutoff(5, 2.0, 2.0)]}, "USDC")
    assert [trace["name"] for trace in panel.figure["data"]] == ["oracle"]


def test_outage__adds_nothing__says_so() -> None:
    panel = outage({"oracle": [Cutoff(0, 3.0, 3.0), Cutoff(5, 3.0, 3.0)]}, "USDC")
    assert "none of them adds" in panel.caption


def test_outage__no_curve__is_refused() -> None:
    with pytest.raises(RiskError, match="no outage"):
        outage({}, "USDC")


def test_eclipse__made__profit_and_gas_of_the_one_keeper() -> None:
    panel = eclipse(MADE_MISSED, "USDC")
    profit, once, again = panel.figure["data"]
    assert (profit["y"], once["y"], again["y"]) == ([0, 40, 90], [0, 6, 6], [0, 60, 360])
    assert "300 blocks cost it 30 calls and 90 USDC of profit" in panel.caption
    assert "the 12 calls that it sends on that head fail" in panel.caption
    assert panel.rows[1] == (50, 10, 40, 12, 6, 60)


def test_eclipse__none__is_refused() -> None:
    with pytest.raises(RiskError, match="no eclipse"):
        eclipse([], "USDC")


def test_cascade__made_fall__four_lines_in_percent() -> None:
    panel = cascade(MADE_TIMELINE)
    price, fed, sold, sold_fed = panel.figure["data"]
    assert (price["y"][-1], fed["y"][-1]) == (70, 64)
    assert (sold["y"][-1], sold_fed["y"][-1]) == (24, 33)
    assert "9.0% of the debt more" in panel.caption


def test_cascade__price_without_a_number__is_refused() -> None:
    still, broken = np.ones(3), np.array([1.0, np.inf, 1.0])
    with pytest.raises(FigureError, match="not a number"):
        cascade(Timeline(broken, still, still, still, 60))


def test_depth__curve__with_what_liquidations_bear() -> None:
    sizes = np.array([0.0, 1e6, 2e6])
    panel = depth(sizes, np.array([0.0, 0.05, 0.09]), 1.2e6, "USDC")
    curve, bears = panel.figure["data"]
    assert (curve["x"], curve["y"]) == ([0, 1e6, 2e6], [0, 5, 9])
    assert bears["x"] == [1.2e6, 1.2e6]
    assert "up to 1,200,000 USDC" in panel.caption


def test_depth__nothing_borne__has_the_curve_alone() -> None:
    panel = depth(np.array([0.0, 1.0]), np.array([0.0, 0.5]), None, "USDC")
    assert len(panel.figure["data"]) == 1
    assert "no liquidation pays" in panel.caption


def test_pairs__cross_has_less_and_more__both_are_told() -> None:
    isolated = np.array([4.0, 4.0, 4.0, 0.0])
    panel = pairs(isolated, {"capital": np.array([1.0, 1.0, 5.0, 0.0])}, "slots lost, number")
    even, points = panel.figure["data"]
    assert even["x"] == even["y"] == [0, 5]
    assert (points["x"], points["y"]) == ([4, 4, 4, 0], [1, 1, 5, 0])
    assert "less on 50% of the paths, more on 25%" in panel.caption
    assert panel.rows[0][:4] == ("capital", 3.0, 1.75, -1.25)


def test_pairs__many_paths__draws_some_and_counts_all() -> None:
    isolated = np.ones(1_000)
    crossed = np.concatenate((np.zeros(500), np.full(500, 2.0)))
    panel = pairs(isolated, {"capital": crossed}, "slots lost, number")
    assert len(panel.figure["data"][1]["x"]) == 600
    assert panel.rows[0][2] == 1.0


def test_pairs__nothing_lost_at_all__says_so_instead_of_drawing() -> None:
    panel = pairs(np.zeros(3), {"capital": np.zeros(3)}, "lender loss, USDC")
    assert panel.figure["data"] == []
    assert "none on any" in panel.caption


def test_cascade__quiet_after_an_hour__is_drawn_to_a_little_later() -> None:
    panel = cascade(MADE_TIMELINE)
    assert panel.figure["data"][0]["x"][-1] == pytest.approx(1.25, abs=0.1)


def test_cascade__nothing_moves__is_drawn_whole() -> None:
    still = np.ones(121)
    panel = cascade(Timeline(still, still, still, still, 60))
    assert panel.figure["data"][0]["x"][-1] == 2
