"""Closed forms, held to each other's limits and to simulations with their error."""

from __future__ import annotations

import doctest
from dataclasses import replace
from itertools import pairwise
from math import comb, exp, factorial, log, sqrt

import numpy as np
import numpy.typing as npt
import pytest

from ringfence.risk.errors import RiskError
from ringfence.risk.prices import passage
from ringfence.risk.prices.passage import (
    gbm_hit,
    gbm_hit_monitored,
    gbm_shortfall,
    kou_hit,
    kou_hit_transform,
    merton_shortfall,
)
from ringfence.risk.prices.paths import Kou, Merton

Floats = npt.NDArray[np.float64]

BARRIER = 0.75 / 0.86
"""Of a position at LTV 0.75 that is liquidated at 0.86."""
MONTH = 30 / 365
KOU = Kou(volatility=0.6, jumps=20.0, up=0.4, up_mean=0.04, down_mean=0.05, drift=0.1)
MERTON = Merton(volatility=0.6, jumps=12.0, jump_mean=-0.06, jump_sd=0.1, drift=0.1)
ERRORS = 4.0
"""Standard errors that a simulation may be off: one test in 16,000 would be, by chance."""


def check_mean(samples: Floats, expected: float) -> None:
    error = samples.std() / sqrt(samples.size)
    assert error < 0.02 * max(expected, 0.01), "too few samples to tell"
    assert abs(samples.mean() - expected) < ERRORS * error


def test_docstrings__the_worked_case__comes_out_as_written() -> None:
    results = doctest.testmod(passage)
    assert results.attempted
    assert not results.failed


@pytest.mark.parametrize("drift", [-0.5, 0.0, 1.0])
@pytest.mark.parametrize("barrier", [BARRIER, 1 / BARRIER])
@pytest.mark.parametrize("steps", [30, 120])
def test_gbm_hit_monitored__simulated__agrees(drift: float, barrier: float, steps: int) -> None:
    rng, paths, volatility = np.random.default_rng(steps), 60_000, 0.9
    step = MONTH / steps
    moves = rng.standard_normal((paths, steps)) * volatility * sqrt(step)
    logs = np.cumsum(moves + (drift - volatility**2 / 2) * step, axis=1)
    hit = logs.min(1) <= log(barrier) if barrier < 1 else logs.max(1) >= log(barrier)
    shifted = gbm_hit_monitored(barrier, MONTH, steps, volatility, drift)
    check_mean(hit.astype(float), shifted)
    assert shifted < gbm_hit(barrier, MONTH, volatility, drift)


def test_gbm_hit_monitored__ever_more_steps__comes_to_the_continuous_one() -> None:
    whole = gbm_hit(BARRIER, MONTH, 0.9)
    gaps = [whole - gbm_hit_monitored(BARRIER, MONTH, 4**power, 0.9) for power in range(3, 13)]
    assert all(1.9 < wide / narrow < 2.1 for wide, narrow in pairwise(gaps[2:]))
    assert 0 < gaps[-1] < 2e-4


def test_gbm_hit__hardly_any_volatility__is_what_the_drift_does() -> None:
    assert gbm_hit(BARRIER, 1.0, 1e-4, drift=-0.5) == pytest.approx(1)
    assert gbm_hit(BARRIER, 1.0, 1e-4, drift=0.5) == 0
    assert gbm_hit(1 / BARRIER, 1.0, 1e-4, drift=0.5) == pytest.approx(1)


def kou_paths_hit(kou: Kou, barrier: float, rng: np.random.Generator, paths: int) -> Floats:
    """Which paths reach the barrier by MONTH, without error of steps: jump by jump, and a Brownian
    bridge's chance of a hit between two jumps."""
    side, level = (-1.0, -log(barrier)) if barrier < 1 else (1.0, log(barrier))
    rise, fall = 1 / kou.up_mean, 1 / kou.down_mean
    mean = kou.up * rise / (rise - 1) + (1 - kou.up) * fall / (fall + 1)
    slope = kou.drift - kou.volatility**2 / 2 - kou.jumps * (mean - 1)
    jumps = rng.poisson(kou.jumps * MONTH, paths)
    times = rng.uniform(0, MONTH, (paths, jumps.max()))
    times[np.arange(jumps.max()) >= jumps[:, None]] = MONTH
    times.sort(axis=1)
    edges = np.concatenate((np.zeros((paths, 1)), times, np.full((paths, 1), MONTH)), axis=1)
    at, hit = np.zeros(paths), np.zeros(paths, bool)
    for number in range(edges.shape[1] - 1):
        span = edges[:, number + 1] - edges[:, number]
        move = slope * span + kou.volatility * np.sqrt(span) * rng.standard_normal(paths)
        to = at + side * move
        room = np.maximum(level - at, 0) * np.maximum(level - to, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = np.where(span > 0, np.exp(-2 * room / (kou.volatility**2 * span)), 0)
        hit |= (to >= level) | (rng.uniform(size=paths) < chance)
        upward = rng.uniform(size=paths) < kou.up
        size = np.where(
            upward, rng.exponential(kou.up_mean, paths), -rng.exponential(kou.down_mean, paths)
        )
        at = to + np.where(number < jumps, side * size, 0)
        hit |= at >= level
    return hit.astype(float)


@pytest.mark.parametrize("barrier", [BARRIER, 1 / BARRIER, 0.7])
def test_kou_hit__simulated_jump_by_jump__agrees(barrier: float) -> None:
    hits = kou_paths_hit(KOU, barrier, np.random.default_rng(11), 200_000)
    check_mean(hits, kou_hit(barrier, MONTH, KOU))


@pytest.mark.parametrize("barrier", [BARRIER, 1 / BARRIER, 0.5])
def test_kou_hit__no_jumps__is_the_gbm_s(barrier: float) -> None:
    still = replace(KOU, jumps=0.0)
    expected = gbm_hit(barrier, MONTH, still.volatility, still.drift)
    assert kou_hit(barrier, MONTH, still) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("barrier", [BARRIER, 1 / BARRIER])
def test_kou_hit__inverted_by_gaver_stehfest__agrees(barrier: float) -> None:
    half, total = 6, 0.0
    for k in range(1, 2 * half + 1):
        weight = sum(
            j ** (half + 1) / factorial(half) * comb(half, j) * comb(2 * j, j) * comb(j, k - j)
            for j in range((k + 1) // 2, min(k, half) + 1)
        )
        frequency = k * log(2) / MONTH
        value = kou_hit_transform(barrier, KOU, complex(frequency)).real / frequency
        total += (-1) ** (k + half) * weight * value
    stehfest = total * log(2) / MONTH
    assert kou_hit(barrier, MONTH, KOU) == pytest.approx(stehfest, abs=1e-4)


def test_kou_hit__more_time__is_likelier() -> None:
    chances = [kou_hit(BARRIER, days / 365, KOU) for days in (1, 7, 30, 90, 365)]
    assert chances == sorted(chances)
    assert 0 < chances[0] < chances[-1] < 1


@pytest.mark.parametrize("cost", [0.0, 0.03])
def test_gbm_shortfall__simulated__agrees(cost: float) -> None:
    rng, spread = np.random.default_rng(12), 0.9 * sqrt(MONTH)
    logs = (0.2 - 0.9**2 / 2) * MONTH + spread * rng.standard_normal(400_000)
    short = np.maximum(0.75 - (1 - cost) * np.exp(logs), 0)
    check_mean(short, gbm_shortfall(0.75, 1 - cost, MONTH, 0.9, 0.2))


@pytest.mark.parametrize("cost", [0.0, 0.03])
def test_merton_shortfall__simulated__agrees(cost: float) -> None:
    rng, paths = np.random.default_rng(13), 400_000
    growth = exp(MERTON.jump_mean + MERTON.jump_sd**2 / 2)
    slope = MERTON.drift - MERTON.volatility**2 / 2 - MERTON.jumps * (growth - 1)
    jumps = rng.poisson(MERTON.jumps * MONTH, paths)
    jumped = jumps * MERTON.jump_mean + np.sqrt(jumps) * MERTON.jump_sd * rng.standard_normal(paths)
    spread = MERTON.volatility * sqrt(MONTH)
    logs = slope * MONTH + spread * rng.standard_normal(paths) + jumped
    short = np.maximum(0.75 - (1 - cost) * np.exp(logs), 0)
    check_mean(short, merton_shortfall(0.75, 1 - cost, MONTH, MERTON))


def test_merton_shortfall__no_jumps__is_black_scholes() -> None:
    still = replace(MERTON, jumps=0.0)
    expected = gbm_shortfall(0.75, 1.0, MONTH, still.volatility, still.drift)
    assert merton_shortfall(0.75, 1.0, MONTH, still) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("barrier", "time", "volatility"), [(1.0, 1.0, 1.0), (0.5, 0.0, 1.0), (0.5, 1.0, float("nan"))]
)
def test_gbm_hit__impossible_input__is_refused(
    barrier: float, time: float, volatility: float
) -> None:
    with pytest.raises(RiskError, match="above 0"):
        gbm_hit(barrier, time, volatility)


def test_gbm_shortfall__no_debt__is_refused() -> None:
    with pytest.raises(RiskError, match="must be above 0"):
        gbm_shortfall(0.0, 1.0, MONTH, 0.9)
