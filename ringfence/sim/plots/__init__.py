"""The report's figures as data for Plotly: plain dictionaries, as fine as can be seen.

One module holds one figure; a new one is a function of the result and a line in `figures`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringfence.report.style import Figure
from ringfence.sim.plots.ladder import ladder
from ringfence.sim.plots.losses import losses
from ringfence.sim.plots.ltv import ltvs
from ringfence.sim.plots.price import price
from ringfence.sim.plots.reserve import reserve
from ringfence.sim.result import Result
from ringfence.sim.story import Story

__all__ = ["Figure", "figures"]


def figures(result: Result, told: Sequence[Story]) -> dict[str, Figure]:
    """Return the figures by name; one for which nothing was recorded is left out."""
    drawn = {
        "price": price(result),
        "ladder": ladder(result, told),
        "ltv": ltvs(result, told),
        "losses": losses(result, told),
        "reserve": reserve(result),
    }
    return {name: figure for name, figure in drawn.items() if figure["data"]}
