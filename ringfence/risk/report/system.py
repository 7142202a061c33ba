"""Figures of the whole: outages, cascades, the pool, and isolated beside cross margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ringfence.report.panel import (
    COLOURS,
    Panel,
    Row,
    along,
    clean,
    clock,
    figure,
    line,
    marks,
    said,
    thinned,
)
from ringfence.report.style import EMPTY
from ringfence.risk.answers.tail import mean
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError

_PERCENT = 100.0
_TABLE = 12
_STILL = 1e-4
_WIDTHS = (7.0, 5.0, 3.0, 1.5)
"""Of lines one on another, so that each is seen where they are the same."""
_PAIRS = 600
"""Paths that are drawn as points: the first ones."""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """An outage: blocks it lasts, and lenders' loss on the mean and on the worst path."""

    blocks: int
    loss: float
    worst: float


def outage(curves: Mapping[str, Sequence[Cutoff]], unit: str) -> Panel:
    """Return what outages cost by how long they last, a curve for each thing cut off, by name."""
    data = []
    rows: list[tuple[str, int, float, float]] = []
    for (name, curve), colour, width in zip(curves.items(), COLOURS, _WIDTHS, strict=False):
        ends = [one.blocks for one in curve]
        data.append(line(name, ends, [one.loss for one in curve], colour, width=width))
        if any(one.worst != one.loss for one in curve):
            worst = [one.worst for one in curve]
            data.append(line(f"{name}, worst path", ends, worst, colour, "dot", 1.4))
        rows += [(name, one.blocks, one.loss, one.worst) for one in curve]
    if not rows:
        raise RiskError("there is no outage to draw; pass one curve at least")
    name, blocks, most, _ = max(rows, key=lambda row: row[2])
    words = "none of them adds to it."
    if most > min(curve[0].loss for curve in curves.values()):
        words = f"{name} for {blocks:,} blocks costs most, {said(most)} {unit} on the average path."
    return Panel(
        "outage",
        "What an outage costs",
        f"Lenders' loss by how long something is cut off: {words}",
        figure(
            data,
            along("outage, blocks", rangemode="tozero"),
            along(f"lender loss, {unit}", rangemode="tozero"),
        ),
        ("cut off", "blocks", f"mean loss, {unit}", f"worst, {unit}"),
        tuple(rows),
    )


@dataclass(frozen=True, slots=True)
class Missed:
    """What an eclipse of some blocks costs the keeper itself, whole assets.

    Calls and profit that it misses; calls that fail, their gas if sent once, and if every step.
    """

    blocks: int
    calls: float
    profit: float
    failed: float
    burned: float
    burned_again: float


def eclipse(own: Sequence[Missed], unit: str) -> Panel:
    """Return what a frozen head costs the one keeper that sees it, by how long."""
    if not own:
        raise RiskError("there is no eclipse to draw; pass one at least")
    ends, longest = [one.blocks for one in own], max(own, key=lambda one: one.blocks)
    lines = (
        ("profit missed", [one.profit for one in own], "$blue", "solid"),
        ("gas, each failing call once", [one.burned for one in own], "$red", "dash"),
        ("gas, again every step", [one.burned_again for one in own], "$red", "solid"),
    )
    return Panel(
        "eclipse",
        "What an eclipse costs the keeper",
        f"One keeper's own account behind a frozen head: {longest.blocks:,} blocks cost it "
        f"{longest.calls:,.0f} calls and {said(longest.profit)} {unit} of profit; the "
        f"{longest.failed:,.0f} calls that it sends on that head fail.",
        figure(
            [line(name, ends, values, colour, dash) for name, values, colour, dash in lines],
            along("eclipse, blocks", rangemode="tozero"),
            along(f"missed or burned, {unit}", rangemode="tozero"),
        ),
        (
            "blocks", "calls missed", f"profit missed, {unit}", "calls failed",
            f"gas once, {unit}", f"gas every step, {unit}",
        ),
        tuple(
            (one.blocks, *clean([one.calls, one.profit, one.failed, one.burned, one.burned_again]))
            for one in own
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timeline:
    """One path [step]: relative prices and debt liquidated so far, a part of all of it.

    Without feedback the price is the market's; with it, what sales have made of it.
    """

    price: Floats
    price_fed: Floats
    liquidated: Floats
    liquidated_fed: Floats
    step_seconds: int


def _settled(of: Timeline) -> int:
    """Return how many steps there are until nothing changes any more, and a quarter of them."""
    all_of_them = np.stack((of.price, of.price_fed, of.liquidated, of.liquidated_fed))
    moving = np.flatnonzero(np.abs(np.diff(all_of_them)).max(axis=0) > _STILL)
    last = int(moving[-1]) + 2 if moving.size else of.price.size
    return min(last + last // 4, of.price.size)


def cascade(of: Timeline) -> Panel:
    """Return how a fall feeds on itself: prices and debt liquidated, without and with feedback."""
    steps = thinned(_settled(of))
    unit, times = clock(steps, of.step_seconds)
    lines = (
        ("price without feedback", of.price, "$blue", "dot"),
        ("price with it", of.price_fed, "$blue", "solid"),
        ("liquidated without feedback", of.liquidated, "$red", "dot"),
        ("liquidated with it", of.liquidated_fed, "$red", "solid"),
    )
    shown = [(name, _PERCENT * part[steps], colour, dash) for name, part, colour, dash in lines]
    more = float(of.liquidated_fed[-1] - of.liquidated[-1])
    rows = thinned(len(times), _TABLE)
    return Panel(
        "cascade",
        "How a fall feeds on itself",
        "Prices and debt liquidated along one path, without (dotted) and with what sales do to the "
        f"price (solid): feedback liquidates {more:.1%} of the debt more.",
        figure(
            [line(name, times, values, colour, dash) for name, values, colour, dash in shown],
            along(f"time, {unit}"),
            along("% of the first price, % of the debt"),
            430,
        ),
        (f"time, {unit}", *(f"{name}, %" for name, *_ in shown)),
        tuple((times[at], *clean([values[at] for _, values, *_ in shown])) for at in rows),
    )


def depth(sizes: Floats, slips: Floats, borne: float | None, unit: str) -> Panel:
    """Return what a sale of each size (worth before it, asset units) loses, parts of one.

    `borne` is the largest one that liquidations still pay for.
    """
    data = [line("sold at a loss of", sizes, _PERCENT * slips, "$blue", showlegend=False)]
    words = "no liquidation pays for one"
    if borne is not None:
        ends = [0.0, _PERCENT * float(slips.max())]
        data.append(line("liquidations pay up to here", [borne] * 2, ends, "$red", "dash", 1.6))
        words = f"liquidations pay up to {said(borne)} {unit}"
    rows = thinned(sizes.size, _TABLE)
    return Panel(
        "depth",
        "What the pool bears",
        f"What a sale into the pool loses to its fee and slippage, by its size: {words}.",
        figure(
            data,
            along(f"sold at once, {unit}", rangemode="tozero"),
            along("lost to fee and slippage, %", rangemode="tozero"),
        ),
        (f"sold, {unit}", "lost, %"),
        tuple(tuple(clean([sizes[at], _PERCENT * slips[at]])) for at in rows),
    )


def pairs(isolated: Floats, cross: Mapping[str, Floats], what: str, name: str = "pairs") -> Panel:
    """Return isolated against cross margin, path by path [path]; `what` is its name and unit.

    Below the line cross has less of it, above it more.
    """
    first = isolated[:_PAIRS]
    ends = [0.0, max(float(first.max()), *(float(one[:_PAIRS].max()) for one in cross.values()))]
    ends[1] = ends[1] or 1.0
    data = [line("as much of it", ends, ends, "$text", "dash", 1.2)]
    rows: list[Row] = []
    words = []
    symbols = ("circle", "diamond", "square")
    looks = zip(cross.items(), COLOURS[1:], symbols, strict=False)
    for (kind, values), colour, symbol in looks:
        data.append(marks(kind, first, values[:_PAIRS], colour, symbol, 5, opacity=0.6))
        apart = mean(values - isolated)
        less, more = (float(np.mean(one)) for one in (values < isolated, values > isolated))
        words.append(f"{kind} has less on {less:.0%} of the paths, more on {more:.0%}")
        means = [float(isolated.mean()), float(values.mean()), apart.value]
        rows.append(
            (kind, *clean(means), *(said(end) for end in (apart.low, apart.high)),
             *clean([_PERCENT * less, _PERCENT * more]))
        )  # fmt: skip
    none = not isolated.any() and not any(one.any() for one in cross.values())
    return Panel(
        name,
        f"Isolated and cross: {what.split(',')[0]}",
        f"Each path's {what}, isolated against cross: "
        + ("there is none on any." if none else f"{'; '.join(words)}."),
        EMPTY if none else figure(data, along(f"isolated: {what}"), along(f"cross: {what}"), 460),
        ("margin", "isolated, mean", "cross, mean", "cross less isolated", "from", "to",
         "paths with less, %", "with more, %"),
        tuple(rows),
    )  # fmt: skip
