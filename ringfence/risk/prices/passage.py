"""First passage and shortfall in closed form: what the simulations are held to, and quick answers.

Relative prices start at 1. Times are in years, drifts and volatilities per year, jumps per year. A
drift is that of the expected price, E[price] = exp(drift * time), jumps compensated. A barrier is a
relative price other than 1, hit from above when below 1, else from below.
"""

from __future__ import annotations

from math import comb, copysign, exp, log, pi, sqrt

import numpy as np
from scipy.special import log_ndtr, ndtr
from scipy.stats import poisson

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import Kou, Merton

BETA = 0.5826
"""-zeta(1/2) / sqrt(2 pi): how far discrete monitoring moves a barrier, step deviations."""

_EULER_TERMS = 15
"""About nine digits in double precision: fewer lack terms, more lose them to rounding."""
_MOST_JUMPS = 1 - 1e-15
"""The Poisson probability that Merton's sum stops at."""


def gbm_hit(barrier: float, time: float, volatility: float, drift: float = 0.0) -> float:
    """Return the probability that a geometric Brownian motion reaches a barrier by a time.

    The reflection principle; Borodin and Salminen (2002), 2.1.2.0.4.

    >>> round(gbm_hit(0.75 / 0.86, 30 / 365, 0.9), 5)
    0.63624
    """
    _check(barrier, time, volatility)
    side = copysign(1.0, log(barrier))
    level, slope = abs(log(barrier)), side * (drift - volatility**2 / 2)
    spread = volatility * sqrt(time)
    direct = ndtr((slope * time - level) / spread)
    reflected = log_ndtr((-slope * time - level) / spread)
    return float(direct + np.exp(2 * slope * level / volatility**2 + reflected))


def gbm_hit_monitored(
    barrier: float, time: float, steps: int, volatility: float, drift: float = 0.0
) -> float:
    """Return the same where only the ends of `steps` equal steps are looked at.

    The barrier moves away by BETA deviations of a step; Broadie, Glasserman and Kou (1997).
    """
    _check(barrier, time, volatility)
    shift = copysign(BETA * volatility * sqrt(time / steps), log(barrier))
    return gbm_hit(barrier * exp(shift), time, volatility, drift)


def _check(barrier: float, time: float, volatility: float) -> None:
    if not (barrier > 0 and barrier != 1 and time > 0 and volatility > 0):
        raise RiskError(
            f"barrier {barrier}, time {time}, volatility {volatility}: all must be above 0 and the "
            "barrier other than 1, where the price starts"
        )


def kou_hit_transform(barrier: float, kou: Kou, frequency: complex) -> complex:
    """Return E[exp(-frequency * T)] of the first passage T; Kou and Wang (2003), Theorem 3.1.

    The two roots with a positive real part of G(x) = frequency, downward with x mirrored; analytic
    where the frequency's real part is above 0.
    """
    level, down = abs(log(barrier)), barrier < 1
    slope, up = (-kou.growth, 1 - kou.up) if down else (kou.growth, kou.up)
    means = (kou.down_mean, kou.up_mean) if down else (kou.up_mean, kou.down_mean)
    rise, fall = 1 / means[0], 1 / means[1]
    # G(x) - frequency times (rise - x)(fall + x): a quartic.
    poles = np.polymul([-1.0, rise], [1.0, fall])
    diffusion = np.array([kou.volatility**2 / 2, slope, -kou.jumps - frequency])
    jumps = kou.jumps * (
        up * rise * np.array([1.0, fall]) + (1 - up) * fall * np.array([-1.0, rise])
    )
    roots = np.roots(np.polyadd(np.polymul(diffusion, poles), jumps))
    one, two = roots[np.argsort(-roots.real)][:2]
    first = (rise - one) / rise * two / (two - one) * np.exp(-level * one)
    second = (two - rise) / rise * one / (two - one) * np.exp(-level * two)
    return complex(first + second)


def kou_hit(barrier: float, time: float, kou: Kou) -> float:
    """Return the probability that Kou's jump diffusion reaches a barrier by a time.

    Inverts the transform over the frequency by Euler's method; Abate and Whitt (2006), section 5.
    """
    _check(barrier, time, kou.volatility)
    terms = _EULER_TERMS
    weights = np.ones(2 * terms + 1)
    weights[0] = 0.5
    tails = np.cumsum([comb(terms, k) for k in range(terms + 1)])[:-1] / 2.0**terms
    weights[terms + 1 :] = tails[::-1]
    total = 0.0
    for k, weight in enumerate(weights.tolist()):
        frequency = complex(terms * log(10) / 3, pi * k) / time
        value = kou_hit_transform(barrier, kou, frequency) / frequency
        total += (-1) ** k * weight * value.real
    return min(max(10 ** (terms / 3) / time * total, 0.0), 1.0)


def gbm_shortfall(
    debt: float, backing: float, time: float, volatility: float, drift: float = 0.0
) -> float:
    """Return the expected max(debt - backing * price, 0) at a time, not discounted.

    `backing` is the collateral's value now less the cost of selling it: collateral * (1 - cost).
    Black and Scholes (1973), the put.
    """
    if not (debt > 0 and backing > 0 and time > 0 and volatility > 0):
        raise RiskError(
            f"debt {debt}, backing {backing}, time {time}, volatility {volatility}: all must be "
            "above 0"
        )
    spread = volatility * sqrt(time)
    forward = backing * exp(drift * time)
    near = log(debt / forward) / spread
    return float(debt * ndtr(near + spread / 2) - forward * ndtr(near - spread / 2))


def merton_shortfall(debt: float, backing: float, time: float, merton: Merton) -> float:
    """Return the same where the price also jumps: Black-Scholes over the number of jumps.

    Merton (1976), equation 16.
    """
    expected = merton.jumps * time
    total = 0.0
    for jumps in range(int(poisson.ppf(_MOST_JUMPS, expected)) + 1):
        variance = merton.volatility**2 + jumps * merton.jump_sd**2 / time
        drift = merton.growth + variance / 2 + jumps * merton.jump_mean / time
        put = gbm_shortfall(debt, backing, time, sqrt(variance), drift)
        total += float(poisson.pmf(jumps, expected)) * put
    return total
