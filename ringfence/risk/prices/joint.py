"""Prices of several markets whose tokens move together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import PriceModel

LEAST = 100
"""Paths that a mean is taken of, at least: it is no path's own."""


@dataclass(frozen=True, slots=True)
class JointPrices:
    """So many paths of markets' prices.

    `moves` is each market's token, from 0: markets on one token share its price; correlation is
    that of the tokens' log returns, 0 to 1.
    """

    moves: list[int]
    model: PriceModel
    correlation: float
    paths: int
    steps: int
    step_seconds: int

    def __post_init__(self) -> None:
        if not 0 <= self.correlation <= 1:
            raise RiskError(f"correlation is {self.correlation} (limits 0 and 1); pass 0.6")

    def draw(self, rng: Generator) -> Floats:
        """Return relative prices [market, path, step].

        What a token's log prices are off their mean is a common draw's and its own, weighted so
        that their variance is the model's; a token by itself has the model's own law. The mean is
        kept as it is, or a drift would count more than once, and so would the fall of a stress day;
        it is that of all that is drawn here, step by step, LEAST paths at least: of a single path
        it would take a part of what that is off. Under another law than the normal the
        mix is a little nearer to normal than the model, but a crash of the common draw hits all.
        """
        tokens = max(self.moves) + 1
        correlation = self.correlation if tokens > 1 else 1.0
        shape = max(self.paths, LEAST), self.steps, self.step_seconds
        drawn = np.log([self.model.draw(rng, *shape) for _ in range(tokens + 1)])
        mean = drawn.mean(axis=(0, 1))
        drawn = drawn[:, : self.paths] - mean
        common, own = correlation**0.5, (1 - correlation) ** 0.5
        prices: Floats = np.exp(mean + common * drawn[0] + own * drawn[1:])
        return prices[self.moves]
