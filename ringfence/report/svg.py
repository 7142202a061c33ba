"""A figure as an SVG, without a browser: for a page that runs no script.

Draws what our figures are made of: lines, points, areas between lines, bars and heat maps on pairs
of axes, linear or logarithmic or of names; `plain` makes bars of what is more. Colours stay the
page's CSS variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count, pairwise
from math import ceil, floor, log10
from typing import Any

from ringfence.report.plain import plain, unbroken
from ringfence.report.style import Figure

WIDTH = 1_000
_TOP, _RIGHT, _BOTTOM = 52, 20, 56
_TICKS = 7
_LETTER = 7.2
"""Width of a letter, pixels, about."""
_SWATCH = 30
_MARGIN = 0.04
_MILLION = 1e6
_DASHES = {"dash": "8 5", "dot": "2 4"}

Value = str | float | None


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where values of an axis stand, pixels, and its ticks."""

    ticks: Sequence[tuple[float, str]]
    low: float
    high: float
    start: float
    end: float
    log: bool
    names: Sequence[str]

    def at(self, value: Value) -> float:
        """Return where a value stands."""
        place = self.names.index(str(value)) if self.names else float(value or 0)
        part = (self._key(place) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    def _key(self, value: float) -> float:
        return log10(value) if self.log else value

    @property
    def step(self) -> float:
        """Pixels from one name to the next."""
        return abs((self.end - self.start) / (self.high - self.low))


def _scale(values: Iterable[Value], axis: Figure, start: float, end: float) -> _Scale:
    seen = [one for one in values if one is not None]
    if axis.get("type") == "category" or any(isinstance(one, str) for one in seen):
        names = list(axis.get("categoryarray") or dict.fromkeys(map(str, seen)))
        low, high = axis.get("range") or (-0.6, len(names) - 0.4)
        ticks = [(float(place), name) for place, name in enumerate(names)]
        return _Scale(ticks, low, high, start, end, False, names)
    numbers = [float(one) for one in seen]
    if axis.get("type") == "log":
        low, high = axis.get("range") or (log10(min(numbers)), log10(max(numbers)))
        low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
        tens = [10.0**power for power in range(ceil(low - 1e-9), floor(high + 1e-9) + 1)]
        return _Scale([(ten, _text(ten)) for ten in tens], low, high, start, end, True, ())
    low, high = axis.get("range") or _wide(min(numbers), max(numbers))
    ticks = [(one, _text(one)) for one in _round(min(low, high), max(low, high))]
    return _Scale(ticks, low, high, start, end, False, ())


def _wide(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis, a little beyond what it shows, or to 0 where that is the end."""
    reach = (high - low) * _MARGIN or max(abs(high), 1.0) / 2
    return (0.0 if low == 0 < high else low - reach), (0.0 if high == 0 > low else high + reach)


def _round(low: float, high: float) -> list[float]:
    """Return round numbers between two.

    >>> _round(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (high - low) / _TICKS
    ten = 10.0 ** floor(log10(raw))
    step = next(ten * one for one in (1, 2, 5, 10) if ten * one >= raw * (1 - 1e-9))
    found: list[float] = []
    for number in count(ceil(low / step - 1e-9)):
        if number * step > high + step * 1e-9:
            return found
        found.append(float(f"{number * step:.12g}"))
    raise AssertionError  # pragma: no cover


def _text(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < _MILLION else f"{value / _MILLION:,.6g}M"


def _colour(name: str) -> str:
    return f"var(--{name[1:]})" if name.startswith("$") else name


def draw(figure: Figure, label: str) -> str:
    """Return a figure as SVG; `label` says what it shows to those who do not see it."""
    data, layout = plain(figure), figure["layout"]
    height, legend, below = layout["height"], *_legend(data)
    top = max(_TOP, below, layout["margin"]["t"] if layout.get("annotations") else 0)
    cells: dict[tuple[str, str], list[Figure]] = {}
    for trace in data:
        cells.setdefault((trace.get("xaxis", "x"), trace.get("yaxis", "y")), []).append(trace)
    ys = {name: _along(data, layout, name, height - _BOTTOM, top) for _, name in cells}
    left = 42 + _LETTER * max(len(text) for scale in ys.values() for _, text in scale.ticks)
    xs = {name: _along(data, layout, name, left, WIDTH - _RIGHT) for name, _ in cells}
    paper = {"x": (left, WIDTH - _RIGHT), "y": (height - _BOTTOM, top)}
    drawn = [*_shapes(layout, xs["x"], paper["y"])]
    for (across, up), traces in cells.items():
        x, y = xs[across], ys[up]
        drawn += _grid(x, y, layout[_axis(across)], layout[_axis(up)], up)
        for number, trace in enumerate(traces):
            drawn += _trace(trace, traces[number - 1] if number else trace, x, y)
    drawn += _notes(layout, xs["x"], paper)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}" '
        f'font-size="13">{"".join(drawn)}{"".join(legend)}</svg>'
    )


def _axis(name: str) -> str:
    """Return an axis' key in a layout.

    >>> _axis("x"), _axis("y2")
    ('xaxis', 'yaxis2')
    """
    return f"{name[0]}axis{name[1:]}"


def _along(data: Sequence[Figure], layout: Figure, name: str, start: float, end: float) -> _Scale:
    """Return an axis by its name, on its own part of the space from `start` to `end`."""
    way = name[0]
    low, high = layout[_axis(name)].get("domain", (0, 1))
    seen = [
        value
        for trace in data
        if trace.get(f"{way}axis", way) == name
        for value in _values(trace, way)
    ]
    ends = (start + part * (end - start) for part in (low, high))
    return _scale(seen, layout[_axis(name)], *ends)


def _values(trace: Figure, name: str) -> list[Value]:
    """Return what a trace needs of an axis: a bar's also the 0 that it stands on."""
    lies = "x" if trace.get("orientation") == "h" else "y"
    base = [0.0] if trace["type"] == "bar" and name == lies else []
    if trace.get("base") and name == lies:
        base = [start + length for start, length in zip(trace["base"], trace[name], strict=True)]
        return [*trace["base"], *base]
    return [*trace[name], *base]


def _shapes(layout: Figure, x: _Scale, ends: tuple[float, float]) -> Iterable[str]:
    """Yield shades and upright lines, all the height there is."""
    bottom, top = ends
    for one in layout.get("shapes", ()):
        left, right = x.at(one["x0"]), x.at(one["x1"])
        if one["type"] == "rect":
            yield _box(left, top, right - left, bottom - top, _colour(one["fillcolor"]))
        else:
            yield _rule(left, top, right, bottom, one["line"]["color"])


def _notes(layout: Figure, x: _Scale, paper: dict[str, tuple[float, float]]) -> Iterable[str]:
    """Yield words that stand in a figure; what is marked up in them is plain here."""
    for one in layout.get("annotations", ()):
        (left, right), (bottom, top) = paper["x"], paper["y"]
        place = x.at(one["x"]) if one["xref"] == "x" else left + one["x"] * (right - left)
        lines = one["text"].replace("<b>", "").replace("</b>", "").split("<br>")
        level = bottom + one["y"] * (top - bottom) - one.get("yshift", 0)
        level += 14 if one["yanchor"] == "top" else -15.0 * (len(lines) - 1) - 3
        for number, text in enumerate(lines):
            yield _word(place, level + 15 * number, text, "start", "$muted")


def _grid(x: _Scale, y: _Scale, across: Figure, up: Figure, name: str) -> Iterable[str]:
    top, bottom, left, right = y.end, y.start, x.start, x.end
    lowest = across.get("anchor", "y") == name
    for value, text in x.ticks:
        place = x.at(text if x.names else value)
        if not x.names:
            zero = value == 0 and across.get("zeroline", True)
            yield _rule(place, top, place, bottom, across["zerolinecolor"] if zero else "$grid")
        for number, part in enumerate(text.split("<br>") if lowest else ()):
            yield _word(place, bottom + 20 + 15 * number, part, "middle")
    for value, text in y.ticks:
        place = y.at(text if y.names else value)
        yield _rule(left, place, right, place)
        yield _word(left - 8, place + 4, text, "end")
    if lowest:
        title = across["title"]["text"]
        yield _word((left + right) / 2, bottom + 44, title, "middle", "$muted")
    side = escape(up["title"]["text"])
    middle = (top + bottom) / 2
    yield (
        f'<text transform="translate(15 {middle:g}) rotate(-90)" text-anchor="middle" '
        f'style="fill:var(--muted)">{side}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str = "$grid") -> str:
    style = f"stroke:{_colour(colour)}"
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" style="{style}"/>'


def _word(x: float, y: float, text: str, anchor: str, colour: str = "$text") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" style="fill:{_colour(colour)}">'
        f"{escape(text)}</text>"
    )


def _trace(trace: Figure, before: Figure, x: _Scale, y: _Scale) -> Iterable[str]:
    if trace["type"] == "heatmap":
        yield from _heat(trace, x, y)
    elif trace["type"] == "bar":
        yield from _bars(trace, x, y)
    else:
        if trace.get("fill") == "tonexty":
            around = [*_points(trace, x, y), *reversed(_points(before, x, y))]
            fill = _colour(trace["fillcolor"])
            yield f'<polygon points="{_joined(around)}" style="fill:{fill}"/>'
        if "lines" in trace["mode"] and trace["line"]["width"]:
            yield from _line(trace, x, y)
        if "markers" in trace["mode"]:
            yield from (_mark(*place, trace["marker"]) for place in _points(trace, x, y))


def _points(trace: Figure, x: _Scale, y: _Scale) -> list[tuple[float, float]]:
    """Return a trace's points, pixels; a line that is drawn in steps by its corners."""
    points = [
        (x.at(one), y.at(other))
        for one, other in zip(trace["x"], trace["y"], strict=True)
        if one is not None and other is not None
    ]
    if trace.get("line", {}).get("shape") != "hv":
        return points
    corners = points[:1]
    for before, after in pairwise(points):
        corners += [(after[0], before[1]), after]
    return corners


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{one:g},{other:g}" for one, other in points)


def _line(trace: Figure, x: _Scale, y: _Scale) -> Iterable[str]:
    look: dict[str, Any] = trace["line"]
    dash = _DASHES.get(look.get("dash", ""), "none")
    for run in unbroken(trace):
        yield (
            f'<polyline points="{_joined(_points(run, x, y))}" style="fill:none;stroke:'
            f'{_colour(look["color"])};stroke-width:{look["width"]};stroke-dasharray:{dash}"/>'
        )


def _mark(x: float, y: float, look: Figure) -> str:
    """Return a point; what is no circle is a square, on its tip or not."""
    half = look["size"] / 2
    edge = look.get("line")
    style = f"fill:{_colour(look['color'])}"
    style += f";stroke:{_colour(edge['color'])};stroke-width:{edge['width']}" if edge else ""
    style = f'style="{style}"'
    if look["symbol"] == "circle":
        return f'<circle cx="{x:g}" cy="{y:g}" r="{half:g}" {style}/>'
    turn = "" if look["symbol"] == "square" else f' transform="rotate(45 {x:g} {y:g})"'
    return (
        f'<rect x="{x - half:g}" y="{y - half:g}" width="{2 * half:g}" height="{2 * half:g}"'
        f"{turn} {style}/>"
    )


def _bars(trace: Figure, x: _Scale, y: _Scale) -> Iterable[str]:
    lying = trace.get("orientation") == "h"
    across, length = (y, x) if lying else (x, y)
    places, sizes = (trace["y"], trace["x"]) if lying else (trace["x"], trace["y"])
    bases = trace.get("base") or [0.0] * len(sizes)
    thick = _thickness(places, across)
    for place, size, base in zip(places, sizes, bases, strict=True):
        one, other = sorted((length.at(base), length.at(base + size)))
        side = across.at(place) - thick / 2
        left, top = (one, side) if lying else (side, one)
        width, height = (other - one, thick) if lying else (thick, other - one)
        fill, clear = _colour(trace["marker"]["color"]), trace.get("opacity", 1)
        yield _box(left, top, width, height, fill, f";fill-opacity:{clear}")


def _thickness(places: Sequence[Value], across: _Scale) -> float:
    """Return how thick bars are: most of the space from one to the next."""
    if across.names:
        return across.step * 0.7
    spots = sorted(across.at(place) for place in places)
    return min((b - a for a, b in pairwise(spots)), default=20.0) * 0.9


def _box(left: float, top: float, width: float, height: float, fill: str, more: str = "") -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'style="fill:{fill}{more}"/>'
    )


def _heat(trace: Figure, x: _Scale, y: _Scale) -> Iterable[str]:
    """Yield the cells of a heat map: an end of its scale, the stronger the farther from 0."""
    over, under = (_colour(trace["colorscale"][end][1]) for end in (-1, 0))
    wide, tall = _thickness(trace["x"], x) / 0.9, _thickness(trace["y"], y) / 0.9
    for row, up in zip(trace["z"], trace["y"], strict=True):
        for value, along in zip(row, trace["x"], strict=True):
            middle, level = x.at(along), y.at(up)
            left, right = max(middle - wide / 2, x.start), min(middle + wide / 2, x.end)
            top, bottom = max(level - tall / 2, y.end), min(level + tall / 2, y.start)
            part = abs(value) / trace["zmax"]
            yield _box(left, top, right - left, bottom - top, over if value > 0 else under,
                       f";fill-opacity:{part:.3f}")  # fmt: skip


def _legend(data: Sequence[Figure]) -> tuple[list[str], float]:
    """Return the names of the traces, from left to right, line by line, and where they end."""
    left, top = 60.0, 16.0
    drawn: list[str] = []
    for trace in data:
        if not trace.get("showlegend", True) or not trace.get("name"):
            continue
        width = _SWATCH + _LETTER * len(trace["name"]) + 16
        if left + width > WIDTH:
            left, top = 60.0, top + 18
        if trace.get("mode") == "lines" and "fillcolor" not in trace:
            dash = _DASHES.get(trace["line"].get("dash", ""), "none")
            drawn.append(
                f'<path d="M{left:g} {top - 4:g}h20" style="stroke-width:2;stroke-dasharray:{dash};'
                f'stroke:{_colour(trace["line"]["color"])}"/>'
            )
        else:
            look = trace.get("marker", {"color": "$red"})
            name = trace.get("fillcolor") or look["color"]
            if name == "$card":
                name = look["line"]["color"]
            drawn.append(_box(left, top - 8, 18, 8, _colour(name)))
        drawn.append(_word(left + 24, top, trace["name"], "start"))
        left += width
    return drawn, top + 18
