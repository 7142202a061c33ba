"""Root prices and ticks, against what v3-core's own constants say."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.math import uniswap as maths

roots = st.integers(maths.MIN_SQRT_PRICE, maths.MAX_SQRT_PRICE - 1)


@given(st.integers(1, 2**112), st.integers(1, 2**112))
def test_sqrt_price__any_amounts__largest_root_at_or_below(amount_0: int, amount_1: int) -> None:
    try:
        root = maths.sqrt_price(amount_0, amount_1)
    except ValueError:
        ratio = Fraction(amount_1, amount_0)
        assert not maths.price(maths.MIN_SQRT_PRICE) <= ratio < maths.price(maths.MAX_SQRT_PRICE)
        return
    assert maths.price(root) <= Fraction(amount_1, amount_0) < maths.price(root + 1)


@pytest.mark.parametrize("amounts", [(0, 1), (1, 0), (-1, 1), (1, 2**130), (2**130, 1)])
def test_sqrt_price__no_pool_can_have_it__value_error(amounts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"amounts are|root price"):
        maths.sqrt_price(*amounts)


def test_sqrt_price_at_tick__ends__the_published_constants() -> None:
    assert maths.sqrt_price_at_tick(maths.MIN_TICK) == maths.MIN_SQRT_PRICE
    assert maths.sqrt_price_at_tick(maths.MAX_TICK) == maths.MAX_SQRT_PRICE


@pytest.mark.parametrize("tick", [maths.MIN_TICK - 1, maths.MAX_TICK + 1])
def test_sqrt_price_at_tick__outside__value_error(tick: int) -> None:
    with pytest.raises(ValueError, match="is outside"):
        maths.sqrt_price_at_tick(tick)


@given(roots)
def test_tick_at_sqrt_price__any_root__encloses_it(root: int) -> None:
    tick = maths.tick_at_sqrt_price(root)
    assert maths.sqrt_price_at_tick(tick) <= root < maths.sqrt_price_at_tick(tick + 1)


@pytest.mark.parametrize("root", [maths.MIN_SQRT_PRICE - 1, maths.MAX_SQRT_PRICE])
def test_tick_at_sqrt_price__outside__value_error(root: int) -> None:
    with pytest.raises(ValueError, match="is outside"):
        maths.tick_at_sqrt_price(root)


@given(
    st.integers(2**40, 2**150),
    st.sampled_from([*maths.TICK_SPACINGS.values()]),
    st.integers(0, 10**6),
)
def test_range_around__any_price__usable_and_around_it(root: int, spacing: int, extra: int) -> None:
    lower, upper = maths.range_around(root, spacing, 1 + Fraction(extra, 10**4))
    assert lower < upper
    assert lower % spacing == upper % spacing == 0
    assert lower >= maths.MIN_TICK
    assert upper <= maths.MAX_TICK
    assert maths.sqrt_price_at_tick(lower) <= root < maths.sqrt_price_at_tick(upper)


def test_range_around__narrower_than_nothing__value_error() -> None:
    with pytest.raises(ValueError, match="at least 1 wide"):
        maths.range_around(2**96, 10, Fraction(1, 2))
