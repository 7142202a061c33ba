"""Price models fitted to log returns by maximum likelihood, and how well each one fits.

A Kolmogorov-Smirnov p-value is of the law with its FITTED parameters, as if they were known: it
errs on the high side, so that a low one refutes the law and a high one does not prove it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log, pi, sqrt
from typing import Protocol

import numpy as np
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit, ndtr

from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.clusters import GarchT, StudentT
from ringfence.risk.prices.models import Parametric
from ringfence.risk.prices.paths import DAY, YEAR, Gbm, Kou, Merton

LEAST = 100
"""Returns that a fit needs."""

_GRID = 2**11
_WIDER = 1.5
_STARTS = (0.05, 0.5)
"""Jumps a step from which a fit begins its search; the likelihood has more than one summit."""
_MOST_JUMPS = 5.0
"""A step: more than that are hardly told from a diffusion."""
_NARROWEST = 0.05
"""The diffusion's share of the deviation, at least: without one the likelihood has no bound."""
_FAR = 5.0
_MOST_RISE = 0.9
_LEAST_DENSITY = 1e-12
_PERCENT = 100.0


class _Law(Protocol):
    def pdf(self, values: Floats) -> Floats: ...

    def cdf(self, values: Floats) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model: `bic` (lower is better), and KS of returns, of residuals for GARCH."""

    name: str
    model: Parametric
    log_likelihood: float
    parameters: int
    bic: float
    ks: float
    p_value: float


def fit(returns: Floats, step_seconds: int) -> list[Fit]:
    """Return the fits to log returns [return], `step_seconds` apart, the lowest BIC first.

    GARCH is a law of days: it is fitted to daily returns only. Raises RiskError for fewer than
    LEAST returns, ones that are not finite, or ones that never change.
    """
    if len(returns) < LEAST:
        raise RiskError(f"{len(returns)} returns; a fit needs {LEAST}, give a longer series")
    if not np.isfinite(returns).all():
        raise RiskError("a return is not finite; remove the row it comes from")
    if not np.ptp(returns) > 0:
        raise RiskError("all returns are the same; give prices that move")
    fits = [_gbm(returns, step_seconds), _student_t(returns, step_seconds)]
    fits += [_merton(returns, step_seconds), _kou(returns, step_seconds)]
    if step_seconds == DAY:
        fits.append(_garch_t(returns))
    return sorted(fits, key=lambda one: one.bic)


def _scored(
    name: str,
    model: Parametric,
    log_likelihood: float,
    parameters: int,
    sample: Floats,
    cdf: Callable[[Floats], Floats],
) -> Fit:
    bic = parameters * log(len(sample)) - 2 * log_likelihood
    test = stats.kstest(sample, cdf)
    return Fit(
        name, model, log_likelihood, parameters, bic, float(test.statistic), float(test.pvalue)
    )


def _gbm(returns: Floats, step_seconds: int) -> Fit:
    mean, deviation = float(returns.mean()), float(returns.std())
    law, years = stats.norm(mean, deviation), step_seconds / YEAR
    model = Gbm(deviation / sqrt(years), (mean + deviation**2 / 2) / years)
    return _scored("gbm", model, float(law.logpdf(returns).sum()), 2, returns, law.cdf)


def _student_t(returns: Floats, step_seconds: int) -> Fit:
    nu, mean, scale = stats.t.fit(returns)
    law, days = stats.t(nu, mean, scale), step_seconds / DAY
    model = StudentT(float(nu), float(scale) / sqrt(days), float(mean) / days)
    return _scored("student-t", model, float(law.logpdf(returns).sum()), 3, returns, law.cdf)


def _garch_t(returns: Floats) -> Fit:
    # here, since it brings pandas and statsmodels: seconds that no other command should wait for
    from arch.univariate import GARCH, ConstantMean, StudentsT

    percent = returns * _PERCENT
    model = ConstantMean(percent, volatility=GARCH(1, 0, 1), distribution=StudentsT())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = model.fit(disp="off", show_warning=False)
    mu, omega, alpha, beta, nu = (float(value) for value in result.params)
    deviation = np.asarray(result.conditional_volatility)
    residuals = (percent - mu) / deviation
    law = stats.t(nu, scale=sqrt((nu - 2) / nu))
    likelihood = float((law.logpdf(residuals) - np.log(deviation / _PERCENT)).sum())
    shock = float(percent[-1] - mu)
    tomorrow = omega + alpha * shock**2 + beta * float(deviation[-1]) ** 2
    fitted = GarchT(omega, alpha, beta, nu, mu, tomorrow)
    return _scored("garch-t", fitted, likelihood, 5, residuals, law.cdf)


class _MertonLaw:
    """The log return of a Merton model over `years`: a normal for each number of jumps."""

    def __init__(self, model: Merton, years: float) -> None:
        expected = model.jumps * years
        count = np.arange(ceil(expected + 9 * sqrt(expected) + 6))
        self.weights = stats.poisson.pmf(count, expected)
        self.means = model.growth * years + count * model.jump_mean
        self.deviations = np.sqrt(model.volatility**2 * years + count * model.jump_sd**2)

    def _scaled(self, values: Floats) -> Floats:
        scaled: Floats = (values[:, None] - self.means) / self.deviations
        return scaled

    def pdf(self, values: Floats) -> Floats:
        heights = self.weights / (self.deviations * sqrt(2 * pi))
        density: Floats = (np.exp(-(self._scaled(values) ** 2) / 2) * heights).sum(axis=1)
        return density

    def cdf(self, values: Floats) -> Floats:
        below: Floats = (ndtr(self._scaled(values)) * self.weights).sum(axis=1)
        return below


class _KouLaw:
    """The log return of a Kou model over `years`, out of its characteristic function, by FFT.

    On a grid of _GRID points from -half to half, which must hold nearly all of the law; straight
    lines between them. A density below rounding (about 1e-14) is not told from zero.
    """

    def __init__(self, model: Kou, years: float, half: float) -> None:
        width = 2 * half / _GRID
        self.grid = (np.arange(_GRID) - _GRID // 2) * width
        u = 2 * pi * np.fft.fftfreq(_GRID, width)
        jump = model.up / (1 - 1j * u * model.up_mean)
        jump += (1 - model.up) / (1 + 1j * u * model.down_mean)
        exponent = 1j * u * model.growth - (model.volatility * u) ** 2 / 2
        law = np.exp(years * (exponent + model.jumps * (jump - 1)))
        self.density = np.fft.fftshift(np.fft.fft(law).real) / (2 * half)
        self.below = (np.cumsum(self.density) - self.density / 2) * width

    def pdf(self, values: Floats) -> Floats:
        return np.interp(values, self.grid, self.density)

    def cdf(self, values: Floats) -> Floats:
        return np.clip(np.interp(values, self.grid, self.below), 0.0, 1.0)


def _merton(returns: Floats, step_seconds: int) -> Fit:
    years, spread = step_seconds / YEAR, float(returns.std())

    def build(x: Floats) -> Merton:
        deviation, jumps, size = (float(value) for value in np.exp(x[:3]))
        return Merton(
            deviation * spread / sqrt(years),
            jumps / years,
            float(x[3]) * spread,
            size * spread,
            float(x[4]) * spread / years,
        )

    def law(x: Floats) -> _MertonLaw:
        return _MertonLaw(build(x), years)

    starts = [[log(0.7), log(jumps), log(2.0), 0.0, 0.0] for jumps in _STARTS]
    x, likelihood = _likeliest(law, returns, starts)
    return _scored("merton", build(x), likelihood, len(x), returns, law(x).cdf)


def _kou(returns: Floats, step_seconds: int) -> Fit:
    years, spread = step_seconds / YEAR, float(returns.std())
    half = _WIDER * float(np.abs(returns).max())

    def build(x: Floats) -> Kou:
        deviation, jumps, rise, fall = (float(value) for value in np.exp(x[:4]))
        return Kou(
            deviation * spread / sqrt(years),
            jumps / years,
            float(expit(x[4])),
            min(rise * spread, _MOST_RISE),
            fall * spread,
            float(x[5]) * spread / years,
        )

    def law(x: Floats) -> _KouLaw:
        return _KouLaw(build(x), years, half)

    starts = [[log(0.7), log(jumps), log(1.5), log(1.5), 0.0, 0.0] for jumps in _STARTS]
    x, likelihood = _likeliest(law, returns, starts)
    return _scored("kou", build(x), likelihood, len(x), returns, law(x).cdf)


def _likeliest(
    law: Callable[[Floats], _Law], returns: Floats, starts: list[list[float]]
) -> tuple[Floats, float]:
    """Return the free parameters of the greatest likelihood found from `starts`, and its log."""

    def cost(x: Floats) -> float:
        return -float(np.log(np.maximum(law(x).pdf(returns), _LEAST_DENSITY)).mean())

    free = [(-_FAR, _FAR)] * (len(starts[0]) - 2)
    bounds = [(log(_NARROWEST), 0.5), (-_FAR, log(_MOST_JUMPS)), *free]
    found = [minimize(cost, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(found, key=lambda one: float(one.fun))
    return best.x, -float(best.fun) * len(returns)
