"""The coupled engine's figures: measured on real runs, and missed when they fall short."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.figures import Figure
from benchmarks.simulator.coupled import TARGET, measure


def test_measure__a_few_paths__rates_and_what_happened() -> None:
    own, wall, mean, most = measure(paths=30)
    assert own.target == TARGET
    assert own.value > 0 < wall.value
    assert 0 < mean.value <= most.value


def test_missed__below_at_or_without_target__only_below() -> None:
    figure = Figure("day-paths", 1_999.0, "/s", 2_000.0, at_least=True)
    assert figure.missed
    assert not replace(figure, value=2_000.0).missed
    assert not replace(figure, target=None).missed
    assert figure.text(1_999.0) == "1,999 /s"
