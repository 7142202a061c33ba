from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.clusters import GarchT, Hawkes, StudentT
from ringfence.risk.prices.paths import DAY, YEAR, Merton
from tests.unit.risk.prices.bounds import ERRORS, apart, most_apart

PATHS = 20_000
NU, SCALE = 2.86, 0.0282
GARCH = GarchT(0.5175, 0.107, 0.890, 3.33, 0.1, 26.4)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("step", [900, 3_600, DAY])
def test_student_t_draw__a_whole_day__has_the_fitted_law_at_any_step(step: int) -> None:
    days = StudentT(NU, SCALE, 0.01).draw(rng(), PATHS, DAY // step, step)[:, -1]

    assert apart(np.log(days), stats.t(NU, 0.01, SCALE).cdf) < most_apart(PATHS)


def test_student_t_draw__one_step_of_a_day__has_the_law_scaled() -> None:
    hours = StudentT(NU, SCALE).draw(rng(), PATHS, 24, 3_600)[:, 1]

    assert apart(np.log(hours), stats.t(NU, 0, SCALE / sqrt(24)).cdf) < most_apart(PATHS)


def test_student_t_draw__steps_of_two_days__are_sums_of_two() -> None:
    model = StudentT(NU, SCALE)
    daily = model.draw(rng(), 50, 6, DAY)
    joined = model.draw(rng(), 50, 3, 2 * DAY)

    assert np.allclose(joined, daily[:, ::2], rtol=1e-14)


def test_student_t_draw__tail__is_as_heavy_as_stated() -> None:
    days = np.log(StudentT(NU, SCALE).draw(rng(), PATHS, 10, DAY))
    share = float((np.diff(days, axis=1) < -5 * SCALE).mean())
    exact = stats.t(NU).cdf(-5)

    assert abs(share - exact) < ERRORS * sqrt(exact / (10 * PATHS))
    assert exact > 1_000 * stats.norm.cdf(-5)


def test_student_t_draw__days__are_uncorrelated_in_size() -> None:
    sizes = np.abs(np.diff(np.log(StudentT(NU, SCALE).draw(rng(), PATHS, 2, DAY)), axis=1))

    assert abs(stats.spearmanr(*sizes.T).statistic) < ERRORS / sqrt(PATHS)


def test_draw__last_day_in_part__is_cut() -> None:
    whole = StudentT(NU, SCALE).draw(rng(), 5, 48, 3_600)
    part = StudentT(NU, SCALE).draw(rng(), 5, 30, 3_600)

    assert part.shape == (5, 31)
    assert part.tobytes() == np.ascontiguousarray(whole[:, :31]).tobytes()


def residuals(model: GarchT, returns: np.ndarray) -> np.ndarray:
    """Return daily log returns' standardised shocks by the textbook's recursion, one path."""
    variance, found = model.first_variance, []
    for value in returns * 100:
        shock = value - model.drift
        found.append(shock / sqrt(variance))
        variance = model.omega + model.alpha * shock**2 + model.beta * variance
    return np.array(found)


@pytest.mark.parametrize("step", [3_600, DAY])
def test_garch_t_draw__shocks_by_the_recursion__are_independent_student_t(step: int) -> None:
    prices = GARCH.draw(rng(), 500, 40 * DAY // step, step)[:, :: DAY // step]
    shocks = np.array([residuals(GARCH, path) for path in np.diff(np.log(prices), axis=1)])
    law = stats.t(GARCH.nu, scale=sqrt((GARCH.nu - 2) / GARCH.nu))

    assert apart(shocks.ravel(), law.cdf) < most_apart(shocks.size)
    rank = stats.spearmanr(np.abs(shocks[:, :-1]).ravel(), np.abs(shocks[:, 1:]).ravel())
    assert abs(rank.statistic) < ERRORS / sqrt(shocks[:, 1:].size)


def test_garch_t_draw__no_first_variance__starts_at_the_long_run() -> None:
    assert GarchT(0.5, 0.1, 0.8, 4).first_variance == pytest.approx(5.0)
    assert GARCH.first_variance == 26.4


def test_garch_t_draw__volatility__clusters() -> None:
    sizes = np.abs(np.diff(np.log(GarchT(1, 0.3, 0.6, 5).draw(rng(), 2_000, 30, DAY)), axis=1))
    rank = stats.spearmanr(sizes[:, :-1].ravel(), sizes[:, 1:].ravel()).statistic

    assert rank > ERRORS / sqrt(sizes[:, 1:].size)


@pytest.mark.parametrize("days", [0.1, 0.5, 30])
def test_hawkes_jump_cells__number__is_the_expected_at_every_age(days: float) -> None:
    model = Hawkes(0.6, 600, 0.6, 6, 0, 0.08)
    steps = int(days * 240)
    cells = model.jump_cells(rng(), PATHS, steps, 360)
    counts = np.bincount(cells // steps, minlength=PATHS)

    error = counts.std() / sqrt(PATHS)
    assert abs(counts.mean() - model.expected_jumps(days * DAY / YEAR)) < ERRORS * error


def test_hawkes_jump_cells__number_over_a_year__spreads_as_clusters_do() -> None:
    model = Hawkes(0.6, 50, 0.5, 2, 0, 0.08)
    counts = np.bincount(model.jump_cells(rng(), PATHS, 1, YEAR), minlength=PATHS)

    # a long run's variance is mean / (1 - branching)^2; standard error of a variance at a
    # kurtosis of 3 and a little: 1.1 % of it
    assert counts.var() / counts.mean() == pytest.approx(4.0, rel=0.06)


def test_hawkes_draw__no_branching__is_merton_without_its_compensation() -> None:
    model = Hawkes(0.6, 60, 0.0, 6, -0.02, 0.08)
    merton = Merton(0.6, 60, -0.02, 0.08)
    ends = np.log(model.draw(rng(1), PATHS, 2, 15 * DAY)[:, -1])
    others = np.log(merton.draw(rng(2), PATHS, 2, 15 * DAY)[:, -1]) - merton.growth * 30 / 365

    # two samples: each within most_apart of the law
    assert stats.ks_2samp(ends, others).statistic < 2 * most_apart(PATHS)


def test_hawkes_draw__jumps__are_put_where_their_cells_are() -> None:
    model = Hawkes(0.0, 300, 0.5, 6, -0.1, 0.0)
    generator = rng()
    returns = np.diff(np.log(model.draw(rng(), 20, 48, 3_600)), axis=1)
    generator.standard_normal((20, 48))
    cells = model.jump_cells(generator, 20, 48, 3_600)

    expected = -0.1 * np.bincount(cells, minlength=20 * 48).reshape(20, 48)
    assert len(cells) > 20
    assert np.allclose(returns, expected, atol=1e-12)


@pytest.mark.parametrize("step", [0, -60, 7_000, DAY + 3_600])
def test_draw__step_that_no_day_holds__is_refused(step: int) -> None:
    with pytest.raises(RiskError, match=f"step_seconds is {step}; a daily law needs"):
        StudentT(NU, SCALE).draw(rng(), 1, 10, step)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: StudentT(0, 0.1), "nu is 0"),
        (lambda: StudentT(3, 0), "scale is 0"),
        (lambda: GarchT(0, 0.1, 0.8, 4), "omega is 0"),
        (lambda: GarchT(1, -0.1, 0.8, 4), "alpha is -0.1"),
        (lambda: GarchT(1, 0.1, 0.8, 2), "nu is 2; a shock has a variance only above 2"),
        (lambda: GarchT(1, 0.2, 0.8, 4), "alpha . beta is 1.0000; .* pass variance"),
        (lambda: Hawkes(0.6, 20, 1.0, 6, 0, 0.1), "branching is 1.0"),
        (lambda: Hawkes(0.6, 20, 0.5, 0, 0, 0.1), "half_life is 0"),
    ],
)
def test_model__impossible_parameter__is_refused_by_name(
    build: Callable[[], object], words: str
) -> None:
    with pytest.raises(RiskError, match=words):
        build()


def test_garch_t__alpha_and_beta_of_one_with_a_variance__draws() -> None:
    assert GarchT(1, 0.2, 0.8, 4, variance=25).draw(rng(), 2, 3, DAY).shape == (2, 4)
