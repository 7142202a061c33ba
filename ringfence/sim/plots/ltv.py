"""Each position's LTV over time, a panel per market."""

from __future__ import annotations

from collections.abc import Sequence

from ringfence.report.style import EMPTY, Figure, axis, layout, note, percentage
from ringfence.report.words import percent
from ringfence.sim.plots.style import KINDS, LOOKS, hours, spans, time_axis
from ringfence.sim.result import ActionKind, Market, Result
from ringfence.sim.story import OUTCOMES, Story

_HEIGHT = 300
_GAP = 62
_MARGINS = 150
_DEFENCES: tuple[ActionKind, ...] = ("topped up", "delevered", "repaid")
_WIDTH = 1.5


def ltvs(result: Result, told: Sequence[Story]) -> Figure:
    """Return every position's LTV over time with its market's three bounds, percent."""
    panels = [
        (market, own)
        for market in result.markets
        if (own := [story for story in told if story.position.market == market.name])
    ]
    if not panels or not result.steps:
        return EMPTY
    count = len(panels)
    inside = count * _HEIGHT + (count - 1) * _GAP
    data: list[Figure] = []
    axes: Figure = {}
    titles: list[Figure] = []
    for index, (market, own) in enumerate(panels):
        suffix = "" if index == 0 else str(index + 1)
        top = inside - index * (_HEIGHT + _GAP)
        domain = [round((top - _HEIGHT) / inside, 4), round(top / inside, 4)]
        axes[f"yaxis{suffix}"] = axis("LTV, %", domain=domain, zeroline=False)
        titles.append(_title(market, domain[1]))
        for trace in (*_bounds(result, market), *_lines(result, own), *_marks(result, own)):
            data.append({**trace, "yaxis": f"y{suffix}"})
    _name_once(data)
    bottom = f"y{count if count > 1 else ''}"
    drawn = layout(
        inside + _MARGINS,
        xaxis=time_axis(result, anchor=bottom),
        annotations=titles,
        shapes=spans(result),
        **axes,
    )
    drawn["margin"]["t"] = _MARGINS - drawn["margin"]["b"]
    drawn["legend"] |= {"y": 1 + 30 / inside}
    return {"data": data, "layout": drawn}


def _name_once(traces: list[Figure]) -> None:
    """Let each name stand in the legend once, and switch all that bear it."""
    named: set[str] = set()
    for trace in traces:
        trace["legendgroup"] = trace["name"]
        trace["showlegend"] = trace["name"] not in named
        named.add(trace["name"])


def _title(market: Market, top: float) -> Figure:
    bounds = (
        f"initial {percent(market.initial_ltv)}, target {percent(market.target_ltv)}, "
        f"liquidation {percent(market.liquidation_ltv)}"
    )
    return note(f"<b>{market.title}</b>\u2002{bounds}", 0, top, yshift=4)


def _bounds(result: Result, market: Market) -> list[Figure]:
    ends = [hours(result.steps[0].time), hours(result.steps[-1].time)]
    looks = (
        ("initial LTV", market.initial_ltv, "dot", "$muted"),
        ("target LTV", market.target_ltv, "dash", "$muted"),
        ("liquidation LTV", market.liquidation_ltv, "solid", "$text"),
    )
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": ends,
            "y": [percentage(bound)] * 2,
            "line": {"color": colour, "width": 1.2, "dash": dash},
            "hoverinfo": "skip",
        }
        for name, bound, dash, colour in looks
    ]


def _lines(result: Result, told: Sequence[Story]) -> list[Figure]:
    """Return the lines of a market's positions; one without debt has none."""
    times = [hours(step.time) for step in result.steps]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": OUTCOMES[story.outcome],
            "x": times,
            "y": [percentage(ltv) if ltv else None for ltv in story.position.ltvs],
            "line": {"color": LOOKS[story.outcome][0], "width": _WIDTH},
            "hovertemplate": f"{story.label}<br>%{{y:.1f}} % at %{{x:.2f}} h"
            f"<extra>{OUTCOMES[story.outcome]}</extra>",
        }
        for outcome in OUTCOMES
        for story in told
        if story.outcome == outcome
    ]


def _marks(result: Result, told: Sequence[Story]) -> list[Figure]:
    """Return the owners' defences (at the LTV after them) and the liquidations (before)."""
    places = {step.time: index for index, step in enumerate(result.steps)}
    drawn: list[Figure] = []
    defended = [
        (action.time, ltv, f"{story.label}<br>{action.kind}")
        for story in told
        for action in story.position.actions
        if action.kind in _DEFENCES
        and action.time in places
        and (ltv := story.position.ltvs[places[action.time]])
    ]
    if defended:
        drawn.append(_points("topped up, delevered or repaid", defended, "$green", "diamond"))
    for kind, (colour, symbol) in KINDS.items():
        hit = [
            (one.time, one.ltv_before, f"{story.label}<br>{kind} liquidation")
            for story in told
            for one in story.liquidations
            if one.kind == kind
        ]
        if hit:
            drawn.append(_points(f"{kind} liquidation", hit, colour, symbol))
    return drawn


def _points(
    name: str, points: Sequence[tuple[int, float, str]], colour: str, symbol: str
) -> Figure:
    """Return marks at times (seconds) and LTVs, with what each is."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [hours(time) for time, _, _ in points],
        "y": [percentage(ltv) for _, ltv, _ in points],
        "text": [text for _, _, text in points],
        "marker": {
            "color": colour,
            "symbol": symbol,
            "size": 9,
            "line": {"color": "$card", "width": 1},
        },
        "hovertemplate": "%{text}<br>LTV %{y:.1f} % at %{x:.2f} h<extra></extra>",
    }
