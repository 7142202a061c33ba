"""Chances with their interval, and times with their quantiles."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from ringfence.risk.answers import chances
from ringfence.risk.answers.chances import Chance, Event
from ringfence.risk.errors import RiskError
from ringfence.risk.rules.stepper import NEVER


def test_docstrings__their_examples__come_out_as_written() -> None:
    results = doctest.testmod(chances)
    assert results.attempted
    assert not results.failed


@pytest.mark.parametrize("chance", [0.01, 0.2, 0.9])
def test_interval__many_samples__covers_as_often_as_it_says(chance: float) -> None:
    hits = np.random.default_rng(1).binomial(5_000, chance, 20_000).tolist()
    ends = {count: Chance(count, 5_000).interval(0.9) for count in set(hits)}
    covered = sum(ends[count][0] <= chance <= ends[count][1] for count in hits)
    assert 0.885 < covered / len(hits) < 0.915


def test_interval__ends_solve_the_score_equation() -> None:
    found, z = Chance(37, 1_000), 1.959963984540054
    for end in found.interval():
        assert abs(found.value - end) == pytest.approx(z * (end * (1 - end) / 1_000) ** 0.5)


@pytest.mark.parametrize(("hits", "end", "at"), [(0, 0, 0.0), (50, 1, 1.0)])
def test_interval__none_or_all__stays_within_zero_and_one(hits: int, end: int, at: float) -> None:
    ends = Chance(hits, 50).interval()
    assert ends[end] == pytest.approx(at, abs=1e-12)
    assert 0 <= ends[0] < ends[1] <= 1


def test_chance__no_paths__is_refused() -> None:
    with pytest.raises(RiskError, match="at least one path"):
        Chance(0, 0)


def test_event__first_steps__tells_their_times() -> None:
    first = np.array([5, NEVER, 1, 3, 2, 4, NEVER], np.int32)
    assert Event.of(first, 60) == Event(Chance(5, 7), (60, 180, 300))
    assert Event.of(first[1:2], 60) == Event(Chance(0, 1), ())
