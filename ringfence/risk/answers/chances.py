"""How likely, and how soon, with what a sample can say of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from ringfence.risk.errors import RiskError
from ringfence.risk.rules.stepper import NEVER, Steps

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Chance:
    """So many hits among so many independent paths."""

    hits: int
    paths: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.paths or self.paths == 0:
            raise RiskError(f"{self.hits} hits in {self.paths} paths; draw at least one path")

    @property
    def value(self) -> float:
        """The part of the paths."""
        return self.hits / self.paths

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return Wilson's score interval; Wilson (1927), or Brown, Cai and DasGupta (2001), eq. 4.

        >>> [round(end, 4) for end in Chance(1, 10).interval()]
        [0.0179, 0.4042]
        """
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        scale = 1 + z * z / self.paths
        centre = self.value + z * z / (2 * self.paths)
        spread = self.value * (1 - self.value) / self.paths + z * z / (4 * self.paths**2)
        low, high = centre - z * sqrt(spread), centre + z * sqrt(spread)
        return max(low / scale, 0.0), min(high / scale, 1.0)


@dataclass(frozen=True, slots=True)
class Event:
    """What may happen to a position: its chance, and when, in seconds, in the paths where it does.

    `seconds` are the times at QUANTILES, of what was seen, none where it never happened.
    """

    chance: Chance
    seconds: tuple[int, ...]

    @classmethod
    def of(cls, first: Steps, step_seconds: int) -> Event:
        """Return the event whose first step in each path is given, or NEVER."""
        happened = np.sort(first[first != NEVER])
        at = [happened[int(part * happened.size)] for part in QUANTILES if happened.size]
        return cls(Chance(happened.size, first.size), tuple(int(one) * step_seconds for one in at))
