"""What the figures of a run share: looks of outcomes, the axis of time and what stands on it."""

from __future__ import annotations

from ringfence.report.style import Figure, axis, note
from ringfence.sim.result import LiquidationKind, Result
from ringfence.sim.story import Outcome

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


def time_axis(result: Result, **more: object) -> Figure:
    """Return the axis of the path's time, hours, from its first step to its last."""
    ends = [hours(result.steps[0].time), hours(result.steps[-1].time)]
    return axis("hours since the start", dtick=6, zeroline=False, range=ends, **more)


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
