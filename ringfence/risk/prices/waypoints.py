"""A price path through given waypoints: straight in logarithms, with a seeded bridge on it.

The bridge is zero at every waypoint: the path goes through each exactly, whatever the seed. It is
mirrored at the waypoints' highest and lowest price, and turned down wherever an hour would fall by
more than the waypoints' own worst one: the extremes are the data's, only the way between is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log, sqrt
from random import Random
from typing import TypeAlias

from ringfence.errors import RingfenceError

Waypoint: TypeAlias = tuple[int, float]
"""Seconds since the start, price."""

HOUR = 3_600
_SHRINK = 0.9
_NOISELESS = 0.01
_ROUNDING = 1e-12


class PathError(RingfenceError, ValueError):
    """The waypoints make no path."""


@dataclass(frozen=True, slots=True)
class PricePath:
    """Prices at 0, `step`, 2 `step`, ... seconds, the last waypoint's time included."""

    step: int
    prices: tuple[float, ...]

    def worst_fall(self, seconds: int = HOUR) -> float:
        """Return the greatest fall over any span of `seconds`, as a part of one; 0 for none.

        >>> PricePath(1_800, (100.0, 80.0, 90.0)).worst_fall()
        0.09999999999999998
        """
        return worst_fall(self.prices, seconds // self.step)


def worst_fall(prices: Sequence[float], steps: int) -> float:
    """Return the greatest fall from one price to that `steps` later, as a part of one."""
    falls = [1 - after / before for before, after in zip(prices, prices[steps:], strict=False)]
    return max([0.0, *falls])


def draw_path(waypoints: Sequence[Waypoint], *, step: int, noise: float, seed: int) -> PricePath:
    """Return the path through `waypoints` for a seed.

    `step` is in seconds, `noise` the standard deviation of a free step's logarithmic return, as
    a part of one. Raises PathError unless the waypoints begin at 0, lie on whole steps in their
    order, and have prices above zero.
    """
    _check(waypoints, step)
    anchors = [time // step for time, _price in waypoints]
    line = _line(waypoints, step)
    bridge = _bridge(anchors, Random(seed))
    hour = HOUR // step
    limit = worst_fall([exp(value) for value in line], hour) + _ROUNDING
    sizes = [noise] * (len(anchors) - 1)
    while True:
        prices = _prices(waypoints, anchors, line, bridge, sizes)
        steep = [i for i in range(len(prices) - hour) if 1 - prices[i + hour] / prices[i] > limit]
        if not steep:
            return PricePath(step, tuple(prices))
        for index, (start, end) in enumerate(pairwise(anchors)):
            if any(first < end and first + hour > start for first in steep):
                small = sizes[index] < _NOISELESS * noise
                sizes[index] = 0.0 if small else sizes[index] * _SHRINK


def _prices(
    waypoints: Sequence[Waypoint],
    anchors: Sequence[int],
    line: Sequence[float],
    bridge: Sequence[float],
    sizes: Sequence[float],
) -> list[float]:
    """Return the path's prices with a size of the bridge for each stretch between waypoints."""
    low, high = (pick(price for _time, price in waypoints) for pick in (min, max))
    prices = [waypoints[0][1]]
    for (start, end), size, (_time, price) in zip(
        pairwise(anchors), sizes, waypoints[1:], strict=True
    ):
        for index in range(start + 1, end):
            drawn = exp(line[index] + size * bridge[index])
            drawn = high * high / drawn if drawn > high else drawn
            prices.append(low * low / drawn if drawn < low else drawn)
        prices.append(price)
    return prices


def _check(waypoints: Sequence[Waypoint], step: int) -> None:
    if step <= 0 or HOUR % step:
        raise PathError(f"step is {step} s; an hour must be a whole number of steps")
    if len(waypoints) < 2 or waypoints[0][0] != 0:
        raise PathError("a path needs two waypoints or more, the first at 0 s")
    for (before, _price), (after, _next) in pairwise(waypoints):
        if after <= before:
            raise PathError(f"waypoint {after} s does not come after {before} s; reorder them")
    for time, price in waypoints:
        if time % step:
            raise PathError(f"waypoint {time} s is not on a step of {step} s; move it")
        if price <= 0:
            raise PathError(f"the price at {time} s is {price}; it must be above 0")


def _line(waypoints: Sequence[Waypoint], step: int) -> list[float]:
    """Return logarithms of the prices on the straight lines between waypoints."""
    values = [log(waypoints[0][1])]
    for (start, first), (end, last) in pairwise(waypoints):
        count = (end - start) // step
        slope = (log(last) - log(first)) / count
        values += [log(first) + slope * index for index in range(1, count + 1)]
    return values


def _bridge(anchors: Sequence[int], random: Random) -> list[float]:
    """Return Brownian bridges of unit steps between anchors, each drawn point by point."""
    values = [0.0]
    for start, end in pairwise(anchors):
        for index in range(start + 1, end):
            left = end - index
            values.append(
                values[-1] * left / (left + 1) + sqrt(left / (left + 1)) * random.gauss(0, 1)
            )
        values.append(0.0)
    return values
