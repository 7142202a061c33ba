from collections.abc import Callable
from math import exp, factorial, sqrt

import numpy as np
import pytest
from scipy import stats

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.clusters import GarchT, Hawkes, StudentT
from ringfence.risk.prices.paths import DAY, YEAR, Gbm, Kou, Merton, PriceModel
from ringfence.risk.prices.resample import Bootstrap
from tests.unit.risk.prices.bounds import ERRORS, apart, assert_moment, most_apart

PATHS = 40_000
DAYS = 30
YEARS = DAYS * DAY / YEAR
GBM = Gbm(0.9, 0.2)
MERTON = Merton(0.6, 60, -0.02, 0.08, 0.2)
KOU = Kou(0.6, 60, 0.4, 0.05, 0.07, 0.2)
EVERY: list[PriceModel] = [
    GBM,
    MERTON,
    KOU,
    StudentT(2.86, 0.0282),
    GarchT(0.5175, 0.107, 0.89, 3.33),
    Hawkes(0.6, 20, 0.5, 6, 0, 0.08),
    Bootstrap(np.linspace(-0.01, 0.011, 50), 12, 3_600),
]


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def ends(model: PriceModel, days: int = DAYS) -> np.ndarray:
    """Return log prices [path] after so many days, drawn in three steps."""
    return np.log(model.draw(rng(), PATHS, 3, days * DAY // 3)[:, -1])


def cumulants(model: Merton | Kou) -> list[float]:
    """Return cumulants 1 to 8 of the log price after DAYS: jumps' moments, and the diffusion's."""
    found = [model.jumps * YEARS * jump_moment(model, order) for order in range(1, 9)]
    found[0] += model.growth * YEARS
    found[1] += model.volatility**2 * YEARS
    return found


def jump_moment(model: Merton | Kou, order: int) -> float:
    if isinstance(model, Merton):
        return float(stats.norm(model.jump_mean, model.jump_sd).moment(order))
    rise, fall = model.up_mean**order, (-model.down_mean) ** order
    return factorial(order) * (model.up * rise + (1 - model.up) * fall)


@pytest.mark.parametrize("model", EVERY, ids=lambda one: type(one).__name__)
def test_draw__any_model__starts_at_one_and_stays_above_zero(model: PriceModel) -> None:
    prices = model.draw(rng(), 7, 48, 3_600)

    assert prices.shape == (7, 49)
    assert prices.dtype == np.float64
    assert (prices[:, 0] == 1.0).all()
    assert (prices > 0).all()
    assert np.unique(prices[:, -1]).size == 7


@pytest.mark.parametrize("model", EVERY, ids=lambda one: type(one).__name__)
def test_draw__same_seed__same_bytes(model: PriceModel) -> None:
    first, again, other = (model.draw(rng(seed), 5, 24, 3_600) for seed in (3, 3, 4))

    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_gbm_draw__whatever_the_step__has_the_normal_law() -> None:
    law = stats.norm((0.2 - 0.9**2 / 2) * YEARS, 0.9 * sqrt(YEARS))

    assert apart(ends(GBM), law.cdf) < most_apart(PATHS)


def test_gbm_draw__steps_of_a_path__are_independent() -> None:
    prices = np.log(GBM.draw(rng(), PATHS, 2, DAY))
    first, second = np.diff(prices, axis=1).T

    assert abs(np.corrcoef(first, second)[0, 1]) < ERRORS / sqrt(PATHS)


@pytest.mark.parametrize("model", [MERTON, KOU], ids=["merton", "kou"])
@pytest.mark.parametrize("order", [2, 4], ids=["variance", "kurtosis"])
def test_draw__jumps__has_the_exact_moment(model: Merton | Kou, order: int) -> None:
    assert_moment(ends(model), cumulants(model), order)


@pytest.mark.parametrize("model", [MERTON, KOU], ids=["merton", "kou"])
def test_draw__jumps__has_the_exact_mean(model: Merton | Kou) -> None:
    mean, variance = cumulants(model)[:2]

    assert abs(ends(model).mean() - mean) < ERRORS * sqrt(variance / PATHS)


@pytest.mark.parametrize("model", [GBM, MERTON, KOU], ids=["gbm", "merton", "kou"])
def test_draw__drift__is_the_expected_price(model: PriceModel) -> None:
    prices = np.exp(ends(model))

    assert abs(prices.mean() - exp(0.2 * YEARS)) < ERRORS * prices.std() / sqrt(PATHS)


def test_merton_draw__against_the_sum_over_jumps__has_the_exact_law() -> None:
    expected = MERTON.jumps * YEARS
    count = np.arange(60)
    means = MERTON.growth * YEARS + count * MERTON.jump_mean
    deviations = np.sqrt(MERTON.volatility**2 * YEARS + count * MERTON.jump_sd**2)
    weights = stats.poisson.pmf(count, expected)

    def cdf(values: np.ndarray) -> np.ndarray:
        return stats.norm.cdf((values[:, None] - means) / deviations) @ weights

    assert apart(ends(MERTON), cdf) < most_apart(PATHS)


def test_kou_draw__jumps_alone__has_the_share_and_sizes_of_its_jumps() -> None:
    rare = Kou(0.0, 1.0, 0.4, 0.05, 0.07)
    returns = np.diff(np.log(rare.draw(rng(), PATHS, 30, DAY)), axis=1)
    jumps = (returns - rare.growth * DAY / YEAR).ravel()
    jumps = jumps[np.abs(jumps) > 1e-9]
    up, down = jumps[jumps > 0], -jumps[jumps < 0]

    # a step with two jumps is once in 2 / expected: 0.14 % of those with one
    slack = DAY / YEAR / 2
    expected = PATHS * 30 * DAY / YEAR
    assert abs(len(jumps) - expected) < ERRORS * sqrt(expected) + slack * expected
    assert abs(len(up) / len(jumps) - 0.4) < ERRORS * sqrt(0.24 / len(jumps)) + slack
    assert apart(up, stats.expon(scale=0.05).cdf) < most_apart(len(up)) + slack
    assert apart(down, stats.expon(scale=0.07).cdf) < most_apart(len(down)) + slack


def test_draw__same_seed_other_volatility__shares_the_normals() -> None:
    low, high = (np.log(Gbm(volatility).draw(rng(), 3, 10, DAY)) for volatility in (0.5, 1.0))
    years = np.arange(11) * DAY / YEAR

    assert np.allclose((low + 0.125 * years) * 2, high + 0.5 * years, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Gbm(-0.1), "volatility is -0.1"),
        (lambda: Gbm(float("nan")), "volatility is nan"),
        (lambda: Gbm(0.9, float("inf")), "drift is inf"),
        (lambda: Merton(0.9, -1, 0, 0.1), "jumps is -1"),
        (lambda: Merton(0.9, 1, 0, -0.1), "jump_sd is -0.1"),
        (lambda: Kou(0.9, 1, 1.5, 0.1, 0.1), "up is 1.5; it is a probability"),
        (lambda: Kou(0.9, 1, 0.5, 1.0, 0.1), "up_mean is 1.0; at 1 or more"),
        (lambda: Kou(0.9, 1, 0.5, 0.1, 0.0), "down_mean is 0.0"),
    ],
)
def test_model__impossible_parameter__is_refused_by_name(
    build: Callable[[], object], words: str
) -> None:
    with pytest.raises(RiskError, match=words.replace(".", r"\.")):
        build()
