"""What a price model is, and those whose returns do not remember: diffusions, and jumps on them.

Paths are relative prices: float64 [path, step], column 0 is 1.0. Everything random comes from the
generator passed: the same seed gives the same bytes, and two models of one kind drawn from the same
seed share their normals, which are drawn first (common random numbers).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt
from typing import Protocol

import numpy as np
from numpy.random import Generator

from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError

DAY = 86_400
YEAR = 365 * DAY
MOST = 1e100
"""Of any parameter: its square is a float, too."""
_FAR = 700.0
_LARGEST = 100.0
_MOST_JUMPS = 5e7
"""Of one draw: more do not fit into memory."""


class PriceModel(Protocol):
    """A law of price paths."""

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1], `step_seconds` apart, from 1.0."""
        ...


def above_zero(**values: float) -> None:
    """Raise RiskError unless every value is above zero and no more than MOST."""
    for name, value in values.items():
        if not 0 < value <= MOST:
            raise RiskError(f"{name} is {value}; it must be above 0 and at most {MOST:g}")


def not_below_zero(**values: float) -> None:
    """Raise RiskError unless every value is zero or more and no more than MOST."""
    for name, value in values.items():
        if not 0 <= value <= MOST:
            raise RiskError(f"{name} is {value}; it must be 0 or more and at most {MOST:g}")


def finite(**values: float) -> None:
    """Raise RiskError unless every value is within MOST of zero."""
    for name, value in values.items():
        if not -MOST <= value <= MOST:
            raise RiskError(f"{name} is {value}; it must be a number from {-MOST:g} to {MOST:g}")


def walk(returns: Floats) -> Floats:
    """Return relative prices [path, step + 1] from log returns [path, step].

    Raises RiskError where they leave what a float holds.
    """
    prices = np.zeros((returns.shape[0], returns.shape[1] + 1))
    np.cumsum(returns, axis=1, out=prices[:, 1:])
    low, high = prices.min(initial=0), prices.max(initial=0)
    if not -_FAR <= low <= high <= _FAR:
        raise RiskError(
            f"paths lead from e^{low:g} to e^{high:g} times the price (limit: e^{_FAR:g}); lower "
            "the model's volatility, drift or jumps, or pass fewer days"
        )
    return np.exp(prices, out=prices)


def diffusion(
    rng: Generator, shape: tuple[int, int], years: float, volatility: float, growth: float
) -> Floats:
    """Return normal log returns of `shape`; a step lasts `years`, `growth` is of the log a year."""
    returns = rng.standard_normal(shape)
    returns *= volatility * sqrt(years)
    returns += growth * years
    return returns


def jump_count(rng: Generator, expected: float) -> int:
    """Return a Poisson number; raise RiskError where it is too large to draw so many jumps."""
    if expected > _MOST_JUMPS:
        raise RiskError(
            f"{expected:,.0f} jumps in one draw (limit {_MOST_JUMPS:,.0f}); lower the model's "
            "jumps a year, or pass fewer paths a task or fewer days"
        )
    return int(rng.poisson(expected))


def add_jumps(
    rng: Generator, returns: Floats, expected: float, sizes: Callable[[int], Floats]
) -> None:
    """Add Poisson jumps to log returns, `expected` a step, of `sizes(count)`.

    Their whole number is drawn, then each one's place: the same law as a number a step, at a cost
    that goes with the jumps alone.
    """
    count = jump_count(rng, expected * returns.size)
    where = rng.integers(0, returns.size, count)
    returns += np.bincount(where, sizes(count), returns.size).reshape(returns.shape)


@dataclass(frozen=True, slots=True)
class Gbm:
    """Geometric Brownian motion: `volatility` a square root of a year, `drift` of price a year.

    At a drift of zero the price is a martingale: its logarithm falls by half the variance.
    """

    volatility: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        not_below_zero(volatility=self.volatility)
        finite(drift=self.drift)

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1]."""
        growth = self.drift - self.volatility**2 / 2
        years = step_seconds / YEAR
        return walk(diffusion(rng, (paths, steps), years, self.volatility, growth))


@dataclass(frozen=True, slots=True)
class Merton:
    """A diffusion with normal jumps (Merton 1976, "Option pricing when returns are discontinuous").

    `volatility` of the diffusion a square root of a year; `jumps` a year; `jump_mean` and `jump_sd`
    of a jump's log size; `drift` of the expected price a year, jumps included.
    """

    volatility: float
    jumps: float
    jump_mean: float
    jump_sd: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        not_below_zero(volatility=self.volatility, jumps=self.jumps, jump_sd=self.jump_sd)
        finite(jump_mean=self.jump_mean, drift=self.drift)
        if self.jump_mean + self.jump_sd**2 / 2 > _LARGEST:
            raise RiskError(
                f"jump_mean is {self.jump_mean}, jump_sd {self.jump_sd}; the expected jump is more "
                f"than e^{_LARGEST:g} of the price, lower them"
            )

    @property
    def growth(self) -> float:
        """The diffusion's drift of the log price, a year: it takes back what jumps give."""
        jump = exp(self.jump_mean + self.jump_sd**2 / 2) - 1
        return self.drift - self.volatility**2 / 2 - self.jumps * jump

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1]."""
        years = step_seconds / YEAR
        returns = diffusion(rng, (paths, steps), years, self.volatility, self.growth)
        add_jumps(
            rng,
            returns,
            self.jumps * years,
            lambda count: rng.normal(self.jump_mean, self.jump_sd, count),
        )
        return walk(returns)


@dataclass(frozen=True, slots=True)
class Kou:
    """A diffusion with double exponential jumps (Kou 2002, "A jump-diffusion model").

    `volatility` of the diffusion a square root of a year; `jumps` a year, a share `up` of them
    upwards; `up_mean` (below 1) and `down_mean` the mean log size of either (1/eta1 and 1/eta2);
    `drift` of the expected price a year, jumps included.
    """

    volatility: float
    jumps: float
    up: float
    up_mean: float
    down_mean: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        not_below_zero(volatility=self.volatility, jumps=self.jumps)
        above_zero(up_mean=self.up_mean, down_mean=self.down_mean)
        finite(drift=self.drift)
        if not 0 <= self.up <= 1:
            raise RiskError(f"up is {self.up}; it is a probability, from 0 to 1")
        if self.up_mean >= 1:
            raise RiskError(
                f"up_mean is {self.up_mean}; at 1 or more the expected price is infinite, lower it"
            )

    @property
    def growth(self) -> float:
        """The diffusion's drift of the log price, a year: it takes back what jumps give."""
        jump = self.up / (1 - self.up_mean) + (1 - self.up) / (1 + self.down_mean) - 1
        return self.drift - self.volatility**2 / 2 - self.jumps * jump

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1]."""
        years = step_seconds / YEAR
        returns = diffusion(rng, (paths, steps), years, self.volatility, self.growth)

        def sizes(count: int) -> Floats:
            mean = np.where(rng.random(count) < self.up, self.up_mean, -self.down_mean)
            size: Floats = mean * rng.standard_exponential(count)
            return size

        add_jumps(rng, returns, self.jumps * years, sizes)
        return walk(returns)
