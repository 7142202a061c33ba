"""Price maths: the contract's module and the mirror agree to the unit, past 256 bits too."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringfence.evm import Contract, Engine, Reverted, compile_source
from ringfence.math.oracles import (
    MAX_ANSWER,
    MAX_TOLERANCE,
    MAX_UINT256,
    PriceError,
    fits,
    is_near,
    price_down,
    scale_factor,
)

HARNESS = """
# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
from contracts.oracles import price_math

@pure
@external
def scale_factor(numerator: uint256, denominator: uint256) -> uint256:
    return price_math._scale_factor(numerator, denominator)

@pure
@external
def price_down(scale: uint256, base: uint256, quote: uint256) -> uint256:
    return price_math._price_down(scale, base, quote)

@pure
@external
def fits(scale: uint256, base: uint256, quote: uint256) -> bool:
    return price_math._fits(scale, base, quote)

@pure
@external
def require_near(price: uint256, reference: uint256, tolerance: uint256):
    price_math._require_near(price, reference, tolerance)
"""

scales = st.integers(0, 77).map(lambda exponent: int(10**exponent))
answers = st.one_of(st.integers(1, 10**12), st.integers(1, MAX_ANSWER))
prices = st.one_of(st.integers(0, 2**96), st.integers(0, MAX_UINT256))


@pytest.fixture(scope="module")
def module(chain: Engine) -> Contract:
    return chain.deploy(compile_source(HARNESS, "PriceMaths"))


@given(numerator=st.integers(0, 1_000), denominator=st.integers(0, 1_000))
def test_scale_factor__any_decimals__contract_and_mirror_agree(
    module: Contract, numerator: int, denominator: int
) -> None:
    expected: int | str
    try:
        expected = scale_factor(numerator, denominator)
    except PriceError as error:
        expected = error.reason
    actual: int | str
    try:
        actual = module.scale_factor(numerator, denominator)
    except Reverted as error:
        actual = error.reason
    assert actual == expected


@pytest.mark.parametrize("exponent", [0, 77])
def test_scale_factor__at_its_limits__is_a_power_of_ten(module: Contract, exponent: int) -> None:
    down = max(36 - exponent, 0)
    up = max(exponent - 36, 0)

    assert module.scale_factor(up, down) == scale_factor(up, down) == 10**exponent
    with pytest.raises(Reverted, match=r"^scale is out of range$"):
        module.scale_factor(*((up, down + 1) if exponent == 0 else (up + 1, down)))


@given(scale=scales, base_1=answers, base_2=answers, quote_1=answers, quote_2=answers)
def test_price_down__whatever_fits__contract_and_mirror_agree(
    module: Contract, scale: int, base_1: int, base_2: int, quote_1: int, quote_2: int
) -> None:
    base, quote = base_1 * base_2, quote_1 * quote_2
    fit = fits(scale, base, quote)
    assert module.fits(scale, base, quote) == fit
    assume(fit)

    price = price_down(scale, base, quote)
    assert price <= MAX_UINT256
    assert module.price_down(scale, base, quote) == price


@given(scale=scales, base=answers, quote=answers)
def test_fits__price_below_half_the_width__is_never_turned_down(
    scale: int, base: int, quote: int
) -> None:
    assume(price_down(scale, base, quote) < 2**255)

    assert fits(scale, base, quote)


@pytest.mark.parametrize(("base", "fit"), [(10**8 - 1, True), (10**8, False)])
def test_fits__greatest_scale__price_of_one_is_turned_down(
    module: Contract, base: int, fit: bool
) -> None:
    assert module.fits(10**77, base, 10**8) is fits(10**77, base, 10**8) is fit


@given(price=prices, reference=prices, tolerance=st.integers(0, MAX_TOLERANCE + 2))
def test_require_near__any_price__contract_and_mirror_agree(
    module: Contract, price: int, reference: int, tolerance: int
) -> None:
    expected: str | None
    try:
        expected = None if is_near(price, reference, tolerance) else "price is off the reference"
    except PriceError as error:
        expected = error.reason
    reason: str | None = None
    try:
        module.require_near(price, reference, tolerance)
    except Reverted as error:
        reason = error.reason
    assert reason == expected


@given(reference=st.integers(0, 2**200), tolerance=st.integers(0, MAX_TOLERANCE))
def test_require_near__at_the_tolerance__is_near_and_beyond_not(
    module: Contract, reference: int, tolerance: int
) -> None:
    edge = reference * tolerance // 10**18

    module.require_near(reference + edge, reference, tolerance)
    module.require_near(reference - edge, reference, tolerance)
    with pytest.raises(Reverted, match=r"^price is off the reference$"):
        module.require_near(reference + edge + 1, reference, tolerance)
