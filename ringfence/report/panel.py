"""What a figure of the report is, and the parts that figures are made of.

A figure is data for Plotly with two plain axes: the page draws it, and `svg` draws the same without
a browser. Colours are "$name", the page's CSS variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from ringfence.errors import RingfenceError
from ringfence.report.style import Figure, axis, layout

Floats = npt.NDArray[np.float64]
Cell = str | int | float
Row = tuple[Cell, ...]

COLOURS = ("$blue", "$orange", "$green", "$purple", "$red", "$muted")
HEIGHT = 400
"""Of a figure, pixels."""
_DIGITS = 6
"""Significant ones that a figure is told in; finer ones cannot be seen."""
_LARGE = 1_000
_HOUR = 3_600
_DAY = 24 * _HOUR
POINTS = 240
"""Of a line, at most: finer ones cannot be seen either."""


class FigureError(RingfenceError, ValueError):
    """What a figure cannot show."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure, what one sees in it (one sentence), and the numbers behind it.

    `name` is its place on the page: small letters and dashes. `columns` are the heads of `rows`,
    with their units. A figure without data (EMPTY) is left out: the caption says why. Raises
    FigureError for a number that is none.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if any(isinstance(one, float) and not isfinite(one) for one in row):
                raise FigureError(f"{self.name} has {row}, not all numbers; check its input")


def figure(
    data: Sequence[Figure], x: Figure, y: Figure, height: int = HEIGHT, **more: object
) -> Figure:
    """Return traces on two axes (`along`); their names stand above, were it only one."""
    named = any(trace["name"] and trace.get("showlegend", True) for trace in data)
    return {
        "data": list(data),
        "layout": layout(height, xaxis=x, yaxis=y, showlegend=named, **more),
    }


def along(title: str, **more: object) -> Figure:
    """Return an axis: its title names what it shows and the unit."""
    return axis(title, zeroline=False, **more)


def clean(values: Iterable[float] | Floats) -> list[float]:
    """Return numbers as a figure tells them: plain floats of six digits, finite.

    >>> clean([1 / 3])
    [0.333333]
    """
    found = [float(f"{value:.{_DIGITS}g}") for value in values]
    if not all(map(isfinite, found)):
        raise FigureError("a figure would show what is not a number; check its input")
    return found


def said(value: float) -> str:
    """Return a number as a sentence tells it.

    >>> said(1_234_567.8), said(0.12345)
    ('1,234,568', '0.1235')
    """
    return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.4g}"


def line(
    name: str, x: Iterable[float], y: Iterable[float], colour: str, dash: str = "solid",
    width: float = 2.0, shape: str = "linear", **more: object,
) -> Figure:  # fmt: skip
    """Return a line through points; of shape "hv" one that stays until the next."""
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": clean(x), "y": clean(y),
        "line": {"color": colour, "width": width, "dash": dash, "shape": shape}, **more,
    }  # fmt: skip


def band(
    name: str, x: Sequence[float], low: Iterable[float], high: Iterable[float], colour: str
) -> list[Figure]:
    """Return an area between two lines: the lower one unseen, the upper filled down to it."""
    under = line("", x, low, colour, width=0, showlegend=False, hoverinfo="skip")
    over = line(name, x, high, colour, width=0, fill="tonexty", fillcolor=colour)
    return [under, over]


def marks(
    name: str, x: Iterable[float], y: Iterable[Cell], colour: str, symbol: str = "circle",
    size: int = 8, **more: object,
) -> Figure:  # fmt: skip
    """Return points; y may be the names of rows."""
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": clean(x), "y": _either(y),
        "marker": {"color": colour, "symbol": symbol, "size": size}, **more,
    }  # fmt: skip


def thinned(count: int, most: int = POINTS) -> npt.NDArray[np.int64]:
    """Return which of `count` entries to show, the first and the last among them.

    >>> thinned(5, 3).tolist()
    [0, 2, 4]
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def clock(steps: npt.NDArray[np.int64], step_seconds: int) -> tuple[str, list[float]]:
    """Return the unit of time that fits a path's length, and the steps in it."""
    whole = int(steps[-1]) * step_seconds
    unit, seconds = ("days", _DAY) if whole > 3 * _DAY else ("hours", _HOUR)
    return unit, clean(steps * step_seconds / seconds)


def heat(
    name: str, x: Floats, y: Floats, z: Floats, colours: tuple[str, ...], **more: object
) -> Figure:
    """Return a heat map of z [y, x]: two colours from 0 to the highest, three with 0 between."""
    most = float(np.abs(z).max()) or 1.0
    least = -most if len(colours) > 2 else 0.0
    ends = np.linspace(0, 1, len(colours)).tolist()
    return {
        "type": "heatmap", "name": name, "x": clean(x), "y": clean(y), "z": [clean(r) for r in z],
        "colorscale": [[at, colour] for at, colour in zip(ends, colours, strict=True)],
        "zmin": least, "zmax": most, "showlegend": False,
        "colorbar": {"title": {"text": name, "side": "right"}, "thickness": 12}, **more,
    }  # fmt: skip


def bars(name: str, x: Iterable[Cell], y: Iterable[Cell], colour: str, **more: object) -> Figure:
    """Return bars; what is text names a place."""
    return {
        "type": "bar", "name": name, "x": _either(x), "y": _either(y),
        "marker": {"color": colour}, **more,
    }  # fmt: skip


def _either(values: Iterable[Cell]) -> list[Cell]:
    return [one if isinstance(one, str) else clean([one])[0] for one in values]
