"""Price models out of prices that were seen: blocks of their returns, and the path itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.random import Generator

from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import above_zero, walk


def _joined(own: int, asked: int) -> int:
    """Return how many own steps make one asked for; raise RiskError unless whole."""
    if asked <= 0 or asked % own:
        raise RiskError(
            f"a step of {asked} s was asked for, the data's is {own} s; ask for {own} s or a "
            "multiple of it"
        )
    return asked // own


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """Blocks of `block` consecutive log returns, begun anywhere, put one after another.

    `returns` float64 [return], `step_seconds` apart. The data's end is followed by its begin, so
    that every return is as likely: the circular block bootstrap (Politis & Romano 1992). The mean
    of the data, its drift, is kept.
    """

    returns: Floats
    block: int
    step_seconds: int

    def __post_init__(self) -> None:
        above_zero(step_seconds=self.step_seconds)
        if not np.isfinite(self.returns).all():
            raise RiskError("a return is not finite; remove the row it comes from")
        if not 1 <= self.block <= len(self.returns):
            raise RiskError(
                f"block is {self.block}; it must be from 1 to the {len(self.returns)} returns given"
            )

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1]."""
        joined = _joined(self.step_seconds, step_seconds)
        count = steps * joined
        starts = rng.integers(0, len(self.returns), (paths, ceil(count / self.block)))
        where = (starts[:, :, None] + np.arange(self.block)) % len(self.returns)
        returns = self.returns[where.reshape(paths, -1)[:, :count]]
        return walk(returns.reshape(paths, steps, joined).sum(2))


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The one path that was given: `prices` float64 [price], `step_seconds` apart."""

    prices: Floats
    step_seconds: int

    def __post_init__(self) -> None:
        above_zero(step_seconds=self.step_seconds)
        if not (np.isfinite(self.prices) & (self.prices > 0)).all():
            raise RiskError("a price is not finite and above 0; remove its row")

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:  # noqa: ARG002
        """Return relative prices, float64 [path, steps + 1], every path the same."""
        joined = _joined(self.step_seconds, step_seconds)
        if steps * joined >= len(self.prices):
            raise RiskError(
                f"{steps} steps of {step_seconds} s were asked for, the data has "
                f"{(len(self.prices) - 1) // joined}; ask for fewer or give more"
            )
        chosen = self.prices[: steps * joined + 1 : joined]
        return np.tile(chosen / chosen[0], (paths, 1))
