"""Tail estimates against closed forms, and how often their intervals hold the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import e, exp, log, pi, sqrt

import numpy as np
import pytest
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray
from scipy import stats

from ringfence.risk.answers.tail import (
    Precision,
    expected_shortfall,
    narrow_enough,
    share_of,
    value_at_risk,
)
from ringfence.risk.errors import RiskError

Draw = Callable[[Generator, int], NDArray[np.float64]]
DRAWS: dict[str, Draw] = {
    "uniform": lambda rng, count: rng.random(count),
    "exponential": lambda rng, count: rng.exponential(size=count),
    "normal": lambda rng, count: rng.standard_normal(count),
    "lognormal": lambda rng, count: rng.lognormal(size=count),
}


def truth(name: str, p: float) -> tuple[float, float]:
    """Return VaR and ES in closed form."""
    z = stats.norm.ppf(p)
    return {
        "uniform": (p, (1 + p) / 2),
        "exponential": (-log(1 - p), 1 - log(1 - p)),
        "normal": (z, exp(-z * z / 2) / sqrt(2 * pi) / (1 - p)),
        "lognormal": (exp(z), sqrt(e) * stats.norm.cdf(1 - z) / (1 - p)),
    }[name]


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_estimates__large_sample__closed_form(name: str, level: float) -> None:
    losses = DRAWS[name](default_rng(7), 2_000_000)
    var, es = truth(name, level)
    assert value_at_risk(losses, level).value == pytest.approx(var, rel=0.01)
    assert expected_shortfall(losses, level).value == pytest.approx(es, rel=0.015)


def held(draw: Draw, count: int, times: int, estimate: Callable[..., object], true: float) -> int:
    found = 0
    for stream in SeedSequence(11).spawn(times):
        one = estimate(draw(default_rng(stream), count))
        found += one.low <= true <= one.high  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_value_at_risk__many_samples__holds_truth_as_often_as_binomial(
    name: str, level: float
) -> None:
    count, times = 2_000, 500
    below, above = stats.binom.ppf((0.025, 0.975), count, level)
    exact = stats.binom.cdf(above, count, level) - stats.binom.cdf(below - 1, count, level)
    assert exact >= 0.95
    var, _ = truth(name, level)
    found = held(DRAWS[name], count, times, lambda one: value_at_risk(one, level), var)
    low, high = stats.binom.ppf((1e-4, 1 - 1e-4), times, exact)
    assert low <= found <= high


# Least and most coverage that the asymptotic interval may truly have at this tail.
@pytest.mark.parametrize(
    ("name", "least"),
    [("uniform", 0.94), ("exponential", 0.93), ("normal", 0.93), ("lognormal", 0.91)],
)
def test_expected_shortfall__many_samples__holds_truth_nearly_as_often(
    name: str, least: float
) -> None:
    count, times, level = 10_000, 400, 0.99
    _, es = truth(name, level)
    found = held(DRAWS[name], count, times, lambda one: expected_shortfall(one, level), es)
    assert stats.binom.ppf(1e-4, times, least) <= found <= stats.binom.ppf(1 - 1e-4, times, 0.96)


def test_at_least__losses_seldom_seen__low_end_possible_and_truth_held_as_often() -> None:
    """Three paths in 1,000 lose 1 on average, so that the ES 99 is 0.3."""
    times, below, held_by = 400, 0, {"as it is": 0, "clipped": 0}
    for stream in SeedSequence(3).spawn(times):
        rng = default_rng(stream)
        one = expected_shortfall(rng.exponential(size=2_000) * (rng.random(2_000) < 0.003), 0.99)
        clipped = one.at_least(0)
        assert clipped.low >= 0
        assert (clipped.value, clipped.high) == (one.value, one.high)
        below += one.low < 0
        held_by["as it is"] += one.low <= 0.3 <= one.high
        held_by["clipped"] += clipped.low <= 0.3 <= clipped.high
    assert below > times / 10
    assert held_by["clipped"] == held_by["as it is"] >= stats.binom.ppf(1e-4, times, 0.95)


def test_value_at_risk__too_few_losses__end_is_infinite() -> None:
    found = value_at_risk(np.arange(100.0), 0.99)
    assert (found.value, found.high) == (98.0, np.inf)
    assert value_at_risk(np.arange(100.0), 0.01).low == -np.inf
    assert value_at_risk(np.arange(100.0), 0.01).at_least(0).low == 0


@pytest.mark.parametrize("count", [0, 1, 3, 999, 1_000])
def test_share_of__any_count__ends_are_where_a_tail_begins(count: int) -> None:
    found = share_of(count, 1_000)
    assert found.low <= found.value == count / 1_000 <= found.high
    if count:
        assert stats.binom.sf(count - 1, 1_000, found.low) == pytest.approx(0.025)
    if count < 1_000:
        assert stats.binom.cdf(count, 1_000, found.high) == pytest.approx(0.025)


def test_narrow_enough__narrow_soon__takes_no_further_batch() -> None:
    rng, taken = default_rng(3), []

    def batches() -> Iterator[NDArray[np.float64]]:
        while True:
            taken.append(rng.exponential(size=1_000))
            yield taken[-1]

    precision = Precision(share=0.05, least=2_000)
    losses, narrow = narrow_enough(batches(), 0.99, precision)
    assert narrow
    assert np.array_equal(losses, np.concatenate(taken))
    assert (
        expected_shortfall(losses, 0.99).half_width <= 0.05 * expected_shortfall(losses, 0.99).value
    )
    before = expected_shortfall(losses[:-1_000], 0.99)
    assert before.half_width > 0.05 * before.value


def test_narrow_enough__most_or_no_more_batches__says_not_narrow() -> None:
    batches = [default_rng(3).exponential(size=1_000)] * 9
    losses, narrow = narrow_enough(batches, 0.99, Precision(share=0.001, most=3_000))
    assert (losses.size, narrow) == (3_000, False)
    losses, narrow = narrow_enough(batches, 0.99, Precision(share=0.001))
    assert (losses.size, narrow) == (9_000, False)


def test_narrow_enough__within_the_floor__stops_at_the_least() -> None:
    batches = np.split(default_rng(3).exponential(size=4_500), 9)
    losses, narrow = narrow_enough(batches, 0.99, Precision(share=0, floor=100, least=2_500))
    assert (losses.size, narrow) == (2_500, True)


def test_narrow_enough__no_loss_seen__is_no_certainty() -> None:
    losses, narrow = narrow_enough([np.zeros(1_000)] * 5, 0.99, Precision(floor=100, most=4_000))
    assert (losses.size, narrow) == (4_000, False)


@pytest.mark.parametrize(("tail", "bounded"), [(0, False), (19, False), (20, True)])
def test_expected_shortfall__few_in_the_tail__has_no_upper_end(tail: int, bounded: bool) -> None:
    losses = np.zeros(10_000)
    losses[:tail] = 1 + default_rng(1).random(tail)
    found = expected_shortfall(losses, 0.99)
    assert found.value == pytest.approx(losses.sum() / 100)
    assert np.isfinite(found.high) == bounded


def test_narrow_enough__stopped_by_width__still_holds_truth_nearly_as_often() -> None:
    """Looking again and again costs a little coverage; no more than the tail itself does."""
    times, (_, es) = 200, truth("exponential", 0.99)
    precision, found = Precision(share=0.1, least=1_000), 0
    for stream in SeedSequence(5).spawn(times):
        rng = default_rng(stream)
        losses, _ = narrow_enough((rng.exponential(size=1_000) for _ in range(50)), 0.99, precision)
        one = expected_shortfall(losses, 0.99)
        found += one.low <= es <= one.high
    assert found >= stats.binom.ppf(1e-4, times, 0.92)


@pytest.mark.parametrize(
    ("losses", "level", "word"),
    [
        ([], 0.99, "of 0 losses"),
        ([1.0, np.nan], 0.99, "not all are numbers"),
        ([1.0], 1.0, "level"),
    ],
)
def test_estimates__unusable__refused(losses: list[float], level: float, word: str) -> None:
    for estimate in (value_at_risk, expected_shortfall):
        with pytest.raises(RiskError, match=word):
            estimate(np.array(losses), level)


@pytest.mark.parametrize(
    "given",
    [{"share": -1}, {"share": np.nan}, {"floor": -1}, {"floor": np.nan}, {"least": 0}, {"most": 1}],
)
def test_precision__unusable__refused(given: dict[str, int]) -> None:
    with pytest.raises(RiskError):
        Precision(**given)  # type: ignore[arg-type]


def test_narrow_enough__no_batch__refused() -> None:
    with pytest.raises(RiskError, match="no loss to judge"):
        narrow_enough([], 0.99, Precision())
