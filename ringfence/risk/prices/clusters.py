"""Price models that remember: volatility that lasts, and jumps that bring further ones.

Daily laws below a day. A Student-t is a normal whose variance is drawn: nu / chi-squared(nu). Here
that variance is drawn once a day, and the day's steps are normal with their share of it. So the log
return of a whole day follows the fitted law EXACTLY, and so does each step, scaled by the square
root of its share of the day; while steps with a Student-t of their own would add up to a day that
is nearly normal, and crashes would vanish as the step gets finer. What it costs: within a day the
path is a Brownian motion of that day's volatility, without jumps, and volatility changes at
midnight only. Paths begin at a day's begin; a step is a whole part of a day, or whole days.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.random import Generator

from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import (
    DAY,
    YEAR,
    above_zero,
    diffusion,
    finite,
    jump_count,
    not_below_zero,
    walk,
)

_PERCENT = 100.0
_LEAST_NU = 0.1
"""Below it a chi-squared is so small that a float has it as 0."""


@dataclass(frozen=True, slots=True)
class _Calendar:
    """How steps lie in days: `parts` of a day are drawn, `joined` of them make a step."""

    days: int
    parts: int
    joined: int

    @classmethod
    def of(cls, steps: int, step_seconds: int) -> _Calendar:
        """Return the calendar; raise RiskError unless steps and days divide each other."""
        part = min(step_seconds, DAY)
        if step_seconds <= 0 or DAY % part or step_seconds % part:
            raise RiskError(
                f"step_seconds is {step_seconds}; a daily law needs a whole part of {DAY}, or a "
                "multiple of it"
            )
        parts, joined = DAY // part, step_seconds // part
        return cls(ceil(steps * joined / parts), parts, joined)

    def prices(self, returns: Floats, steps: int) -> Floats:
        """Return relative prices from log returns [path, day, part]."""
        flat = returns.reshape(len(returns), -1)[:, : steps * self.joined]
        return walk(flat.reshape(len(flat), steps, self.joined).sum(2) if self.joined > 1 else flat)


def _parts(rng: Generator, paths: int, calendar: _Calendar) -> Floats:
    """Return normals [path, day, part]; those of a day add up to a variance of one."""
    return rng.standard_normal((paths, calendar.days, calendar.parts)) / sqrt(calendar.parts)


@dataclass(frozen=True, slots=True)
class StudentT:
    """Daily log returns that are independent Student-t: drift + scale * t(nu).

    `scale` a day (not the standard deviation, which is scale * sqrt(nu / (nu - 2)) above nu 2);
    `drift` of the log price a day: the expected price itself is infinite whatever the drift.
    """

    nu: float
    scale: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        above_zero(nu=self.nu, scale=self.scale)
        finite(drift=self.drift)
        if self.nu < _LEAST_NU:
            raise RiskError(f"nu is {self.nu}; it must be {_LEAST_NU} or more")

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1]."""
        calendar = _Calendar.of(steps, step_seconds)
        returns = _parts(rng, paths, calendar)
        size = self.scale * np.sqrt(self.nu / rng.chisquare(self.nu, (paths, calendar.days)))
        returns *= size[:, :, None]
        returns += self.drift / calendar.parts
        return calendar.prices(returns, steps)


@dataclass(frozen=True, slots=True)
class GarchT:
    """Daily log returns by GARCH(1,1) with Student-t shocks, in percent as `arch` has them.

    A day's variance is omega + alpha * (yesterday's shock)^2 + beta * (yesterday's variance), in
    percent^2; its shock has that variance and the shape of t(nu); its return is `drift` (percent a
    day) and the shock. `variance` is the first day's, percent^2; 0 starts at the long run's,
    omega / (1 - alpha - beta), which a fit near alpha + beta = 1 hardly knows.
    """

    omega: float
    alpha: float
    beta: float
    nu: float
    drift: float = 0.0
    variance: float = 0.0

    def __post_init__(self) -> None:
        above_zero(omega=self.omega)
        not_below_zero(alpha=self.alpha, beta=self.beta, variance=self.variance)
        finite(drift=self.drift, nu=self.nu)
        if self.nu <= 2:
            raise RiskError(f"nu is {self.nu}; a shock has a variance only above 2")
        if self.alpha + self.beta >= 1 and not self.variance:
            raise RiskError(
                f"alpha + beta is {self.alpha + self.beta:.4f}; from 1 there is no long-run "
                "variance to start from, pass variance"
            )

    @property
    def first_variance(self) -> float:
        """The first day's variance, percent^2."""
        return self.variance or self.omega / (1 - self.alpha - self.beta)

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1]."""
        calendar = _Calendar.of(steps, step_seconds)
        returns = _parts(rng, paths, calendar)
        mixing = (self.nu - 2) / rng.chisquare(self.nu, (paths, calendar.days))
        variance = np.full(paths, self.first_variance)
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what is no number is refused at the end
            for day in range(calendar.days):
                returns[:, day] *= np.sqrt(variance * mixing[:, day])[:, None]
                shock = returns[:, day].sum(1)
                variance = self.omega + self.alpha * shock**2 + self.beta * variance
            returns += self.drift / calendar.parts
            returns /= _PERCENT
            return calendar.prices(returns, steps)


@dataclass(frozen=True, slots=True)
class Hawkes:
    """A diffusion with normal jumps, each of which brings `branching` further ones on average.

    `volatility` of the diffusion a square root of a year; `base` jumps a year of themselves;
    `half_life` in hours, of what a jump adds to the intensity; `jump_mean` and `jump_sd` of a
    jump's log size; `drift` of the log price a year, jumps left aside: nothing compensates
    them. Paths begin calm, with no jump before them. Drawn exactly, by clusters: Hawkes & Oakes
    1974, "A cluster process representation of a self-exciting process".
    """

    volatility: float
    base: float
    branching: float
    half_life: float
    jump_mean: float
    jump_sd: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        not_below_zero(volatility=self.volatility, base=self.base, jump_sd=self.jump_sd)
        above_zero(half_life=self.half_life)
        finite(jump_mean=self.jump_mean, drift=self.drift)
        if not 0 <= self.branching < 1:
            raise RiskError(
                f"branching is {self.branching}; it must be 0 or more and below 1, from which on "
                "a cluster never ends"
            )

    def expected_jumps(self, years: float) -> float:
        """Return how many jumps a path of so many years has on average."""
        rate = (1 - self.branching) * np.log(2) * YEAR / (self.half_life * 3_600)
        missing = self.branching / (1 - self.branching) * -np.expm1(-rate * years) / rate
        return float(self.base * (years / (1 - self.branching) - missing))

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1]."""
        returns = diffusion(rng, (paths, steps), step_seconds / YEAR, self.volatility, self.drift)
        where = self.jump_cells(rng, paths, steps, step_seconds)
        sizes = rng.normal(self.jump_mean, self.jump_sd, len(where))
        returns += np.bincount(where, sizes, returns.size).reshape(returns.shape)
        return walk(returns)

    def jump_cells(
        self, rng: Generator, paths: int, steps: int, step_seconds: int
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the cell, path * steps + step, in which each jump of the paths falls."""
        end = float(steps * step_seconds)
        lag = self.half_life * 3_600 / np.log(2)
        count = jump_count(rng, self.base * end / YEAR * paths)
        path, time = rng.integers(0, paths, count), rng.random(count) * end
        cells = []
        while len(time):
            cells.append(path * steps + (time // step_seconds).astype(np.int64))
            children = rng.poisson(self.branching, len(time))
            path, time = np.repeat(path, children), np.repeat(time, children)
            time = time + lag * rng.standard_exponential(len(time))
            path, time = path[time < end], time[time < end]
        return np.concatenate(cells) if cells else np.zeros(0, np.int64)
