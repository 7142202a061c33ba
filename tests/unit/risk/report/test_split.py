"""Figures of a split: the traces that they draw and the numbers in them."""

from __future__ import annotations

import numpy as np
import pytest

from ringfence.risk.answers.tail import Estimate, expected_shortfall
from ringfence.risk.report.split import account_loss, margins, reach
from tests.support.risk_panels import MADE_BUDGETS, MADE_SCENARIOS, MADE_SPLITS


def test_margins__some_slots_get_nothing__are_in_the_table_alone() -> None:
    panel = margins(["long 2x", "long 3x", "short 2x"], np.array([300.0, 0, 500]), 1_000.0, "USDC")
    (trace,) = panel.figure["data"]
    assert list(zip(trace["y"], trace["x"], strict=True)) == [
        ("cash", 200), ("short 2x", 500), ("long 2x", 300),
    ]  # fmt: skip
    assert panel.rows == (
        ("long 2x", 300.0, 30.0), ("long 3x", 0.0, 0.0), ("short 2x", 500.0, 50.0),
        ("cash", 200.0, 20.0),
    )  # fmt: skip
    assert "2 of 3 do, 200.00 of 1,000.00 are kept in cash" in panel.caption


@pytest.mark.parametrize(
    ("budget", "words"),
    [(9, "below its interval"), (10, "is within"), (20, "is within"), (21, "above its interval")],
)
def test_account_loss__gains_and_losses__with_es_and_budget(budget: float, words: str) -> None:
    losses = np.array([-30.0] * 6 + [0.0, 5.0, 10.0, 20.0])
    panel = account_loss(losses, Estimate(15, 10, 20), 0.8, budget, "USDC")
    law, es, interval, limit = panel.figure["data"]
    assert list(zip(law["x"], law["y"], strict=True)) == [
        (0, pytest.approx(0.3)), (5, pytest.approx(0.2)),
        (10, pytest.approx(0.1)), (20, 0.05),
    ]  # fmt: skip
    assert (es["name"], es["x"]) == ("ES 80", [15, 15])
    assert interval["x"] == [10, 20]
    assert (limit["name"], limit["x"]) == ("budget", [budget, budget])
    assert panel.rows[0] == (-30, pytest.approx(40)), "gains beyond the largest loss: no line"
    assert words in panel.caption
    assert panel.rows[-2:] == (("ES 80", "15.00 (10.00 to 20.00)"), ("budget", f"{budget:,.2f}"))


def test_reach__looser_budgets__exposure_rises_with_the_es() -> None:
    panel = reach(MADE_BUDGETS, MADE_SPLITS, 50.0, "USDC")
    best, own = panel.figure["data"]
    assert best["x"] == sorted(best["x"])
    assert best["y"] == sorted(best["y"])
    assert (own["x"], own["y"]) == ([best["x"][1]], [best["y"][1]])
    assert [row[0] for row in panel.rows] == MADE_BUDGETS
    assert [row[1] for row in panel.rows] == pytest.approx(MADE_BUDGETS)


def test_account_loss__every_path_gains_more_than_the_budget__is_drawn() -> None:
    panel = account_loss(np.array([-300.0, -200.0]), Estimate(-200, -300, -200), 0.5, 100, "USDC")
    law = panel.figure["data"][0]
    assert (law["x"], law["y"]) == ([-200], [0.25])
    assert "above its interval" in panel.caption


def test_account_loss__made_split__is_its_law() -> None:
    lost = MADE_SCENARIOS.loss @ MADE_SPLITS[1].margins
    panel = account_loss(lost, expected_shortfall(lost, 0.95), 0.95, 50.0, "USDC")
    law = panel.figure["data"][0]
    assert law["x"][-1] == pytest.approx(lost.max(), rel=1e-5)
    assert -lost.max() <= law["x"][0] < 0
