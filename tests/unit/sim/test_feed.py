"""When a feed answers anew."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from ringfence.sim.feed import answer, answers, is_due
from ringfence.sim.scenario import FeedTable

FEED = FeedTable(deviation=Decimal("0.005"), heartbeat=3_600)


@pytest.mark.parametrize(
    ("price", "elapsed", "due"),
    [
        (Fraction("1005"), 0, True),
        (Fraction("1004.999999"), 0, False),
        (Fraction("995"), 0, True),
        (Fraction("995.000001"), 3_599, False),
        (Fraction("1000"), 3_600, True),
    ],
)
def test_is_due__at_the_deviation_or_the_heartbeat__is_true(
    price: Fraction, elapsed: int, due: bool
) -> None:
    assert is_due(FEED, price, Fraction(1_000), elapsed) is due


def test_answer__any_price__has_8_decimals() -> None:
    assert answer(Fraction("2000.123456789")) == 200_012_345_679


def test_answers__deviation_is_from_the_last_answer__not_from_the_first() -> None:
    found = answers(FEED, [1_000.0, 1_004.0, 1_005.0, 1_009.0, 1_010.5], 300)
    assert [one / 10**8 for one in found] == [1_000, 1_000, 1_005, 1_005, 1_010.5]
