"""Figures beside their targets, the most or the least."""

from __future__ import annotations

import pytest

from benchmarks.figures import Figure


@pytest.mark.parametrize(
    ("value", "at_least", "missed", "bound"),
    [
        (2.0, False, False, "<= 2 s"),
        (2.1, False, True, "<= 2 s"),
        (2.0, True, False, ">= 2 s"),
        (1.9, True, True, ">= 2 s"),
    ],
)
def test_figure__a_target__is_missed_on_its_far_side(
    value: float, at_least: bool, missed: bool, bound: str
) -> None:
    figure = Figure("one", value, "s", 2.0, at_least=at_least)
    assert figure.missed == missed
    assert figure.bound == bound


def test_figure__no_target__is_only_told() -> None:
    figure = Figure("one", 12_345.6, "s")
    assert not figure.missed
    assert figure.bound == ""
    assert figure.text(figure.value) == "12,346 s"
