"""The keeper's figures beside their targets."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.figures import Figure


def p95(samples: Sequence[float]) -> float:
    """Return the value that 95 % of the samples are at or below."""
    rising = sorted(samples)
    return rising[-(-95 * len(rising) // 100) - 1]


def of_times(name: str, seconds: Sequence[float], target: float) -> list[Figure]:
    """Return median and 95th percentile of times, milliseconds; the target is the latter's."""
    return [
        Figure(f"{name}, median of {len(seconds)}", median(seconds) * 1_000, "ms"),
        Figure(f"{name}, p95", p95(seconds) * 1_000, "ms", target),
    ]
