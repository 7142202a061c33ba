"""The reserve of each market, from before to after."""

from __future__ import annotations

from ringfence.report.style import Figure, axis, layout, note
from ringfence.sim.result import Market, Result
from ringfence.sim.wording import Lexicon

_SPACE = 0.07
"""Between two panels, a part of the figure's width."""


def reserve(result: Result) -> Figure:
    """Return a panel per market: its reserve, what it earned, what losses took, asset units."""
    lexicon = Lexicon.of(result)
    data: list[Figure] = []
    axes: Figure = {}
    titles: list[Figure] = []
    width = (1 + _SPACE) / max(1, len(result.markets))
    for index, market in enumerate(result.markets):
        suffix = "" if index == 0 else str(index + 1)
        left = round(index * width, 4)
        data.append({**_steps(market, lexicon), "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"})
        axes[f"xaxis{suffix}"] = axis(
            "",
            domain=[left, round((index + 1) * width - _SPACE, 4)],
            anchor=f"y{suffix}",
            tickangle=0,
        )
        axes[f"yaxis{suffix}"] = axis(
            "", anchor=f"x{suffix}", rangemode="tozero", nticks=5, tickformat=",~f"
        )
        titles.append(note(f"<b>{market.name}</b><br>{market.asset}", left, 1, yshift=8))
    drawn = layout(320, annotations=titles, **axes)
    drawn["margin"] = {"l": 56, "r": 16, "t": 60, "b": 48}
    return {"data": data, "layout": drawn}


def _steps(market: Market, lexicon: Lexicon) -> Figure:
    """Return the steps from a market's reserve before to the one after."""
    lost = -market.to_reserve_lost
    earned = market.after.reserve - market.before.reserve - lost
    amounts = (market.before.reserve, earned, lost, market.after.reserve)
    names = ("before", "earned", "losses", "after")
    signed = (False, True, True, False)
    return {
        "type": "waterfall",
        "x": [
            f"{name}<br>{lexicon.amount(units, market.asset, plus)}"
            for name, units, plus in zip(names, amounts, signed, strict=True)
        ],
        "measure": ["absolute", "relative", "relative", "total"],
        "y": [float(lexicon.whole(units, market.asset)) for units in amounts],
        "showlegend": False,
        "increasing": {"marker": {"color": "$green"}},
        "decreasing": {"marker": {"color": "$red"}},
        "totals": {"marker": {"color": "$blue"}},
        "connector": {"line": {"color": "$muted", "width": 1}},
        "hovertemplate": f"%{{x}} {market.asset}<extra></extra>",
    }
