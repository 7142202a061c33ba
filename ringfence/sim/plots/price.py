"""The price over time, with what was liquidated at it."""

from __future__ import annotations

from ringfence.report.style import EMPTY, Figure, axis, layout
from ringfence.report.words import clock, percent
from ringfence.sim.plots.style import KINDS, hours, span_notes, spans, time_axis
from ringfence.sim.result import LiquidationKind, Result
from ringfence.sim.wording import QUOTE, name_of


def price(result: Result) -> Figure:
    """Return feed, pool and market price over time, liquidations marked, and the pool's distance.

    Prices in USDC per WETH, the distance of the pool from the feed in percent of the feed's price.
    """
    if not result.steps:
        return EMPTY
    drawn = layout(
        520,
        xaxis=time_axis(result, anchor="y2"),
        yaxis=axis(f"{QUOTE} per WETH", domain=[0.30, 1]),
        yaxis2=axis("pool / feed, %", domain=[0, 0.20], nticks=4),
        shapes=spans(result),
        annotations=span_notes(result),
    )
    marks = [_marks(result, kind) for kind in KINDS]
    return {"data": [*_lines(result), *(one for one in marks if one["x"])], "layout": drawn}


def _lines(result: Result) -> list[Figure]:
    """Return the three prices, and how far the pool stood from the feed on an axis of its own."""
    steps = result.steps
    apart = [round(100 * (step.pool / step.feed - 1), 3) for step in steps]
    lines = (
        ("market", [round(step.market, 2) for step in steps], "$muted", "linear", "y"),
        ("pool", [round(step.pool, 2) for step in steps], "$orange", "linear", "y"),
        ("feed", [round(step.feed, 2) for step in steps], "$blue", "hv", "y"),
        ("pool against feed, %", apart, "$orange", "linear", "y2"),
    )
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "showlegend": row == "y",
            "x": [hours(step.time) for step in steps],
            "y": values,
            "yaxis": row,
            "line": {"color": colour, "width": 1.5, "shape": shape},
            "hovertemplate": f"%{{y:.2f}} at %{{x:.2f}} h<extra>{name}</extra>",
        }
        for name, values, colour, shape, row in lines
    ]


def _marks(result: Result, kind: LiquidationKind) -> Figure:
    """Return the marks of one kind of liquidation on the feed's price."""
    colour, symbol = KINDS[kind]
    found = [one for one in result.liquidations if one.kind == kind]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{kind} liquidation ({len(found)})",
        "x": [hours(one.time) for one in found],
        "y": [round(one.price, 2) for one in found],
        "text": [
            f"{name_of(one)}, {one.market}<br>{clock(one.time)} h, LTV {percent(one.ltv_before)}"
            for one in found
        ],
        "marker": {
            "color": colour,
            "symbol": symbol,
            "size": 10,
            "line": {"color": "$card", "width": 1},
        },
        "hovertemplate": f"%{{text}}<br>at %{{y:.2f}} {QUOTE}<extra>{kind}</extra>",
    }
