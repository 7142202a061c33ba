"""The kinked rate: contract and mirror agree to the unit, and the curve is the curve."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringfence.evm import Engine, Reverted, load
from ringfence.math.rates import MAX_RATE, WAD, KinkedRate, RateError, utilisation_down

# Widths a vault can reach, and wider up to what the model promises.
amounts = st.one_of(st.integers(0, 2**20), st.integers(0, 2**112), st.integers(0, 2**128 - 1))
rates = st.one_of(st.integers(0, MAX_RATE // 4), st.integers(0, 2 * MAX_RATE))
kinks = st.one_of(st.integers(0, WAD + 1), st.integers(WAD // 2, WAD - 1))


@st.composite
def curves(draw: st.DrawFn) -> KinkedRate:
    kink = draw(st.integers(1, WAD - 1))
    base = draw(st.integers(0, MAX_RATE))
    slope_1 = draw(st.integers(0, (MAX_RATE - base) * WAD // kink))
    left = MAX_RATE - base - slope_1 * kink // WAD
    slope_2 = draw(st.integers(0, left * WAD // (WAD - kink)))
    return KinkedRate(base, kink, slope_1, slope_2)


@given(base=rates, kink=kinks, slope_1=rates, slope_2=rates, cash=amounts, debt=amounts)
def test_borrow_rate__any_curve_and_market__contract_and_mirror_agree(
    chain: Engine, base: int, kink: int, slope_1: int, slope_2: int, cash: int, debt: int
) -> None:
    mirrored: KinkedRate | str
    try:
        mirrored = KinkedRate(base, kink, slope_1, slope_2)
    except RateError as error:
        mirrored = error.reason
    mark = chain.snapshot()
    outcome: tuple[int, int] | str
    try:
        model = chain.deploy(load("KinkedRate"), base, kink, slope_1, slope_2)
        outcome = model.rate_at_kink(), model.borrow_rate(cash, debt)
    except Reverted as error:
        outcome = error.reason
    chain.restore(mark)

    if isinstance(mirrored, KinkedRate):
        assert outcome == (mirrored.rate_at_kink, mirrored.borrow_rate(cash, debt))
    else:
        assert outcome == mirrored


@given(curve=curves(), cash=amounts, debt=amounts)
def test_borrow_rate__any_kept_curve__contract_and_mirror_agree(
    chain: Engine, curve: KinkedRate, cash: int, debt: int
) -> None:
    mark = chain.snapshot()
    model = chain.deploy(load("KinkedRate"), curve.base, curve.kink, curve.slope_1, curve.slope_2)
    rate = model.borrow_rate(cash, debt)
    chain.restore(mark)

    assert rate == curve.borrow_rate(cash, debt)


@given(curve=curves(), cash=amounts, debt=amounts, more=st.integers(0, 2**100))
def test_borrow_rate__more_lent_out__never_falls(
    curve: KinkedRate, cash: int, debt: int, more: int
) -> None:
    rate = curve.borrow_rate(cash, debt)

    assert curve.base <= rate <= MAX_RATE
    assert rate <= curve.borrow_rate(cash, debt + more)
    assert rate >= curve.borrow_rate(cash + more, debt)


@given(cash=amounts, debt=amounts)
def test_utilisation_down__any_market__rounds_down_within_the_whole(cash: int, debt: int) -> None:
    utilisation = utilisation_down(cash, debt)

    assert 0 <= utilisation <= WAD
    assert utilisation * (cash + debt) <= debt * WAD
    assert debt * WAD < (utilisation + 1) * (cash + debt) or cash + debt == 0
