"""Figures of prices: the fan of paths, the fit of the tails, the days that were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator

from ringfence.report.panel import (
    COLOURS,
    Panel,
    Row,
    along,
    band,
    clean,
    clock,
    figure,
    line,
    marks,
    thinned,
)
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.fit import Fit
from ringfence.risk.prices.paths import PriceModel

_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TABLE = 12
"""Rows of a table that thins a line."""
_DRAWS = (400, 500)
"""Paths and steps from which the quantiles of a fitted law come."""
_QUANTILES = 160
_DAYS = tuple(one for one in COLOURS if one != "$red")
"""Red is the trigger's."""


def fan(paths: Floats, step_seconds: int, trigger: float | None = None) -> Panel:
    """Return the fan chart of relative prices, float64 [path, step].

    `trigger` is the relative price at which a position of interest is liquidatable.
    """
    steps = thinned(paths.shape[1])
    unit, times = clock(steps, step_seconds)
    shares = np.quantile(paths[:, steps], _SHARES, axis=0)
    least, low, under, middle, over, high, most = shares
    data = [
        *band("5 to 95 % of the paths", times, low, high, "$wide"),
        *band("25 to 75 %", times, under, over, "$near"),
        line("1 and 99 %", times, least, "$muted", "dot", 1.2),
        line("", times, most, "$muted", "dot", 1.2, showlegend=False),
        line("half lie below", times, middle, "$blue"),
    ]
    words = ""
    if trigger is not None:
        data.append(line("liquidation", [times[0], times[-1]], [trigger] * 2, "$red", "dash"))
        words = f", against the trigger at {trigger:.4g}"
    rows = thinned(len(times), _TABLE)
    return Panel(
        "fan",
        "Where the price may go",
        f"Between which prices {len(paths):,} drawn paths lie over time, relative to the first "
        f"one{words}.",
        figure(data, along(f"time, {unit}"), along("price / first price")),
        (f"time, {unit}", *(f"{share:.0%} of paths below" for share in _SHARES)),
        tuple((times[row], *clean(shares[:, row])) for row in rows),
    )


def drawn_quantiles(model: PriceModel, step_seconds: int, shares: Floats, rng: Generator) -> Floats:
    """Return quantiles of a model's log returns over a step, from draws of the model itself."""
    returns = np.diff(np.log(model.draw(rng, *_DRAWS, step_seconds)), axis=1)
    return np.asarray(np.quantile(returns, shares))


def tail_fit(returns: Floats, fits: Sequence[Fit], step_seconds: int, rng: Generator) -> Panel:
    """Return quantiles of log returns [return] against those of the laws fitted to them.

    The laws' quantiles are those of 200,000 returns that each model draws.
    """
    count = min(_QUANTILES, returns.size)
    # Dense at both ends, where the laws differ.
    angle = (np.arange(count) + 0.5) / count * np.pi
    half = 0.5 / returns.size
    shares = half + (1 - 2 * half) * (1 - np.cos(angle)) / 2
    seen = 100 * np.quantile(returns, shares, method="hazen")
    laws = {one.name: 100 * drawn_quantiles(one.model, step_seconds, shares, rng) for one in fits}
    ends = [float(seen.min()), float(seen.max())]
    symbols = ("circle", "square", "diamond", "triangle-up", "x", "circle")
    data = [line("as seen", ends, ends, "$text", "dash", 1.2)]
    data += [
        marks(name, law, seen, colour, symbol, 5)
        for (name, law), colour, symbol in zip(laws.items(), COLOURS, symbols, strict=False)
    ]
    rows = thinned(count, _TABLE)
    return Panel(
        "tail",
        "Which law holds in the tails",
        "Each law's quantiles against those of the returns: where points leave the line to the "
        "right at the lower left, the law's crashes are too small.",
        figure(data, along("law's log return, %"), along("log return as seen, %"), 460),
        ("share below", "as seen, %", *(f"{name}, %" for name in laws)),
        tuple(
            (clean([shares[row]])[0], *clean([seen[row], *(law[row] for law in laws.values())]))
            for row in rows
        ),
    )


def stress_replay(
    days: Mapping[str, Floats], step_seconds: int, trigger: float | None = None
) -> Panel:
    """Return single relative paths, [step] each, by the day's name, and a position's trigger."""
    if not days:
        raise RiskError("there is no day to replay; pass one path at least")
    drawn: list[dict[str, object]] = []
    rows: list[Row] = []
    dashes = ("solid", "dash", "dot")
    for number, (day, path) in enumerate(days.items()):
        steps = thinned(path.size)
        unit, times = clock(steps, step_seconds)
        colour = _DAYS[number % len(_DAYS)]
        dash = dashes[number // len(_DAYS) % len(dashes)]
        drawn.append(line(day, times, path[steps], colour, dash, 1.6))
        lowest = int(path.argmin())
        when = clean([lowest * step_seconds / 3_600])[0]
        rows.append((day, *clean([path[lowest]]), when, *clean([path[-1]])))
    words = "no position's trigger is drawn"
    if trigger is not None:
        drawn.append(line("liquidation", [0, times[-1]], [trigger] * 2, "$red", "dash", 2.5))
        hit = sum(bool((path < trigger).any() if trigger < 1 else (path > trigger).any())
                  for path in days.values())  # fmt: skip
        words = f"{hit} of {len(days)} pass the trigger at {trigger:.4g}"
    return Panel(
        "stress",
        "The days that broke the market",
        f"The price over each stress day, relative to its open: {words}.",
        figure(drawn, along(f"time, {unit}"), along("price / open"), 420),
        ("day", "lowest price / open", "at, hours", "last price / open"),
        tuple(rows),
    )
