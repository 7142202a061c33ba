"""Days on which the market broke: their open, worst hour and low as they were, the way drawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from itertools import pairwise
from math import sqrt
from typing import Annotated, Self

import numpy as np
from numpy.random import Generator
from pydantic import BeforeValidator, Field, model_validator

from ringfence.deploy.files import Table, parse, refuse
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import DAY, not_below_zero
from ringfence.risk.prices.waypoints import HOUR, Waypoint, draw_path

_PERCENT = 100.0
_TOLERANCE = 0.1
_SEEDS = 2**63


@dataclass(frozen=True, slots=True)
class Stress:
    """A day through its waypoints, (second, price relative to the open), to 86,400 s.

    `noise` is the standard deviation of a log return over an hour, where the path is free: between
    waypoints, inside their highest and lowest price, and no hour worse than the waypoints' worst
    one (`ringfence.risk.prices.waypoints`). After the day the price stands still.
    """

    waypoints: tuple[Waypoint, ...]
    noise: float

    def __post_init__(self) -> None:
        not_below_zero(noise=self.noise)
        if not self.waypoints or self.waypoints[-1][0] != DAY:
            raise RiskError(f"the waypoints must end at {DAY} s, the day's end")

    def draw(self, rng: Generator, paths: int, steps: int, step_seconds: int) -> Floats:
        """Return relative prices, float64 [path, steps + 1]; PathError for steps no hour holds."""
        if steps * step_seconds < DAY:
            raise RiskError(
                f"{steps} steps of {step_seconds} s are {steps * step_seconds} s; a stress day "
                f"needs its {DAY} s, ask for more steps"
            )
        noise = self.noise * sqrt(step_seconds / HOUR)
        drawn = [
            draw_path(self.waypoints, step=step_seconds, noise=noise, seed=int(seed)).prices
            for seed in rng.integers(_SEEDS, size=paths)
        ]
        prices = np.array(drawn).reshape(paths, -1)
        return np.pad(prices, ((0, 0), (0, steps + 1 - prices.shape[1])), mode="edge")


def _percent(value: object) -> object:
    if isinstance(value, bool | str):
        raise refuse(f"is {value!r}, not a number of percent")
    return value


Percent = Annotated[float, BeforeValidator(_percent), Field(gt=-100, allow_inf_nan=False)]
"""A change in percent of what was before."""


class DayTable(Table):
    """A day: its two figures, and waypoints of (hour, percent of the open) that hold them."""

    date: date
    open_to_low: Percent
    worst_hour: Percent
    waypoints: Annotated[tuple[tuple[int, Percent], ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _holds(self) -> Self:
        low = min(percent for _hour, percent in self.waypoints)
        hours = [
            ((1 + after / _PERCENT) / (1 + before / _PERCENT) - 1) * _PERCENT
            for (start, before), (end, after) in pairwise(self.waypoints)
            if end - start == 1
        ]
        for name, stated, found in (
            ("open_to_low", self.open_to_low, low),
            ("worst_hour", self.worst_hour, min(hours, default=0.0)),
        ):
            if abs(stated - found) > _TOLERANCE:
                raise refuse(
                    f"{name} of {self.date} is {stated}, its waypoints' is {found:.2f} (limit "
                    f"{_TOLERANCE} apart); correct one of them"
                )
        return self

    def model(self, noise: float) -> Stress:
        """Return the day's price model."""
        points = [(hour * HOUR, 1 + percent / _PERCENT) for hour, percent in self.waypoints]
        return Stress(tuple(points), noise)


class StressTable(Table):
    """The file of days, where their figures are from, and what the way between is drawn with."""

    source: str
    noise: Annotated[float, Field(ge=0)]
    days: Annotated[tuple[DayTable, ...], Field(min_length=1)]


@cache
def stress_table() -> StressTable:
    """Return the days that are shipped, with their figures and source."""
    file = resources.files("ringfence.risk.prices") / "data" / "stress.toml"
    return parse(file.read_text(encoding="utf-8"), StressTable, file.name)


def stress_days() -> dict[str, Stress]:
    """Return the price models of the days that are shipped, by date."""
    table = stress_table()
    return {day.date.isoformat(): day.model(table.noise) for day in table.days}
