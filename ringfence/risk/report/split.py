"""Figures of capital split over slots: margins, the account's loss, and what more risk buys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ringfence.report.panel import (
    Panel,
    along,
    bars,
    clean,
    figure,
    line,
    marks,
    said,
    thinned,
)
from ringfence.risk.answers.allocate import Allocation
from ringfence.risk.answers.tail import Estimate
from ringfence.risk.arrays import Floats
from ringfence.risk.report.losses import above, rows, upright

_PERCENT = 100.0
_TABLE = 12


def margins(names: Sequence[str], split: Floats, capital: float, unit: str) -> Panel:
    """Return what each slot gets, float64 [slot], by its name, and what is kept in cash."""
    amounts = {
        **dict(zip(names, split.tolist(), strict=True)),
        "cash": max(capital - float(split.sum()), 0.0),
    }
    shown = [name for name in names if amounts[name] > 0] + ["cash"]
    order = shown[::-1]
    return Panel(
        "margins",
        "Where the capital goes",
        f"The margin of each slot that gets any: {len(shown) - 1} of {len(names)} do, "
        f"{amounts['cash']:,.2f} of {capital:,.2f} are kept in cash.",
        figure(
            [
                bars("margin", [amounts[name] for name in order], order, "$blue",
                     orientation="h", showlegend=False),
            ],
            along(f"margin, {unit}", rangemode="tozero"),
            along("", type="category", categoryarray=order),
            120 + 38 * len(order),
        ),
        ("slot", f"margin, {unit}", "of the capital, %"),
        tuple(
            (name, *clean([amount, _PERCENT * amount / capital]))
            for name, amount in amounts.items()
        ),
    )  # fmt: skip


def account_loss(losses: Floats, es: Estimate, level: float, budget: float, unit: str) -> Panel:
    """Return how often the account's loss [path] is above each amount, with its ES and budget.

    What is below 0 is a gain.
    """
    x, y = above(losses)
    floor = 0.5 / losses.size
    # Of gains as much is drawn as of losses: the largest would hide them.
    most = max(abs(x[-1]), budget)
    least = next(at for at, one in enumerate(x) if one >= -most)
    shares = np.maximum(y[least:], floor)
    name = f"ES {_PERCENT * level:.4g}"
    place = "within"
    if not es.low <= budget <= es.high:
        place = "above" if budget > es.high else "below"
    shown = thinned(len(x), _TABLE)
    return Panel(
        "account",
        "What the account may lose",
        f"The share of {losses.size:,} other paths on which the account loses more than an amount, "
        f"or gains less where that is below 0: its {name} is {said(es.value)}, "
        f"the budget is {place} its interval.",
        figure(
            [
                line("loss", x[least:], shares, "$blue", showlegend=False, shape="hv"),
                *upright(name, es, 1 - level, "$red", floor),
                line("budget", [budget] * 2, [floor, 1.0], "$green", "dot", 1.6),
            ],
            along(f"loss of the account, {unit}"),
            along(
                "share of paths with a greater loss", type="log", dtick=1,
                range=[float(np.log10(floor)), 0.05],
            ),
        ),
        (f"loss, {unit}", "paths with more, %"),
        (
            *((*clean([x[at]]), *clean([_PERCENT * y[at]])) for at in shown),
            *rows(name, es),
            ("budget", f"{budget:,.2f}"),
        ),
    )  # fmt: skip


def reach(budgets: Sequence[float], splits: Sequence[Allocation], asked: float, unit: str) -> Panel:
    """Return the mean exposure of the best split inside each budget, rising, against its ES.

    `asked` is one of the budgets; exposures and ES are those of other paths than chose the splits.
    """
    risk = [one.shortfall.value for one in splits]
    exposure = [one.exposure.value for one in splits]
    own = list(budgets).index(asked)
    return Panel(
        "reach",
        "What more risk buys",
        f"Mean exposure of the best split by the ES that other paths find: with the budget asked "
        f"for, {said(asked)}, {said(exposure[own])} at {said(risk[own])}.",
        figure(
            [
                line("best splits", risk, exposure, "$blue"),
                marks("the split", [risk[own]], [exposure[own]], "$red", "diamond", 11),
            ],
            along(f"ES of the account's loss, {unit}", rangemode="tozero"),
            along(f"mean exposure at the end, {unit}", rangemode="tozero"),
        ),
        (f"budget, {unit}", "ES", "from", "to", "mean exposure", "mean return"),
        tuple(
            (
                *clean([budget, one.shortfall.value]),
                *(said(end) for end in (one.shortfall.low, one.shortfall.high)),
                *clean([one.exposure.value, one.gain.value]),
            )
            for budget, one in zip(budgets, splits, strict=True)
        ),
    )
