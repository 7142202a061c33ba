"""How far a sample may be from its law: bounds that a right program fails once in a million."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, log, sqrt

import numpy as np

ERRORS = 5.0
"""Standard errors: a normal exceeds them once in 1.7 million."""


def most_apart(count: int) -> float:
    """Return the Kolmogorov-Smirnov distance passed with probability 1e-6 at most.

    Dvoretzky, Kiefer, Wolfowitz and Massart: P(D > d) <= 2 exp(-2 n d^2).
    """
    return sqrt(log(2e6) / (2 * count))


def apart(sample: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return the Kolmogorov-Smirnov distance of a sample from a law."""
    below = cdf(np.sort(sample))
    count = len(sample)
    steps = np.arange(count + 1) / count
    return float(max((steps[1:] - below).max(), (below - steps[:-1]).max()))


def central_moments(cumulants: list[float]) -> list[float]:
    """Return central moments 0, 1, ... from cumulants 1, 2, ... (the first is left aside)."""
    kappa = [0.0, *cumulants[1:]]
    moments = [1.0]
    for n in range(1, len(kappa) + 1):
        moments.append(
            sum(comb(n - 1, k - 1) * kappa[k - 1] * moments[n - k] for k in range(1, n + 1))
        )
    return moments


def assert_moment(sample: np.ndarray, cumulants: list[float], order: int) -> None:
    """Assert a central moment about the exact mean, within ERRORS of its standard error."""
    moments = central_moments(cumulants)
    found = float(((sample - cumulants[0]) ** order).mean())
    error = sqrt((moments[2 * order] - moments[order] ** 2) / len(sample))
    assert abs(found - moments[order]) < ERRORS * error
    assert error < moments[order] / 4  # the bound says something
