from functools import cache
from math import log, sqrt

import numpy as np
import pytest
from scipy import stats

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.clusters import GarchT, StudentT
from ringfence.risk.prices.fit import LEAST, Fit, fit
from ringfence.risk.prices.paths import DAY, YEAR, Gbm, Kou, Merton, PriceModel

COUNT = 2_000
GBM = Gbm(0.9, 0.3)
KOU = Kou(0.5, 60, 0.3, 0.02, 0.12)
LIKELY = 15.0
"""Wilks: twice a fit's gain over the truth is chi-squared of its parameters (6 at most); half of
what that exceeds once in 50,000."""


def returns_of(model: PriceModel, step: int = DAY, count: int = COUNT) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.diff(np.log(model.draw(rng, 1, count, step)[0]))


@cache
def fits_of(model: PriceModel) -> dict[str, Fit]:
    found = fit(returns_of(model), DAY)
    assert [one.bic for one in found] == sorted(one.bic for one in found)
    return {one.name: one for one in found}


def exact_log_likelihood(model: Merton, returns: np.ndarray, years: float) -> float:
    """Return it by the sum over numbers of jumps, written out."""
    total = 0.0
    for count in range(12):
        weight = stats.poisson.pmf(count, model.jumps * years)
        mean = model.growth * years + count * model.jump_mean
        deviation = sqrt(model.volatility**2 * years + count * model.jump_sd**2)
        total = total + weight * stats.norm(mean, deviation).pdf(returns)
    return float(np.log(total).sum())


def test_fit__gbm__recovers_volatility_and_drift() -> None:
    found = fits_of(GBM)["gbm"]

    assert isinstance(found.model, Gbm)
    # standard errors: volatility / sqrt(2 n), and volatility / sqrt(years)
    assert abs(found.model.volatility - 0.9) < 4 * 0.9 / sqrt(2 * COUNT)
    assert abs(found.model.drift - 0.3) < 4 * 0.9 / sqrt(COUNT * DAY / YEAR)
    assert found.p_value > 0.001


def test_fit__gbm__score_is_of_the_normal_law() -> None:
    returns = returns_of(GBM)
    found = fits_of(GBM)["gbm"]
    law = stats.norm(returns.mean(), returns.std())

    assert found.log_likelihood == pytest.approx(law.logpdf(returns).sum())
    assert found.bic == pytest.approx(2 * log(COUNT) - 2 * found.log_likelihood)
    assert found.ks == pytest.approx(stats.kstest(returns, law.cdf).statistic)


def test_fit__student_t__recovers_it_and_ranks_it_first() -> None:
    found = fits_of(StudentT(2.86, 0.0282))
    best = next(iter(found.values()))
    gain = (
        best.log_likelihood
        - stats.t(2.86, 0, 0.0282).logpdf(returns_of(StudentT(2.86, 0.0282))).sum()
    )

    assert best.name == "student-t"
    assert isinstance(best.model, StudentT)
    assert 0 <= gain < LIKELY
    assert best.model.nu == pytest.approx(2.86, rel=0.15)
    assert best.model.scale == pytest.approx(0.0282, rel=0.06)
    assert found["gbm"].p_value < 1e-6


def test_fit__garch_t__recovers_it_and_ranks_it_first() -> None:
    found = fits_of(GarchT(0.5, 0.1, 0.85, 5.0))
    best = next(iter(found.values()))

    assert best.name == "garch-t"
    assert isinstance(best.model, GarchT)
    assert best.model.alpha == pytest.approx(0.1, abs=0.04)
    assert best.model.beta == pytest.approx(0.85, abs=0.06)
    assert best.model.nu == pytest.approx(5.0, rel=0.25)
    assert best.p_value > 0.001


def test_fit__garch_t__goes_on_with_the_next_days_variance() -> None:
    truth = GarchT(0.5, 0.1, 0.85, 5.0)
    returns = returns_of(truth) * 100
    model = fits_of(truth)["garch-t"].model
    assert isinstance(model, GarchT)
    # what the first day had is forgotten: 0.95^500 of it is left
    variance = float(returns[-500:].var())
    for shock in returns[-500:] - model.drift:
        variance = model.omega + model.alpha * shock**2 + model.beta * variance

    assert model.variance == pytest.approx(variance, rel=1e-6)


def test_fit__garch_t__likelihood_is_of_returns_as_for_the_others() -> None:
    found = fits_of(GBM)

    # without clusters the two laws are nearly one: their likelihoods are, if of one unit
    assert found["garch-t"].log_likelihood == pytest.approx(
        found["student-t"].log_likelihood, abs=LIKELY
    )


def test_fit__merton__is_likelier_than_the_truth_but_not_unlikely_so() -> None:
    truth = Merton(0.6, 40, -0.02, 0.08)
    found = fits_of(truth)["merton"]
    gain = found.log_likelihood - exact_log_likelihood(truth, returns_of(truth), DAY / YEAR)

    assert 0 <= gain < LIKELY
    assert isinstance(found.model, Merton)
    assert found.model.volatility == pytest.approx(0.6, rel=0.05)
    assert found.p_value > 0.001
    own = exact_log_likelihood(found.model, returns_of(truth), DAY / YEAR)
    assert found.log_likelihood == pytest.approx(own, abs=1e-3)


def test_fit__kou__recovers_the_sides_of_its_jumps_and_ranks_it_first() -> None:
    best = next(iter(fits_of(KOU).values()))

    assert best.name == "kou"
    assert isinstance(best.model, Kou)
    assert best.model.volatility == pytest.approx(0.5, rel=0.1)
    assert best.model.down_mean == pytest.approx(0.12, rel=0.15)
    falls = best.model.jumps * (1 - best.model.up)
    assert falls == pytest.approx(42, rel=0.25)
    assert best.p_value > 0.001


def test_fit__kou__law_is_that_of_its_jumps_summed() -> None:
    """One law by two ways: by FFT, and by many draws."""
    found = fits_of(KOU)["kou"]
    assert isinstance(found.model, Kou)
    drawn = np.log(found.model.draw(np.random.default_rng(2), 200_000, 1, DAY)[:, 1])

    # the distance of two samples, against that of the one from the fitted law
    assert stats.ks_2samp(returns_of(KOU), drawn).statistic == pytest.approx(
        found.ks, abs=sqrt(log(2e6) / 400_000)
    )


def test_fit__hours__give_the_same_units_and_no_garch() -> None:
    rng = np.random.default_rng(3)
    step, days = 3_600, 1 / 24
    returns = stats.t(4, 0.001 * days, 0.03 * sqrt(days)).rvs(1_000, random_state=rng)
    found = {one.name: one.model for one in fit(returns, step)}
    student, gbm = found["student-t"], found["gbm"]

    assert "garch-t" not in found
    assert isinstance(student, StudentT)
    assert isinstance(gbm, Gbm)
    assert student.scale == pytest.approx(0.03, rel=0.09)
    assert student.drift == pytest.approx(0.001, abs=5 * 0.03 * sqrt(2 / 1_000 / days))
    assert gbm.volatility == pytest.approx(returns.std() * sqrt(YEAR / step))


@pytest.mark.parametrize(
    ("returns", "words"),
    [
        (np.zeros(LEAST - 1), "99 returns; a fit needs 100"),
        (np.full(LEAST, 0.01), "all returns are the same"),
        (np.append(np.arange(LEAST) * 1e-3, np.nan), "a return is not finite"),
    ],
)
def test_fit__returns_of_no_use__are_refused(returns: np.ndarray, words: str) -> None:
    with pytest.raises(RiskError, match=words):
        fit(returns, DAY)
