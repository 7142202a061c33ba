"""The ladder of health: how far each position was from its liquidation, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ringfence.report.style import EMPTY, ROW, Figure, axis, layout, percentage, rows
from ringfence.sim.plots.style import LOOKS
from ringfence.sim.result import Result
from ringfence.sim.story import OUTCOMES, Story
from ringfence.sim.wording import Lexicon


@dataclass(frozen=True, slots=True)
class Rung:
    """Room to liquidation at the opening, at worst and at the end, percent of the collateral."""

    label: str
    story: Story
    opening: float
    worst: float
    end: float


def ladder(result: Result, told: Sequence[Story]) -> Figure:
    """Return each position's room to liquidation, the one riskiest at its opening on top.

    Percent by which the value of the collateral may fall (for a short: relative to the debt's).
    """
    rungs = sorted(_rungs(result, told), key=lambda rung: (rung.opening, rung.label))
    if not rungs:
        return EMPTY
    drawn = layout(
        130 + ROW * len(rungs),
        xaxis=axis(
            "room to liquidation, % of the collateral's value", zerolinecolor="$red", nticks=12
        ),
        yaxis=rows([rung.label for rung in rungs]),
    )
    return {"data": [_falls(rungs), _openings(rungs), *_ends(rungs)], "layout": drawn}


def _rungs(result: Result, told: Sequence[Story]) -> list[Rung]:
    markets = Lexicon.of(result).markets
    found = []
    for story in told:
        seen = [one for one in story.position.ltvs if one is not None]
        if not seen or story.position.market not in markets:
            continue
        bound = markets[story.position.market].liquidation_ltv
        worst = max([*seen, *(one.ltv_before for one in story.liquidations)])
        end = worst if story.outcome in ("whole", "insolvent") else seen[-1]
        room = [percentage(1 - ltv / bound) for ltv in (seen[0], worst, end)]
        found.append(Rung(story.label, story, *room))
    return found


def _falls(rungs: Sequence[Rung]) -> Figure:
    """Return the lines from each position's opening to its worst."""
    ends: list[float | None] = []
    labels: list[str | None] = []
    for rung in rungs:
        ends += [rung.opening, rung.worst, None]
        labels += [rung.label, rung.label, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "down to its worst",
        "x": ends,
        "y": labels,
        "line": {"color": "$muted", "width": 1.5},
        "hoverinfo": "skip",
    }


def _openings(rungs: Sequence[Rung]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "at its opening",
        "x": [rung.opening for rung in rungs],
        "y": [rung.label for rung in rungs],
        "marker": {
            "color": "$card",
            "symbol": "circle",
            "size": 9,
            "line": {"color": "$muted", "width": 1.5},
        },
        "hovertemplate": "%{y}<br>%{x:.1f} % at its opening<extra></extra>",
    }


def _ends(rungs: Sequence[Rung]) -> list[Figure]:
    """Return the marks of the end, by outcome; a position taken whole ends at its worst."""
    drawn = []
    for outcome, name in OUTCOMES.items():
        own = [rung for rung in rungs if rung.story.outcome == outcome]
        colour, symbol = LOOKS[outcome]
        drawn.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [rung.end for rung in own],
                "y": [rung.label for rung in own],
                "marker": {"color": colour, "symbol": symbol, "size": 10},
                "hovertemplate": f"%{{y}}<br>%{{x:.1f}} %<extra>{name}</extra>",
            }
        )
    return [one for one in drawn if one["x"]]
