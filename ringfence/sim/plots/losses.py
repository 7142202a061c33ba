"""Who bore what each position lost."""

from __future__ import annotations

from collections.abc import Sequence

from ringfence.report.style import EMPTY, ROW, Figure, axis, layout, rows
from ringfence.sim.result import Result
from ringfence.sim.story import BEARERS, Story, loss_parts
from ringfence.sim.wording import QUOTE, Lexicon

_COLOURS = ("$blue", "$orange", "$green", "$red", "$purple")


def losses(result: Result, told: Sequence[Story]) -> Figure:
    """Return who bore each loss, a bar per position that ended with one, the largest on top."""
    lexicon = Lexicon.of(result)
    found = [(story.label, loss_parts(story, lexicon)) for story in told]
    bars = sorted(
        ((label, parts) for label, parts in found if sum(parts) > 0),
        key=lambda bar: (-sum(bar[1]), bar[0]),
    )
    if not bars:
        return EMPTY
    labels = [label for label, _ in bars]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [round(parts[index], 2) for _, parts in bars],
            "y": labels,
            "marker": {"color": colour, "line": {"color": "$card", "width": 0.5}},
            "hovertemplate": f"%{{y}}<br>%{{x:,.2f}} {QUOTE}<extra>{name}</extra>",
        }
        for index, (name, colour) in enumerate(zip(BEARERS, _COLOURS, strict=True))
    ]
    drawn = layout(
        150 + ROW * len(bars),
        barmode="stack",
        bargap=0.25,
        xaxis=axis(f"{QUOTE}, each at the price of its time", tickformat=",.0f"),
        yaxis=rows(labels),
    )
    return {"data": data, "layout": drawn}
