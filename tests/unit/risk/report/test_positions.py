"""Figures of positions: the traces that they draw and the numbers in them."""

from __future__ import annotations

import numpy as np
import pytest

from ringfence.math.fixed_point import WAD
from ringfence.risk.prices.passage import gbm_hit
from ringfence.risk.report.positions import (
    debt_at_drop,
    hit_chance,
    keeper_profits,
    keeper_zone,
    ladder,
    passage,
    room,
)
from ringfence.risk.rules.book import Book, Positions
from tests.support.risk import DOLLAR, risk_market
from tests.support.risk_panels import ANSWER, TERMS

LONG, SHORT = risk_market(), risk_market(falls=False)
# 1 WETH at 2,000 against 860 and 1,290: due at 1,000 and 1,500.
TWO = Book.of(LONG, Positions([WAD, WAD], [860 * 10**6, 1_290 * 10**6]))


def test_room__longs__is_the_fall_to_the_trigger() -> None:
    np.testing.assert_allclose(room(LONG, TWO, ANSWER), [0.5, 0.25])


def test_room__shorts__is_the_rise_to_the_trigger() -> None:
    book = Book(np.array([3_000 * DOLLAR]), np.ones(1), np.ones(1))
    np.testing.assert_allclose(room(SHORT, book, ANSWER), [0.5])


def test_ladder__two_positions__each_on_its_rung_with_its_debt() -> None:
    panel = ladder(LONG, TWO, ANSWER, "USDC")
    (trace,) = panel.figure["data"]
    assert trace["orientation"] == "h"
    assert sum(trace["x"]) == pytest.approx(2_150)
    at = [height for height, debt in zip(trace["y"], trace["x"], strict=True) if debt]
    assert at == pytest.approx([25, 50], abs=1)
    assert sum(int(row[2]) for row in panel.rows) == 2
    assert "25.00 %" in panel.caption


def test_debt_at_drop__at_the_trigger__is_due_beyond_it_only() -> None:
    panel = debt_at_drop(LONG, TWO, ANSWER, "USDC")
    (trace,) = panel.figure["data"]
    due = dict(zip(trace["x"], trace["y"], strict=True))
    assert (due[25], due[25.5], due[50], due[50.5]) == (0, 1_290, 1_290, 2_150)
    assert "half of it at 25.5 %" in panel.caption
    assert panel.rows[-1] == (60, 2_150, 100)


def test_debt_at_drop__shorts__is_due_by_a_rise() -> None:
    book = Book(np.array([2_500 * DOLLAR, 2_200 * DOLLAR]), np.ones(2), np.array([5.0, 7.0]))
    (trace,) = debt_at_drop(SHORT, book, ANSWER, "WETH").figure["data"]
    due = dict(zip(trace["x"], trace["y"], strict=True))
    assert (due[10], due[10.5], due[25], due[25.5]) == (0, 7, 7, 12)


def test_debt_at_drop__no_debt__says_never_half() -> None:
    book = Book(np.array([1]), np.ones(1), np.zeros(1))
    assert "never half" in debt_at_drop(LONG, book, ANSWER, "USDC").caption


def test_hit_chance__leverage_of_four__is_the_closed_form() -> None:
    found = hit_chance(0.86, 4.0, 30, 0.9, falls=True)
    assert found == pytest.approx(0.63624, abs=1e-5)
    up = hit_chance(0.86, 4.0, 30, 0.9, falls=False)
    assert up == pytest.approx(gbm_hit(0.86 / 0.75, 30 / 365, 0.9))
    assert hit_chance(0.86, 8.0, 30, 0.9, falls=True) == 1.0


def test_passage__surface__rises_and_its_lines_join_equal_chances() -> None:
    days = np.linspace(1, 30, 30)
    panel = passage(LONG, 5.0, 0.9, days)
    surface, *lines = panel.figure["data"]
    cells = np.array(surface["z"])
    assert (np.diff(cells, axis=0) >= 0).all()
    assert (np.diff(cells, axis=1) >= 0).all()
    assert [one["name"] for one in lines] == ["chance 5%", "chance 25%", "chance 50%"]
    for share, one in zip((0.05, 0.25, 0.5), lines, strict=True):
        for day, leverage in zip(one["x"], one["y"], strict=True):
            assert hit_chance(0.86, leverage, day, 0.9, falls=True) == pytest.approx(
                share, abs=1e-4
            )


def test_passage__calm_market__has_no_line_that_nothing_reaches() -> None:
    panel = passage(LONG, 2.0, 0.1, np.array([1.0, 2.0]))
    assert len(panel.figure["data"]) == 1


def test_keeper_profits__no_gas_and_no_slippage__are_the_bonus_less_its_cut() -> None:
    found = keeper_profits(TERMS, np.array([100.0]), np.array([0.0]), lambda sold: sold, gas=0)
    # At its trigger it is repaired to 80 %: (86 - 80) / (1 - 1.01 * 0.80) of 116.28 is repaid.
    repaid = (100 - 100 / 0.86 * 0.8) / (1 - 1.01 * 0.8)
    assert found[0, 0] == pytest.approx(repaid * 0.01 * 0.9, rel=1e-6)


def test_keeper_profits__gas__is_paid_once_each() -> None:
    free, paid = (
        keeper_profits(TERMS, np.array([1e2, 1e4]), np.array([0.05]), lambda sold: sold, gas)
        for gas in (0.0, 5.0)
    )
    np.testing.assert_allclose(free - paid, 5.0)


def test_keeper_zone__profits__says_what_pays() -> None:
    profits = np.array([[-1.0, -1.0], [5.0, 7.0], [-50.0, 9.0]])
    panel = keeper_zone(np.array([10.0, 100.0, 1_000.0]), np.array([0.0, 0.1]), profits, "USDC")
    (surface,) = panel.figure["data"]
    assert surface["z"] == [[-10, -10], [5, 7], [-5, 0.9]]
    assert (surface["zmin"], surface["zmax"]) == (-10, 10)
    assert panel.rows == ((0, "100", "100", 5), (10, "100", "1,000", 9))
    assert "50% of them pay" in panel.caption
