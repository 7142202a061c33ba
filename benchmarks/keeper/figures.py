"""The keeper's figures beside their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `target` is the most it may be, None for one that is only told."""

    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def missed(self) -> bool:
        """Return whether it is beyond its target."""
        return self.target is not None and self.value > self.target

    def text(self, value: float) -> str:
        """Return a value in the figure's unit."""
        return f"{value:,.0f} {self.unit}" if value >= 1_000 else f"{value:,.3g} {self.unit}"


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
