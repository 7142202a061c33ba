from math import sqrt

import numpy as np
import pytest

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.resample import Bootstrap, Given
from tests.unit.risk.prices.bounds import ERRORS

RETURNS = np.arange(10) * 1e-3
PRICES = np.array([100.0, 110.0, 121.0, 90.0, 99.0])


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def drawn(model: Bootstrap, paths: int, steps: int) -> np.ndarray:
    """Return which of RETURNS each step has."""
    returns = np.diff(np.log(model.draw(rng(), paths, steps, 60)), axis=1)
    return np.rint(returns * 1e3).astype(int)


def test_bootstrap_draw__inside_a_block__returns_follow_one_another() -> None:
    which = drawn(Bootstrap(RETURNS, 4, 60), 200, 10)
    follows = (which[:, 1:] - which[:, :-1]) % 10 == 1

    assert follows[:, [0, 1, 2, 4, 5, 6, 8]].all()
    assert not follows[:, 3].all()


def test_bootstrap_draw__every_return__is_as_likely() -> None:
    which = drawn(Bootstrap(RETURNS, 1, 60), 4_000, 10)
    shares = np.bincount(which.ravel(), minlength=10) / which.size

    assert np.abs(shares - 0.1).max() < ERRORS * sqrt(0.09 / which.size)


def test_bootstrap_draw__first_and_last_return_in_blocks__are_as_likely_as_others() -> None:
    which = drawn(Bootstrap(RETURNS, 5, 60), 8_000, 5)
    shares = np.bincount(which[:, 2], minlength=10) / len(which)

    assert np.abs(shares - 0.1).max() < ERRORS * sqrt(0.09 / len(which))


def test_bootstrap_draw__longer_step__joins_returns() -> None:
    model = Bootstrap(RETURNS, 3, 60)
    single, joined = model.draw(rng(), 4, 12, 60), model.draw(rng(), 4, 3, 240)

    assert np.allclose(joined, single[:, ::4], rtol=1e-14)


def test_given_draw__every_path__is_the_prices_from_one() -> None:
    paths = Given(PRICES, 60).draw(rng(), 3, 4, 60)

    assert (paths == PRICES / 100).all()
    assert paths.shape == (3, 5)


def test_given_draw__longer_step__takes_every_nth() -> None:
    assert Given(PRICES, 60).draw(rng(), 1, 2, 120).tolist() == [[1.0, 1.21, 0.99]]


def test_given_draw__more_steps_than_prices__is_refused() -> None:
    with pytest.raises(RiskError, match="5 steps of 60 s were asked for, the data has 4"):
        Given(PRICES, 60).draw(rng(), 1, 5, 60)


@pytest.mark.parametrize("step", [0, 30, 90])
@pytest.mark.parametrize(
    "model", [Given(PRICES, 60), Bootstrap(RETURNS, 2, 60)], ids=["given", "bootstrap"]
)
def test_draw__step_not_a_multiple_of_the_datas__is_refused(
    model: Given | Bootstrap, step: int
) -> None:
    with pytest.raises(RiskError, match=f"a step of {step} s was asked for, the data's is 60 s"):
        model.draw(rng(), 1, 2, step)


@pytest.mark.parametrize("block", [0, 11])
def test_bootstrap__block_out_of_range__is_refused(block: int) -> None:
    with pytest.raises(RiskError, match=f"block is {block}; it must be from 1 to the 10"):
        Bootstrap(RETURNS, block, 60)


def test_bootstrap__return_not_finite__is_refused() -> None:
    with pytest.raises(RiskError, match="a return is not finite"):
        Bootstrap(np.array([0.1, np.nan]), 1, 60)


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf])
def test_given__price_not_above_zero__is_refused(price: float) -> None:
    with pytest.raises(RiskError, match="a price is not finite and above 0"):
        Given(np.array([1.0, price]), 60)
