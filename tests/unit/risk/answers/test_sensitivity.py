"""What lenders' loss hangs on: each assumption moves it the way that it must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ringfence.risk.answers.loss import LateKeepers, Lot, outcome
from ringfence.risk.answers.sensitivity import swings
from ringfence.risk.answers.tail import expected_shortfall
from ringfence.risk.prices.paths import Gbm
from ringfence.risk.rules.stepper import answers_of
from tests.support.risk_panels import ANSWER, MADE_BOOK, MARKET

PATHS = Gbm(6.0).draw(np.random.default_rng(1), 200, 48, 1_800)
LOT = Lot(MARKET, MADE_BOOK, Gbm(6.0), ANSWER, LateKeepers(2, 0.005), 1_000.0, 200, 48, 1_800)


def test_swings__wild_paths__worse_assumptions_lose_more() -> None:
    base, found = swings(LOT, PATHS)
    by = {one.name: one for one in found}
    assert set(by) == {"volatility", "keepers' delay, steps", "discount of sales", "reserve"}
    assert by["volatility"].at_low < base < by["volatility"].at_high
    assert by["keepers' delay, steps"].at_low < base < by["keepers' delay, steps"].at_high
    assert by["reserve"].at_low > base > by["reserve"].at_high


def test_swings__discount__is_what_a_run_with_it_gives() -> None:
    # A dearer sale makes keepers wait, which a rebound may reward: neither way is sure.
    _, found = swings(LOT, PATHS)
    dear = found[2]
    assert (dear.name, dear.high) == ("discount of sales", "2.5%")
    answers = answers_of(PATHS, ANSWER)
    alone = outcome(MARKET, MADE_BOOK, answers, LateKeepers(2, 0.025), LOT.reserve)
    assert dear.at_high == pytest.approx(expected_shortfall(alone.lender_loss, 0.99).value)
    assert dear.at_low != dear.at_high


@pytest.mark.parametrize(
    ("discount", "most"), [(0.96, "98.0%"), (0.98, "99.0%"), (0.999, "100.0%")]
)
def test_swings__hardly_sold_at_all__discount_stays_below_one(discount: float, most: str) -> None:
    base, found = swings(replace(LOT, keepers=LateKeepers(2, discount)), PATHS)
    assert found[2].high == most
    assert found[2].at_high == base > found[2].at_low


def test_swings__reserve__is_what_a_run_without_it_gives() -> None:
    _, found = swings(LOT, PATHS)
    lot = replace(LOT, reserve=0.0)
    alone = outcome(MARKET, MADE_BOOK, answers_of(PATHS, ANSWER), lot.keepers, 0.0)
    expected = expected_shortfall(alone.lender_loss, 0.99).value
    assert found[-1].at_low == pytest.approx(expected)
