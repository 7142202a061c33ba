"""Figures of losses: their law, what choices cost, what they hang on, how exact the engine is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from ringfence.report.panel import (
    COLOURS,
    POINTS,
    Panel,
    along,
    bars,
    clean,
    figure,
    heat,
    line,
    marks,
    said,
    thinned,
)
from ringfence.report.style import EMPTY, Figure
from ringfence.risk.answers.sensitivity import Swing
from ringfence.risk.answers.tail import Estimate, share_of
from ringfence.risk.arrays import Floats, Integers
from ringfence.risk.errors import RiskError

_PERCENT = 100.0
_TABLE = 12


def distribution(losses: Floats, var: Estimate, es: Estimate, unit: str) -> Panel:
    """Return how often the loss [path] is above each amount, with VaR 95, ES 99 and intervals."""
    hit = int(np.count_nonzero(losses))
    bars_of = "the bars are the 95 % intervals of VaR and ES, where the paths bound them."
    words = f"{hit:,} lose anything; {bars_of}"
    if not hit:
        none = share_of(0, losses.size).high
        words = f"none of them loses anything, with 95 % confidence not {none:.2%} of all that are."
    x, y = above(losses)
    floor = 0.5 / losses.size
    data = [
        line("loss", x, np.maximum(y, floor), "$blue", showlegend=False, shape="hv"),
        *upright("VaR 95", var, 0.05, "$purple", floor),
        *upright("ES 99", es, 0.01, "$red", floor),
    ]
    shown = thinned(len(x), _TABLE)
    return Panel(
        "losses",
        "What lenders may lose",
        f"The share of {losses.size:,} paths on which lenders lose more than an amount: {words}",
        EMPTY
        if not hit
        else figure(
            data,
            along(f"lender loss, {unit}", rangemode="tozero"),
            along(
                "share of paths with a greater loss", type="log", dtick=1,
                range=[float(np.log10(floor)), 0.05],
            ),
        ),
        (f"loss, {unit}", "paths with more, %"),
        (
            *((*clean([x[at]]), *clean([_PERCENT * y[at]])) for at in shown),
            *rows("VaR 95", var),
            *rows("ES 99", es),
        ),
    )  # fmt: skip


def above(losses: Floats) -> tuple[list[float], list[float]]:
    """Return amounts of losses [path], rising, and the shares of paths that lose more than each."""
    ordered = np.sort(losses)
    shares = 1 - np.arange(1, ordered.size + 1) / ordered.size
    # Every loss above all; the flat part of those that are 0 is one point.
    kept = np.flatnonzero(np.diff(ordered, append=np.inf) > 0)
    # The axis of shares is logarithmic: half of the points go to the worst paths.
    worst = kept.size - np.geomspace(1, kept.size, POINTS).round().astype(np.int64)
    places = kept[np.union1d(thinned(kept.size), worst)]
    first = ([0.0], [1.0]) if ordered[0] > 0 else ([], [])
    return [*first[0], *ordered[places]], [*first[1], *shares[places]]


def upright(name: str, of: Estimate, level: float, colour: str, floor: float) -> list[Figure]:
    """Return an upright line at an estimate, and a bar as long as its interval, if it has one."""
    drawn = [line(name, [of.value] * 2, [floor, 1.0], colour, "dash", 1.6)]
    if isfinite(of.low) and isfinite(of.high):
        ends = [of.low, of.high]
        drawn.append(line("", ends, [level] * 2, colour, width=7, showlegend=False))
    return drawn


def rows(name: str, of: Estimate) -> list[tuple[str, str]]:
    """Return a table's rows of an estimate: what it is, and its interval in words."""
    ends = [f"{end:,.2f}" if isfinite(end) else "not known" for end in (of.low, of.high)]
    return [(name, f"{of.value:,.2f} ({ends[0]} to {ends[1]})")]


@dataclass(frozen=True, slots=True)
class Grid:
    """Lenders' loss by choice: parts of one ltvs [ltv] and bonuses [bonus], losses [bonus, ltv].

    A loss is the upper end of the ES 99, as a part of the debt. Choices rise in even steps.
    """

    ltvs: Floats
    bonuses: Floats
    losses: Floats

    def __post_init__(self) -> None:
        if self.losses.shape != (self.bonuses.size, self.ltvs.size):
            raise RiskError(
                f"losses are {self.losses.shape}; pass {(self.bonuses.size, self.ltvs.size)}, "
                "a row a bonus"
            )


def edge(grid: Grid, budget: float = 0.0) -> list[float | None]:
    """Return for each bonus the largest LTV up to which no loss is above a budget, a part of one.

    None where there is none. At a budget of 0 nothing is lost:

    >>> edge(Grid(np.array([0.7, 0.8]), np.array([0.05]), np.array([[0.0, 0.1]])))
    [0.7]
    """
    found: list[float | None] = []
    for row in grid.losses:
        lost = np.flatnonzero(row > budget)
        free = int(lost[0]) if lost.size else grid.ltvs.size
        found.append(float(grid.ltvs[free - 1]) if free else None)
    return found


def _steps(values: Floats) -> float:
    """Return how far evenly spaced values are apart, 0 for a single one."""
    return float(values[1] - values[0]) if values.size > 1 else 0.0


def heat_map(grid: Grid, budget: float = 0.0) -> Panel:
    """Return losses by liquidation LTV and bonus, with the edge up to which a budget holds."""
    free = edge(grid, budget)
    limit = f"at most {_PERCENT * budget:.3g} % is lost" if budget else "nothing is lost"
    x, y, z = _PERCENT * grid.ltvs, _PERCENT * grid.bonuses, _PERCENT * grid.losses
    data = [heat("loss, % of the debt", x, y, z, ("$card", "$red"))]
    half = _steps(grid.ltvs) / 2, _steps(grid.bonuses) / 2
    corners = [
        (_PERCENT * (ltv + half[0]), _PERCENT * (bonus + side))
        for bonus, ltv in zip(grid.bonuses.tolist(), free, strict=True)
        if ltv is not None
        for side in (-half[1], half[1])
    ]
    if corners:
        sides, levels = ([corner[way] for corner in corners] for way in (0, 1))
        data.append(line(f"{limit} left of it", sides, levels, "$green", width=3))
    best = max((ltv for ltv in free if ltv is not None), default=None)
    words = f"no LTV above {best:.1%} of those drawn" if best is not None else "no choice"
    return Panel(
        "heat",
        f"With which LTV and bonus {limit}",
        f"Lenders' loss, from none (pale) to {z.max():.3g} % of the debt (red), by liquidation LTV "
        f"and bonus, every few steps of the grid that choices lie on: {limit} at "
        f"{words}.",
        figure(data, along("liquidation LTV, %"), along("bonus, %"), 440),
        ("bonus, %", *(f"LTV {ltv:.4g} %: loss, %" for ltv in x)),
        tuple((*clean([bonus]), *clean(row)) for bonus, row in zip(y, z, strict=True)),
    )


@dataclass(frozen=True, slots=True)
class Option:
    """A choice by name: liquidation LTV and lenders' loss (parts of one, of the debt)."""

    name: str
    ltv: float
    loss: float


def frontier(line_of: Sequence[Option], others: Sequence[Option], budget: float) -> Panel:
    """Return the capital-efficiency frontier, other methods' choices beside it, and the budget.

    Efficiency is what a unit of equity carries at the liquidation LTV: 1 / (1 - LTV).
    """
    best = sorted(line_of, key=lambda one: one.ltv)
    most = [_PERCENT * one.loss for one in best]
    reach = [1 / (1 - one.ltv) for one in best]
    data = [
        line("frontier", most, reach, "$blue"),
        line("budget", [_PERCENT * budget] * 2, [min(reach), max(reach)], "$red", "dash", 1.5),
    ]
    symbols = ("circle", "square", "diamond", "triangle-up")
    data += [
        marks(one.name, [_PERCENT * one.loss], [1 / (1 - one.ltv)], colour, symbol, 11)
        for one, colour, symbol in zip(others, COLOURS[1:], symbols, strict=False)
    ]
    within = [one for one in best if one.loss <= budget]
    words = (
        f"within the budget {1 / (1 - within[-1].ltv):.2f} times" if within else
        "nothing is within the budget"
    )  # fmt: skip
    return Panel(
        "frontier",
        "What efficiency costs",
        "How much collateral a unit of equity carries when it becomes liquidatable (at the "
        f"opening, less: the initial LTV is lower) against what lenders may lose: {words}.",
        figure(
            data, along("loss, upper ES 99, % of the debt"),
            along("collateral / equity at the liquidation LTV"),
        ),
        ("choice", "liquidation LTV, %", "collateral / equity", "loss, % of the debt"),
        tuple(
            (one.name, *clean([_PERCENT * one.ltv, 1 / (1 - one.ltv), _PERCENT * one.loss]))
            for one in (*best, *others)
        ),
    )  # fmt: skip


def tornado(base: float, swings: Sequence[Swing], figure_name: str) -> Panel:
    """Return what a figure (its name with its unit) hangs on, the widest swing on top."""
    if not swings:
        raise RiskError("there is no assumption to vary; pass one at least")
    order = sorted(swings, key=lambda one: abs(one.at_high - one.at_low))
    names = [f"{one.name}: {one.low} / {one.high}" for one in order]
    data = [
        bars(which, [end - base for end in ends], names, colour, orientation="h", opacity=0.7,
             base=clean([base] * len(order)))
        for which, ends, colour in (
            ("the first value", [one.at_low for one in order], "$blue"),
            ("the second", [one.at_high for one in order], "$orange"),
        )
    ]  # fmt: skip
    widest = order[-1]
    still = all(one.at_low == one.at_high == base for one in order)
    words = "nothing here moves it." if still else f"most with {widest.name}."
    return Panel(
        "tornado",
        "What the figure hangs on",
        f"How {figure_name}, moves from {said(base)} when one assumption changes: {words}",
        EMPTY if still else figure(
            data, along(figure_name),
            along("", type="category", categoryarray=names), 120 + 38 * len(order),
            barmode="overlay",
        ),
        ("assumption", "first", figure_name, "second", figure_name),
        tuple(
            (one.name, one.low, *clean([one.at_low]), one.high, *clean([one.at_high]))
            for one in reversed(order)
        ),
    )  # fmt: skip


def agreement(errors: Integers, what: str, unit: str) -> Panel:
    """Return model less contract [case], which is to be a line at zero; `what` the cases are."""
    wrong = int(np.count_nonzero(errors))
    worst = int(np.abs(errors).max(initial=0))
    shown = thinned(errors.size)
    reach = max(worst, 1)
    return Panel(
        "agreement",
        "Whether the model is the contract",
        f"Model less contract on {errors.size:,} {what}: "
        + ("zero everywhere." if not wrong else f"{wrong:,} differ, by {worst:,} {unit} at most."),
        figure(
            [marks("model less contract", shown, errors[shown].tolist(),
                   "$red" if wrong else "$green", size=4, showlegend=False)],
            along(what),
            along(f"error, {unit}", range=[-1.2 * reach, 1.2 * reach]),
            260,
        ),
        ("cases", "that differ", f"largest error, {unit}"),
        ((int(errors.size), wrong, worst),),
    )  # fmt: skip
