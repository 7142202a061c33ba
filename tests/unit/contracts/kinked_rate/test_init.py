"""KinkedRate's constructor: what it keeps, and what it and its mirror refuse."""

from __future__ import annotations

import pytest

from ringfence.evm import Engine, Reverted, load
from ringfence.math.rates import MAX_RATE, WAD, KinkedRate, RateError

HALF = WAD // 2


def test_init__sound_curve__is_kept(engine: Engine) -> None:
    curve = KinkedRate(1, 8 * WAD // 10, 10**9, 6 * 10**10)
    model = engine.deploy(load("KinkedRate"), 1, 8 * WAD // 10, 10**9, 6 * 10**10)

    assert model.base() == curve.base
    assert model.kink() == curve.kink
    assert model.slope_1() == curve.slope_1
    assert model.slope_2() == curve.slope_2
    assert model.rate_at_kink() == curve.rate_at_kink == 1 + 8 * 10**8


@pytest.mark.parametrize(
    "curve",
    [
        pytest.param((MAX_RATE, HALF, 0, 0), id="base alone at the maximum"),
        pytest.param((0, 1, 0, MAX_RATE), id="kink at its least"),
        pytest.param((0, WAD - 1, MAX_RATE, 0), id="kink at its greatest"),
        pytest.param((0, HALF, MAX_RATE, MAX_RATE), id="both slopes"),
    ],
)
def test_init__curve_at_its_limits__is_kept(engine: Engine, curve: tuple[int, ...]) -> None:
    model = engine.deploy(load("KinkedRate"), *curve)

    assert model.borrow_rate(0, 1) == KinkedRate(*curve).borrow_rate(0, 1) <= MAX_RATE


@pytest.mark.parametrize(
    ("curve", "reason"),
    [
        ((0, 0, 0, 0), "kink is out of range"),
        ((0, WAD, 0, 0), "kink is out of range"),
        ((0, 2**256 - 1, 0, 0), "kink is out of range"),
        ((MAX_RATE + 1, HALF, 0, 0), "rate is too high"),
        ((2**256 - 1, HALF, 0, 0), "rate is too high"),
        ((MAX_RATE, HALF, 2, 0), "rate is too high"),
        ((MAX_RATE, HALF, 0, 2), "rate is too high"),
        ((0, HALF, 2**128 - 1, 0), "rate is too high"),
        ((0, HALF, 2**128, 0), "rate is too high"),
        ((0, HALF, 2**256 - 1, 0), "rate is too high"),
        ((0, HALF, 0, 2**128 - 1), "rate is too high"),
        ((0, HALF, 0, 2**256 - 1), "rate is too high"),
        ((0, 1, 2**128, 0), "rate is too high"),
        # Products and sums that would come out small past 256 bits.
        ((0, 2, 2**255, 0), "rate is too high"),
        ((0, WAD - 2, 0, 2**255), "rate is too high"),
        ((2**256 - 1, HALF, 2, 0), "rate is too high"),
        ((2**256 - 1, HALF, 0, 2), "rate is too high"),
    ],
)
def test_init__curve_beyond_its_limits__contract_and_mirror_refuse(
    engine: Engine, curve: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(Reverted, match=f"^{reason}$"):
        engine.deploy(load("KinkedRate"), *curve)
    with pytest.raises(RateError, match=f"^{reason}: "):
        KinkedRate(*curve)


def test_init__mirror_given_a_negative_rate__refuses() -> None:
    with pytest.raises(RateError, match=r"^rate is negative: "):
        KinkedRate(-1, HALF, 0, 0)
