"""Many paths of one scenario on the vectorised engine, a seed each, in as many processes.

A scenario opens the same whatever the seed, at its first price: it is opened once. A path is drawn
by its seed as for a single run, so that run `seed` of many is the one that `--seed` plays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringfence.deploy.local import TOKENS
from ringfence.math.balance_sheet import reserve_down
from ringfence.risk.answers.tail import Estimate, mean
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.work.tasks import Result, Say, Task, Workers, run_tasks
from ringfence.sim import feed
from ringfence.sim.scenario import Scenario
from ringfence.sim.vectorised.from_scenario import Opened
from ringfence.sim.vectorised.played import Played, Rules, play

BATCH = 8
"""Seeds in a task."""

_PROFIT = "keeper's profit"
FIGURES = (
    "liquidations",
    "positions liquidated",
    "repaid",
    "loss",
    "lenders' loss",
    "reserve",
    _PROFIT,
    "pool's low",
)
"""What is kept of a run: counts, then USDC, WETH at the last answer; gas is off the profit."""

_WORSE_LOW = ("reserve", _PROFIT, "pool's low")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure over all runs: its mean with an interval, its worst, and the worst one's seed."""

    name: str
    mean: Estimate
    worst: float
    worst_seed: int


def run_seeds(
    opened: Opened, scenario: Scenario, seeds: Sequence[int], workers: Workers, say: Say
) -> Iterator[Floats]:
    """Yield the figures of some runs at a time, float64 [run, figure], in the seeds' order.

    Raises RiskError for a path that is the same whatever the seed.
    """
    if scenario.path.csv is not None:
        raise RiskError("a path from a CSV file is the same for every seed; play it once")
    inputs = (
        _input(opened, scenario, seeds[at : at + BATCH]) for at in range(0, len(seeds), BATCH)
    )
    for result in run_tasks(_TASK, inputs, 0, workers, say):
        yield result["figures"]


def summary(figures: Floats, seeds: Sequence[int]) -> tuple[Figure, ...]:
    """Return each figure's mean and worst; figures: float64 [run, figure], a seed each."""
    found = []
    for name, column in zip(FIGURES, figures.T, strict=True):
        at = int(column.argmin() if name in _WORSE_LOW else column.argmax())
        told = mean(column) if name == _PROFIT else mean(column).at_least(0.0)
        found.append(Figure(name, told, float(column[at]), seeds[at]))
    return tuple(found)


def _input(opened: Opened, scenario: Scenario, seeds: Sequence[int]) -> dict[str, object]:
    paths = [scenario.path.draw(seed) for seed in seeds]
    answers = [feed.answers(scenario.feed, path.prices, path.step) for path in paths]
    return {
        "opened": opened,
        "rules": Rules.of(scenario),
        "prices": np.array([path.prices for path in paths]),
        "answers": np.array(answers, np.int64),
    }


def _play(given: Mapping[str, Any], _rng: np.random.Generator) -> Result:
    rows = [
        _figures(play(given["opened"], given["rules"], prices.tolist(), answers))
        for prices, answers in zip(given["prices"], given["answers"], strict=True)
    ]
    return {"figures": np.array(rows)}


_TASK = Task("scenario runs", _play)


def _figures(played: Played) -> list[float]:
    """Return FIGURES of a run."""
    ether = int(played.answers[-1]) / feed.SCALE
    sold = played.sold
    gas = sum(one.gas for one in sold) * played.rules.gas_price / 10**18 * ether

    def in_usdc(amount: Callable[[str], int]) -> float:
        """Return what all markets have of something, asset units of a market by its name."""
        found = 0.0
        for name, vault in played.vaults.items():
            asset = vault.opened.asset
            worth = ether if asset == "WETH" else 1.0
            found += amount(name) / float(10 ** TOKENS[asset].decimals) * worth
        return found

    def moved(what: str) -> float:
        return in_usdc(lambda name: sum(getattr(one, what) for one in played.vaults[name].sold))

    def reserve(name: str) -> int:
        vault = played.vaults[name]
        return reserve_down(vault.opened.interest.at(vault.sheet, played.times[-1]))

    return [
        float(len(sold)),
        float(len({(one.market, one.position) for one in sold})),
        moved("repaid"),
        moved("loss"),
        moved("socialised"),
        in_usdc(reserve),
        moved("profit") - gas,
        played.low * 1e12,
    ]
