"""KinkedRate.borrow_rate: both lines, their ends, and what a call costs."""

from __future__ import annotations

import pytest

from ringfence.evm import Contract, Engine, Reverted, compile_source, load
from ringfence.math.rates import MAX_RATE, SECONDS_PER_YEAR, WAD, KinkedRate

YEAR = SECONDS_PER_YEAR
CURVE = KinkedRate(
    base=WAD // 100 // YEAR,
    kink=8 * WAD // 10,
    slope_1=5 * WAD // 100 // YEAR,
    slope_2=2 * WAD // YEAR,
)

CALLER = """
# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
interface RateModel:
    def borrow_rate(cash: uint256, debt: uint256) -> uint256: view

@external
def gas_of_call(model: RateModel, cash: uint256, debt: uint256) -> uint256:
    before: uint256 = msg.gas
    rate: uint256 = staticcall model.borrow_rate(cash, debt)
    return before - msg.gas
"""


@pytest.fixture
def model(engine: Engine) -> Contract:
    return engine.deploy(load("KinkedRate"), CURVE.base, CURVE.kink, CURVE.slope_1, CURVE.slope_2)


@pytest.mark.parametrize(
    ("cash", "debt", "percent_a_year"),
    [
        (0, 0, 1),
        (10**12, 0, 1),
        (60, 40, 3),
        (20, 80, 5),
        (10, 90, 25),
        (0, 1, 45),
        (0, 2**104, 45),
    ],
)
def test_borrow_rate__utilisation__lies_on_the_curve(
    model: Contract, cash: int, debt: int, percent_a_year: int
) -> None:
    rate = model.borrow_rate(cash, debt)

    assert rate == CURVE.borrow_rate(cash, debt)
    assert rate * YEAR / WAD == pytest.approx(percent_a_year / 100, rel=1e-6)


def test_borrow_rate__one_unit_past_the_kink__climbs_the_steeper_line(model: Contract) -> None:
    unit = 10**15
    at_kink = model.borrow_rate(2 * unit, 8 * unit)

    assert at_kink == model.rate_at_kink() == CURVE.rate_at_kink
    assert model.borrow_rate(2 * unit + 10**10, 8 * unit) < at_kink
    assert model.borrow_rate(2 * unit - 10**10, 8 * unit) > at_kink


def test_borrow_rate__wider_than_any_market__reverts_or_answers_exactly(model: Contract) -> None:
    wide = 2**128 - 1
    assert model.borrow_rate(wide, wide) == CURVE.borrow_rate(wide, wide)

    with pytest.raises(Reverted):
        model.borrow_rate(0, 2**256 - 1)


@pytest.mark.parametrize("cash", [0, 1, 10**24])
def test_borrow_rate__nothing_lent_out__is_the_base_on_any_slope(engine: Engine, cash: int) -> None:
    model = engine.deploy(load("KinkedRate"), 7, 1, (MAX_RATE - 7) * WAD, 0)

    assert model.borrow_rate(cash, 0) == 7
    assert model.borrow_rate(0, 1) == MAX_RATE


def test_borrow_rate__steepest_curve__never_passes_the_maximum(engine: Engine) -> None:
    steep = KinkedRate(0, WAD - 1, MAX_RATE, 0)
    model = engine.deploy(load("KinkedRate"), 0, WAD - 1, MAX_RATE, 0)

    assert model.borrow_rate(0, 1) == steep.borrow_rate(0, 1) <= MAX_RATE


@pytest.mark.parametrize(("cash", "debt"), [(0, 0), (60, 40), (10, 90)])
def test_borrow_rate__account_cold__costs_no_more_than_a_stateless_model(
    engine: Engine, model: Contract, cash: int, debt: int
) -> None:
    caller = engine.deploy(compile_source(CALLER, "RateCaller"))

    # 2,600 of it for reaching the account; the peers' stateless model takes 3,650.
    gas = caller.gas_of_call.transact(model, cash * 10**18, debt * 10**18).value
    assert 2_600 < gas <= 3_400
