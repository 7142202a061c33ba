"""What the figures share: sizes, axes, colours and shapes.

A colour is written as "$name" and becomes the page's CSS variable of that name when it is drawn, so
that a figure follows the reader's light or dark theme. Shapes tell apart what colours do.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from ringfence.sim.result import LiquidationKind, Result
from ringfence.sim.story import Outcome

Figure: TypeAlias = dict[str, Any]
"""A figure for Plotly (`data`, a list of traces, and `layout`), or a part of one."""

EMPTY: Figure = {"data": [], "layout": {}}

ROW = 23
"""Height of a bar or a rung, pixels."""

KINDS: dict[LiquidationKind, tuple[str, str]] = {
    "partial": ("$orange", "triangle-down"),
    "full": ("$red", "square"),
    "insolvent": ("$purple", "x"),
}
LOOKS: dict[Outcome, tuple[str, str]] = {
    "open": ("$blue", "circle"),
    "closed": ("$green", "star-diamond"),
    "part": KINDS["partial"],
    "whole": KINDS["full"],
    "insolvent": KINDS["insolvent"],
}
_HOUR = 3_600


def hours(seconds: int) -> float:
    """Return seconds as hours."""
    return round(seconds / _HOUR, 4)


def percentage(part: float) -> float:
    """Return a part of one as a percentage, as fine as a figure shows it."""
    return round(100 * part, 2)


def layout(height: int, **more: object) -> Figure:
    """Return a figure's layout, pixels high, with what is its own."""
    return {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 48, "b": 52},
        "paper_bgcolor": "$clear",
        "plot_bgcolor": "$clear",
        "font": {"family": "$font", "size": 13, "color": "$text"},
        "hoverlabel": {"font": {"family": "$font"}},
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        **more,
    }


def axis(title: str, **more: object) -> Figure:
    """Return an axis with its title and what is its own."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 12}},
        "gridcolor": "$grid",
        "linecolor": "$grid",
        "zerolinecolor": "$grid",
        "automargin": True,
        **more,
    }


def time_axis(result: Result, **more: object) -> Figure:
    """Return the axis of the path's time, hours, from its first step to its last."""
    ends = [hours(result.steps[0].time), hours(result.steps[-1].time)]
    return axis("hours since the start", dtick=6, zeroline=False, range=ends, **more)


def rows(labels: list[str]) -> Figure:
    """Return the axis of named rows, the first on top."""
    return axis("", type="category", categoryarray=labels, range=[len(labels) - 0.4, -0.6], dtick=1)


def note(text: str, x: float, y: float, **more: object) -> Figure:
    """Return words at a place of the paper, both from 0 to 1."""
    return {
        "text": text,
        "x": x,
        "xref": "paper",
        "xanchor": "left",
        "y": y,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "align": "left",
        **more,
    }


def spans(result: Result) -> list[Figure]:
    """Return the shades of the spans without a keeper, and the line where the rebound begins."""
    upright = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    shades: list[Figure] = [
        {
            "type": "rect",
            "x0": hours(since),
            "x1": hours(until),
            "fillcolor": "$shade",
            "line": {"width": 0},
            **upright,
        }
        for since, until in result.keeper_off
    ]
    turn = hours(result.crash_end)
    dotted = {"color": "$muted", "width": 1, "dash": "dot"}
    line = {"type": "line", "x0": turn, "x1": turn, "line": dotted, **upright, "layer": "above"}
    return [*shades, line]


def span_notes(result: Result) -> list[Figure]:
    """Return the words at those shades and that line."""
    places = [(hours(until), "keeper off") for _, until in result.keeper_off]
    places.append((hours(result.crash_end), "rebound"))
    grey = {"color": "$muted"}
    return [note(f"\u00a0{text}", x, 1, xref="x", yanchor="top", font=grey) for x, text in places]
