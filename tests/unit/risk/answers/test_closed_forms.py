"""SmartLTV against its own contract's tests, and the whale against the pool it is sold into."""

from __future__ import annotations

import numpy as np
import pytest

from ringfence.risk.answers.closed_forms import one_whale, smart_level, smart_ltv
from ringfence.risk.answers.depth import Depth
from ringfence.risk.errors import RiskError


@pytest.mark.parametrize(
    ("given", "ltv"),
    [
        # B.Protocol's smart-ltv: test/unit/core/SmartLTV.t.sol, test/SmartLTV.js
        ((3, 0.1, 1_000_000, 200_000, 0.05), 0.82444657),
        ((0.007, 21.8, 100_000, 700_000, 0.05), 0.617816629358139653),
        ((4.9, 9.99, 10_000_000, 10_000_000, 0.19), 0.0),
    ],
)
def test_smart_ltv__its_contracts_tests__their_figures(
    given: tuple[float, float, float, float, float], ltv: float
) -> None:
    assert smart_ltv(*given) == pytest.approx(ltv, abs=1e-8)


def test_smart_ltv__nothing_can_be_sold__zero() -> None:
    assert smart_ltv(3, 0.05, 0, 200_000, 0.05) == 0


@pytest.mark.parametrize("cap", [0.0, -1.0])
def test_smart_ltv__no_cap__says_what_to_pass(cap: float) -> None:
    with pytest.raises(RiskError, match="pass a cap above 0"):
        smart_ltv(3, 0.05, 1, cap, 0.05)


def test_smart_level__of_a_level__is_that_level() -> None:
    ltv = smart_ltv(1.7, 0.05, 3e6, 18e6, 0.02)
    assert smart_level(ltv, 0.05, 3e6, 18e6, 0.02) == pytest.approx(1.7, rel=1e-12)


def test_one_whale__all_of_its_collateral_sold__brings_in_cap_and_bonus() -> None:
    depth, cap, bonus = Depth(90e6, fee=0.003), 18e6, 0.02
    worth = cap / one_whale(depth, cap, bonus)
    paid = worth * (1 - float(depth.discount(np.array(worth))))
    assert paid == pytest.approx(cap * (1 + bonus), rel=1e-12)


def test_one_whale__more_than_the_pool_has__zero() -> None:
    assert one_whale(Depth(90e6), 90e6, 0.0) == 0
