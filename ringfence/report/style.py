"""What all figures share: axes, sizes and colours.

A colour is written as "$name" and becomes the page's CSS variable of that name when it is drawn, so
that a figure follows the reader's light or dark theme. Shapes tell apart what colours do.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Figure: TypeAlias = dict[str, Any]
"""A figure for Plotly (`data`, a list of traces, and `layout`), or a part of one."""

EMPTY: Figure = {"data": [], "layout": {}}

ROW = 23
"""Height of a bar or a rung, pixels."""


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
