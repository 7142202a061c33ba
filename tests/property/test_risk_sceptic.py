"""What a sceptical quant asks of the risk engine, where no other test of it answers.

Elsewhere: closed forms in test_passage, coverage of intervals in test_tail, conservation at every
step in test_coupled, deleted and permuted slots in test_risk_cross.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from ringfence.evm import Engine, Reverted
from ringfence.math.fixed_point import WAD
from ringfence.risk.answers.allocate import Slot, scenarios
from ringfence.risk.answers.cross import CrossMarket
from ringfence.risk.answers.loss import LateKeepers, outcome
from ringfence.risk.answers.tail import expected_shortfall
from ringfence.risk.prices.joint import JointPrices
from ringfence.risk.prices.paths import Gbm
from ringfence.risk.rules.book import Book, BookLaw, random_book
from ringfence.risk.rules.liquidations import Terms
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.rules.stepper import answers_of
from tests.support.broken import Break, load_broken
from tests.support.risk import DOLLAR, risk_market
from tests.support.risk_vault import assert_turns_at_the_trigger

FLIPS = {
    "debt, down": Break(
        "modules/health.vy",
        "unsafe_div(unsafe_add(unsafe_mul(scaled_debt, debt_index), fixed_point.WAD_UP), "
        "fixed_point.WAD)",
        "unsafe_div(unsafe_mul(scaled_debt, debt_index), fixed_point.WAD)",
    ),
    "value, up": Break(
        "modules/health.vy",
        "return unsafe_div(unsafe_mul(collateral, price), fixed_point.PRICE_SCALE)",
        "return fixed_point._div_up(unsafe_mul(collateral, price), fixed_point.PRICE_SCALE)",
    ),
}
"""Roundings of the vault, each turned in the trader's favour by one unit at most."""

FIRST, LONG = 2_000 * DOLLAR, risk_market()
LAW = BookLaw(1.0, least_ltv=0.5, most_ltv=0.7)
VENUES = [
    CrossMarket(Terms(0.86, 0.80, 0.01, 1.077, 0.10, 0.0)),
    CrossMarket(Terms(0.80, 0.70, 0.02, 1.10, 0.05, 0.0), falls=False),
]
PRICES = JointPrices([0, 1], Gbm(4.0), 0.5, 25, 48, 3_600).draw(default_rng(7))


@pytest.mark.parametrize("flip", FLIPS)
def test_trigger__a_rounding_of_the_vault_flipped__agreement_fails(
    engine: Engine, flip: str
) -> None:
    """The agreement test is alive: one unit of rounding in the bytecode breaks it."""
    broken = load_broken("MarginVault", FLIPS[flip])
    with pytest.raises(Reverted, match=r"^position is healthy$"):
        assert_turns_at_the_trigger(engine, "two decimals short", 40, broken)


def shortfall(market: RiskMarket, book: Book, volatility: float, delay: int) -> float:
    """Return the ES 95 of lenders' loss over common random numbers, without any reserve."""
    answers = answers_of(Gbm(volatility).draw(default_rng(2), 400, 240, 3_600), FIRST)
    lost = outcome(market, book, answers, LateKeepers(delay), 0.0).lender_loss
    return expected_shortfall(lost, 0.95).value


def rises(found: list[float]) -> bool:
    return found == sorted(found) and 0 < found[-2] < found[-1]


def test_shortfall__common_random_numbers__rises_with_delay() -> None:
    book = random_book(default_rng(1), LONG, 500, FIRST, LAW)
    assert rises([shortfall(LONG, book, 2.0, delay) for delay in (0, 1, 3, 6, 12)])


def test_shortfall__common_random_numbers__rises_with_volatility() -> None:
    book = random_book(default_rng(1), LONG, 500, FIRST, LAW)
    assert rises([shortfall(LONG, book, volatility, 3) for volatility in (0.5, 1.0, 2.0, 3.0)])


def test_shortfall__common_random_numbers__rises_with_the_liquidation_ltv() -> None:
    found = []
    for percent in (82, 84, 86, 88, 90):
        risk = replace(LONG.risk, liquidation_ltv=percent * WAD // 100, beta_max=105 * WAD // 100)
        market = replace(LONG, risk=risk)
        book = random_book(default_rng(1), market, 500, FIRST, LAW)
        found.append(shortfall(market, book, 2.0, 3))
    assert rises(found)


slots = st.builds(Slot, st.integers(0, 1), st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0]))


@given(chosen=st.lists(slots, min_size=1, max_size=6), seed=st.integers(0, 2**32))
def test_scenarios__other_slots_deleted_or_permuted__same_bytes(
    chosen: list[Slot], seed: int
) -> None:
    """ISO-1, of what an account's capital is split over."""
    rng, keepers = default_rng(seed), LateKeepers(1, 0.005)
    whole = scenarios(chosen, VENUES, PRICES, keepers)
    order = rng.permutation(len(chosen))[: rng.integers(1, len(chosen), endpoint=True)]
    part = scenarios([chosen[one] for one in order], VENUES, PRICES, keepers)
    for name in ("equity", "exposure"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[:, order]), "ISO-1"
